package propose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

// YAML writes rules as a person would, with lines of comment at the top.
func YAML(spec rules.Spec, comment ...string) string {
	var b strings.Builder
	for _, c := range comment {
		fmt.Fprintf(&b, "# %s\n", c)
	}
	key := func(indent, name, v string) {
		if v != "" {
			fmt.Fprintf(&b, "%s%s: %s\n", indent, name, quoted(v))
		}
	}
	key("", "line", spec.Line)
	key("", "time_format", spec.TimeFormat)
	key("", "timezone", spec.Timezone)
	key("", "base_dir", spec.BaseDir)
	b.WriteString("\nrules:\n")
	for _, r := range spec.Rules {
		fmt.Fprintf(&b, "  - name: %s\n", quoted(r.Name))
		key("    ", "match", r.Match)
		for _, name := range slices.Sorted(keysOf(r.Where)) {
			fmt.Fprintf(&b, "    where: {%s: %s}\n", name, quoted(fmt.Sprint(r.Where[name])))
		}
		if r.BeginsRun {
			b.WriteString("    begins_run: true\n")
		}
		if r.EndsRun {
			b.WriteString("    ends_run: true\n")
		}
		for _, k := range []struct{ name, v string }{
			{"starts", r.Starts}, {"updates", r.Updates}, {"ends", r.Ends}, {"fails", r.Fails}, {"cancels", r.Cancels}, {"whole_task", r.WholeTask},
			{"task", r.Task}, {"took", r.Took}, {"error", r.Error}, {"time", r.Time},
		} {
			key("    ", k.name, k.v)
		}
		for _, k := range []struct {
			name string
			v    any
		}{{"used", r.Used}, {"generated", r.Generated}, {"context", r.Context}} {
			list, _ := k.v.([]any)
			if len(list) == 0 {
				continue
			}
			var names []string
			for _, n := range list {
				names = append(names, fmt.Sprint(n))
			}
			fmt.Fprintf(&b, "    %s: [%s]\n", k.name, strings.Join(names, ", "))
		}
		b.WriteString("\n")
	}
	if len(spec.Ignore) > 0 {
		b.WriteString("ignore:   # known, and not about tasks; make a rule of what is\n")
		for _, p := range spec.Ignore {
			fmt.Fprintf(&b, "  - %s\n", quoted(p))
		}
	}
	return b.String()
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// quoted is a text as YAML reads it back, without quotes where it needs none.
func quoted(s string) string {
	plain := s != "" && !strings.ContainsAny(s, ":{}[]#'\"&*!|>%@`,?\t\n\\") && s[0] != '-' && s[0] != ' ' && s[len(s)-1] != ' '
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "~", "y", "n":
		plain = false
	}
	if plain && (s[0] < '0' || s[0] > '9') && s[0] != '.' && s[0] != '+' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
