package rules

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each case of testdata is rules (NAME.yaml), a log (NAME.log) and what comes out (NAME.txt), to be read by people.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, c := range cases {
		name := strings.TrimSuffix(c, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(c)
			require.NoError(t, err)
			spec, err := Parse(data)
			require.NoError(t, err)
			if spec.Timezone == "" {
				spec.Timezone = "UTC"
			}
			set, err := Compile(spec)
			require.NoError(t, err)
			log, err := os.ReadFile(name + ".log")
			require.NoError(t, err)
			got := render(t, set, "/data/"+filepath.Base(name)+".log", log)
			if *update {
				require.NoError(t, os.WriteFile(name+".txt", []byte(got), 0o600))
			}
			want, err := os.ReadFile(name + ".txt")
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
		})
	}
}

// records reads a log as a whole.
func records(set *Set, log []byte) []Record {
	var out []Record
	lines, group := set.NewLines(0, 1<<20), set.NewGrouper()
	all := lines.Add(log)
	if l, ok := lines.Last(); ok {
		all = append(all, l)
	}
	for _, l := range all {
		if r, ok := group.Add(l); ok {
			out = append(out, r)
		}
	}
	if r, ok := group.Last(); ok {
		out = append(out, r)
	}
	return out
}

func render(t *testing.T, set *Set, path string, log []byte) string {
	e, err := set.NewEngine(Log{Identity: "host:" + path, Path: path})
	require.NoError(t, err)
	var b strings.Builder
	for _, rec := range records(set, log) {
		// What is stored between two records is all that the engine needs.
		data, err := e.State()
		require.NoError(t, err)
		next, err := set.NewEngine(Log{Identity: "host:" + path, Path: path})
		require.NoError(t, err)
		require.NoError(t, next.Restore(data))
		e = next
		res := e.Process(rec)
		text, more, _ := strings.Cut(rec.Text, "\n")
		if more != "" {
			text += fmt.Sprintf(" (+%d lines)", rec.Lines-1)
		}
		fmt.Fprintf(&b, "%s\n", text)
		switch {
		case res.Problem != nil:
			fmt.Fprintf(&b, "    ! %s: %v\n", res.Rule, res.Problem)
		case res.Ignored:
			fmt.Fprintf(&b, "    ignored\n")
		case res.Rule == "":
			fmt.Fprintf(&b, "    no rule\n")
		default:
			fmt.Fprintf(&b, "    rule: %s\n", res.Rule)
		}
		if res.BaseDir != "" {
			fmt.Fprintf(&b, "    base_dir: %s\n", res.BaseDir)
		}
		for _, ev := range res.Events {
			renderEvent(&b, ev)
		}
	}
	return b.String()
}

func renderEvent(b *strings.Builder, e *task.Event) {
	_, run, _ := strings.Cut(e.Scope, "#")
	fmt.Fprintf(b, "    %s %s %s  [%s, run %s]\n", strings.TrimPrefix(e.Name, "mida."), e.Key, e.Status, e.WorkflowName, run)
	clock := func(ns int64) string {
		if ns == 0 {
			return "?"
		}
		return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.999Z")
	}
	if e.IsTask() {
		fmt.Fprintf(b, "        %s → %s\n", clock(e.StartedAt), clock(e.EndedAt))
	}
	show := func(what string, m map[string]any) {
		keys := sortedKeys(m)
		sort.Strings(keys)
		for _, k := range keys {
			fmt.Fprintf(b, "        %s %s = %s\n", what, k, task.JSON(m[k]))
		}
	}
	show("used", e.Used)
	show("generated", e.Generated)
	show("with", e.Attributes)
	show("custom", e.Custom)
}
