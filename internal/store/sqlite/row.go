package sqlite

import (
	"slices"
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
	main := make(leaves, 0, 32)
	r.ambiguous = main.addMap("used", d.Used)
	main.addMap("generated", d.Generated)
	main.addMap("telemetry_start", d.TelemetryStart)
	main.addMap("telemetry_end", d.TelemetryEnd)
	main.addMap("telemetry_peak", d.TelemetryPeak)
	main.addMap("telemetry_delta", d.TelemetryDelta)
	main.addMap("telemetry_coverage", d.TelemetryCoverage)
	main.addMap("custom", d.Custom)
	main.addMap("job", d.Job)
	main.addStrings("tags", d.Tags)
	main.addStrings("dependencies", d.Dependencies)
	r.main = main.object(512)

	extra := make(leaves, 0, 16)
	extra.addMap("error", d.Error)
	extra.addMap("attributes", d.Attributes)
	extra.addString("stdout", d.Stdout)
	extra.addString("stderr", d.Stderr)
	r.extra = extra.object(256)
	return r
}

// leaves are the leaves of a document, each by its full name.
type leaves []leaf

type leaf struct {
	name  string
	value any
}

// addMap adds the leaves of one map of the document as "root.path", and "root" itself to say that there is a map.
func (l *leaves) addMap(root string, m map[string]any) (ambiguous map[string][]string) {
	if m == nil {
		return nil
	}
	*l = append(*l, leaf{root, map[string]any{}})
	if !flat(m) {
		m, ambiguous = query.Leaves(root, m)
	}
	for path, v := range m {
		*l = append(*l, leaf{root + "." + path, v})
	}
	return ambiguous
}

// flat says whether a map's values are its leaves: no path leads into one.
func flat(m map[string]any) bool {
	for _, v := range m {
		switch v := v.(type) {
		case map[string]any:
			return false
		case []any:
			for _, e := range v {
				switch e.(type) {
				case map[string]any, []any:
					return false
				}
			}
		}
	}
	return true
}

func (l *leaves) addString(name, v string) {
	if v != "" {
		*l = append(*l, leaf{name, v})
	}
}

func (l *leaves) addStrings(name string, values []string) {
	if len(values) == 0 {
		return
	}
	list := make([]any, len(values))
	for i, s := range values {
		list[i] = s
	}
	*l = append(*l, leaf{name, list})
}

// object returns the leaves as a flat object of about that size. What is asked for most stands first: SQLite looks for a
// label from the front.
func (l leaves) object(size int) []byte {
	rank := func(name string) int {
		switch {
		case strings.HasPrefix(name, "generated."):
			return 0
		case strings.HasPrefix(name, "used."):
			return 1
		default:
			return 2
		}
	}
	slices.SortFunc(l, func(a, b leaf) int {
		if ra, rb := rank(a.name), rank(b.name); ra != rb {
			return ra - rb
		}
		return strings.Compare(a.name, b.name)
	})
	dst, at := openContainer(make([]byte, 0, size), jsonbObject)
	for _, leaf := range l {
		dst = appendJSONBText(dst, leafKey(leaf.name))
		dst = appendLeaf(dst, leaf.value)
	}
	return closeContainer(dst, at)
}
