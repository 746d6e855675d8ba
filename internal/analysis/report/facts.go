package report

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of what is shown of one task.
const (
	maxFacts = 300
	maxText  = 4096
)

func root(leaf string) string { r, _, _ := strings.Cut(leaf, "."); return r }

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func (b *builder) ignored(leaf string) bool { return named(b.names.Ignore, leaf) }
func (b *builder) wanted(leaf string) bool  { return named(b.names.Hyperparameters, leaf) }

// plain says whether a value is one that people compare: a number, a text, a boolean, or a short list of these.
func plain(v any) bool {
	switch v := v.(type) {
	case nil, bool, int64, float64:
		return true
	case string:
		return true
	case []any:
		if len(v) > 20 {
			return false
		}
		for _, e := range v {
			if _, list := e.([]any); list || !plain(e) {
				return false
			}
		}
		return true
	case map[string]any:
		return len(v) == 1 && v["$int"] != nil
	}
	return false
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	return 0, false
}

// hyperparameters are the plain values that a task was given of its own.
func (b *builder) hyperparameters(n *node) []Fact {
	if known, ok := b.given[n.ID]; ok {
		return known
	}
	var out []Fact
	for _, f := range b.own(n) {
		if !named(b.names.Split, f.Name) {
			out = append(out, f)
		}
	}
	b.given[n.ID] = out
	return out
}

// metrics are the numbers that a task made.
func (b *builder) metrics(n *node) []Fact {
	var out []Fact
	for _, leaf := range sortedKeys(n.generated) {
		if b.ignored(leaf) || strings.HasPrefix(leaf, "system/") {
			continue
		}
		switch v := n.generated[leaf].(type) {
		case int64, float64, bool:
			out = append(out, Fact{Name: leaf, Value: Value{v}})
		}
	}
	return out
}

// values are the plain values that a task made, other than names of files.
func (b *builder) values(n *node) []Fact {
	claimed := map[string]bool{}
	for _, c := range n.claims {
		claimed[c.Field] = true
	}
	var out []Fact
	for _, leaf := range sortedKeys(n.generated) {
		v := n.generated[leaf]
		if b.ignored(leaf) || claimed["generated."+leaf] || !plain(v) || looksLikePath(leaf, v) || strings.HasPrefix(leaf, "system/") {
			continue
		}
		out = append(out, Fact{Name: leaf, Value: Value{v}})
	}
	return out
}

func (b *builder) hasExpected(n *node) bool {
	for _, f := range b.metrics(n) {
		for _, e := range expected {
			if named(e.patterns, f.Name) {
				return true
			}
		}
	}
	return false
}

// withExpected puts what a training is expected to have first, and says what of it is missing.
func (b *builder) withExpected(facts []Fact) []Fact {
	var first, rest, missing []Fact
	taken := map[string]bool{}
	look := func(name string, patterns []string) {
		found := false
		for _, f := range facts {
			if !named(patterns, f.Name) {
				continue
			}
			found = true
			if !taken[f.Name] {
				taken[f.Name] = true
				first = append(first, f)
			}
		}
		if !found {
			missing = append(missing, Fact{Name: name})
		}
	}
	for _, e := range expected {
		look(e.name, e.patterns)
	}
	for _, p := range b.names.Metrics {
		look(p, []string{p})
	}
	for _, f := range facts {
		if !taken[f.Name] {
			rest = append(rest, f)
		}
	}
	return append(append(first, missing...), rest...)
}

// bounded cuts a list of facts and long texts; how many are left out is said in the last one.
func bounded(facts []Fact) []Fact {
	if len(facts) > maxFacts {
		more := len(facts) - maxFacts
		facts = append(facts[:maxFacts:maxFacts], Fact{Name: "…", Value: Value{fmt.Sprintf("%d more are left out", more)}})
	}
	for i, f := range facts {
		facts[i].Name = cutText(f.Name, 300)
		facts[i].Value = Value{cutValue(f.Value.V)}
	}
	if facts == nil {
		return []Fact{}
	}
	return facts
}

func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
}

func cutValue(v any) any {
	switch v := v.(type) {
	case string:
		return cutText(v, maxText)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = cutValue(e)
		}
		return out
	}
	return v
}

func orNull(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{cutText(s, maxText)}
}

func elapsed(doc map[string]any) Value {
	if s, ok := query.Elapsed(doc); ok {
		return Value{s}
	}
	return Value{}
}

// headline is what the report always says of a training's resources.
var headline = []struct {
	name, unit string
	from       []string // the first that the task has
}{
	{"CPU time", "s", []string{"delta process.cpu.time", "delta thread.cpu.time", "delta container.cpu.time"}},
	{"CPU utilization of the host, peak", "1", []string{"peak system.cpu.utilization"}},
	{"memory, peak", "By", []string{"peak process.memory.usage", "peak container.memory.usage", "peak system.memory.usage"}},
	{"GPU memory, peak", "By", []string{"peak process.gpu.memory.usage", "peak hw.gpu.memory.usage"}},
	{"GPU time", "s", []string{"delta process.gpu.time", "delta task.gpu.time"}},
	{"energy", "J", []string{"delta task.energy"}},
	{"CO2e", "g", []string{"delta task.co2e"}},
}

// telemetry are the resources of a task: the usual ones, said to be missing where they are, and all readings.
func (b *builder) telemetry(n *node) (facts []Fact, all []Reading) {
	coverage := mapping(n.doc, "telemetry_coverage")
	for _, h := range headline {
		f := Fact{Name: h.name, Unit: h.unit}
		for _, from := range h.from {
			kind, metric, _ := strings.Cut(from, " ")
			if v, ok := mapping(n.doc, "telemetry_"+kind)[metric]; ok {
				f.Value, f.Note = Value{v}, metric
				if whose := text(coverage, metric); whose != "" {
					f.Note += ", " + whose
				}
				break
			}
		}
		facts = append(facts, f)
	}
	for _, leaf := range sortedKeys(n.generated) { // as MLflow records them itself
		low := strings.ToLower(leaf)
		if strings.HasPrefix(low, "system/") && strings.Contains(low, "memory") {
			facts = append(facts, Fact{Name: leaf, Value: Value{n.generated[leaf]}, Note: "last value that MLflow recorded"})
		}
	}
	facts = append(facts, Fact{Name: "elapsed time", Unit: "s", Value: elapsed(n.doc)})
	names := map[string]bool{}
	for _, kind := range []string{"start", "end", "peak", "delta"} {
		for metric := range mapping(n.doc, "telemetry_"+kind) {
			names[metric] = true
		}
	}
	all = []Reading{}
	for _, m := range sortedKeys(names) {
		of := func(kind string) Value { return Value{cutValue(mapping(n.doc, "telemetry_"+kind)[m])} }
		all = append(all, Reading{Name: cutText(m, 300), Start: of("start"), End: of("end"), Peak: of("peak"), Delta: of("delta"), Whose: text(coverage, m)})
		if len(all) == maxFacts {
			break
		}
	}
	return facts, all
}

// environment is where a task ran: place, machine, person, software.
func (b *builder) environment(n *node) (facts, code, packages []Fact) {
	env, attrs, job := b.environments[text(n.doc, "environment")], mapping(n.doc, "attributes"), mapping(n.doc, "job")
	pick := func(values ...any) Value {
		for _, v := range values {
			if v != nil && v != "" {
				return Value{cutValue(v)}
			}
		}
		return Value{}
	}
	python, system := mapping(env, "python"), mapping(env, "os")
	facts = []Fact{
		{Name: "facility", Value: pick(n.doc["site"], job["cluster"]), Note: "site"},
		{Name: "host", Value: pick(n.doc["host"], env["host"])},
		{Name: "user", Value: pick(n.doc["user"], env["user"])},
		{Name: "operating system", Value: pick(strings.TrimSpace(text(system, "type") + " " + text(system, "version") + " " + text(system, "machine")))},
		{Name: "Python", Value: pick(python["version"])},
		{Name: "container", Value: pick(attrs["container.image.name"], mapping(env, "container")["image"], attrs["container.id"])},
	}
	if len(job) > 0 {
		facts = append(facts, Fact{Name: "batch job", Value: Value{cutText(task.JSON(job), 500)}})
	}
	if gpus := env["visible_gpus"]; gpus != nil {
		facts = append(facts, Fact{Name: "visible GPUs", Value: Value{cutText(task.JSON(gpus), 500)}})
	}
	vcs := mapping(env, "vcs")
	dirty := Value{}
	if d, ok := vcs["dirty"].(bool); ok {
		dirty = Value{d}
	}
	argv := Value{}
	if list, ok := env["argv"].([]any); ok {
		argv = Value{cutText(shellWords(list), maxText)}
	}
	code = []Fact{
		{Name: "commit", Value: pick(vcs["commit"], attrs["vcs.ref.head.revision"])},
		{Name: "changes that are not committed", Value: dirty},
		{Name: "branch", Value: pick(vcs["branch"], attrs["vcs.ref.head.name"])},
		{Name: "repository", Value: pick(attrs["vcs.repository.url.full"], vcs["url"], vcs["root"])},
		{Name: "program", Value: pick(env["script"], attrs["code.file.path"])},
		{Name: "function", Value: pick(attrs["code.function.name"])},
		{Name: "command", Value: argv},
		{Name: "working directory", Value: pick(env["cwd"], attrs["process.working_directory"])},
	}
	list := mapping(env, "packages")
	for _, name := range sortedKeys(list) {
		packages = append(packages, Fact{Name: name, Value: Value{list[name]}})
	}
	return bounded(facts), bounded(code), bounded(packages)
}

// shellWords writes a command as it could be typed.
func shellWords(argv []any) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		w := fmt.Sprint(a)
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$`&|;<>()*?[]#~!{}") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}
