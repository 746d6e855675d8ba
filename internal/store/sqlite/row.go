package sqlite

import (
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// row is what the tables hold of one task, apart from its state and its claims.
type row struct {
	doc         *task.Document
	main, extra []byte              // flat JSONB objects
	ambiguous   map[string][]string // short name → full names, see query.Leaves
	edges       []store.Edge
}

// makeRow derives everything from a state. The leaves of a document stand in two objects: what is long and seldom asked
// for stands apart (extra), so that looking for a leaf does not walk over it.
func makeRow(s *task.State) *row {
	d := task.Project(s)
	r := &row{doc: d, edges: view.Edges(d)}
	main := map[string]any{}
	r.ambiguous = addLeaves(main, "used", d.Used)
	addLeaves(main, "generated", d.Generated)
	addLeaves(main, "telemetry_start", d.TelemetryStart)
	addLeaves(main, "telemetry_end", d.TelemetryEnd)
	addLeaves(main, "telemetry_peak", d.TelemetryPeak)
	addLeaves(main, "telemetry_delta", d.TelemetryDelta)
	addLeaves(main, "telemetry_coverage", d.TelemetryCoverage)
	addLeaves(main, "custom", d.Custom)
	addLeaves(main, "job", d.Job)
	addStrings(main, "tags", d.Tags)
	addStrings(main, "dependencies", d.Dependencies)
	r.main = appendObject(make([]byte, 0, 512), leafOrder(main), main)

	extra := map[string]any{}
	addLeaves(extra, "error", d.Error)
	addLeaves(extra, "attributes", d.Attributes)
	addString(extra, "stdout", d.Stdout)
	addString(extra, "stderr", d.Stderr)
	r.extra = appendObject(make([]byte, 0, 256), sortedKeys(extra), extra)
	return r
}

// leafOrder puts the leaves that are asked for most to the front: SQLite looks for a label from the front.
func leafOrder(leaves map[string]any) []string {
	keys := make([]string, 0, len(leaves))
	for k := range leaves {
		keys = append(keys, k)
	}
	rank := func(k string) int {
		switch {
		case strings.HasPrefix(k, "generated."):
			return 0
		case strings.HasPrefix(k, "used."):
			return 1
		default:
			return 2
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		if a, b := rank(keys[i]), rank(keys[j]); a != b {
			return a < b
		}
		return keys[i] < keys[j]
	})
	return keys
}

// addLeaves adds the leaves of one map of the document as "root.path", and "root" itself to say that there is a map.
func addLeaves(dst map[string]any, root string, m map[string]any) (ambiguous map[string][]string) {
	if m == nil {
		return nil
	}
	dst[root] = map[string]any{}
	leaves, ambiguous := query.Leaves(root, m)
	for path, v := range leaves {
		dst[root+"."+path] = v
	}
	return ambiguous
}

func addString(dst map[string]any, name, v string) {
	if v != "" {
		dst[name] = v
	}
}

func addStrings(dst map[string]any, name string, l []string) {
	if len(l) == 0 {
		return
	}
	list := make([]any, len(l))
	for i, s := range l {
		list[i] = s
	}
	dst[name] = list
}
