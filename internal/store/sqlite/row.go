package sqlite

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// row is what the tables hold of one task, apart from its state and its claims.
type row struct {
	campaign    string
	columns     []any  // of tasks, as in sqlInsertTask and sqlUpdateTask, with room for the last one
	main, extra []byte // flat JSONB objects
	ambiguous   any    // JSON, short name → full names, see query.Leaves; nil for none
	edges       []store.Edge
}

// makeRow derives everything from a state. The leaves of a document stand in two objects: what is long and seldom asked
// for stands apart (extra), so that looking for a leaf does not walk over it.
func makeRow(s *task.State) *row {
	d := task.Project(s)
	r := &row{campaign: d.CampaignID, columns: taskColumns(d), edges: view.Edges(d)}
	pooled, _ := leafLists.Get().(*leaves)
	main := (*pooled)[:0]
	if ambiguous := main.addMap("used", d.Used); len(ambiguous) > 0 {
		m := make(map[string]any, len(ambiguous))
		for short, full := range ambiguous {
			m[short] = full
		}
		r.ambiguous = task.JSON(m)
	}
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

	extra := main[:0]
	extra.addMap("error", d.Error)
	extra.addMap("attributes", d.Attributes)
	extra.addString("stdout", d.Stdout)
	extra.addString("stderr", d.Stderr)
	r.extra = extra.object(256)

	if *pooled = extra[:cap(extra)]; cap(extra) <= manyLeaves {
		clear(*pooled) // or it would hold on to the values
		leafLists.Put(pooled)
	}
	return r
}

func taskColumns(d *task.Document) []any {
	return []any{
		d.TaskID, d.Kind, d.Status.String(), text(d.CampaignID), text(d.WorkflowID), text(d.WorkflowName),
		text(d.ActivityID), integer(d.Attempt), integer(d.SubmittedAt), integer(d.StartedAt), integer(d.EndedAt),
		text(d.Host), text(d.User), text(d.Site), text(d.Environment), text(d.Scope), text(d.Execution),
		text(d.WorkflowParentID), text(d.Parent), nil,
	}
}

// with returns the columns and the last one.
func (r *row) with(last any) []any {
	r.columns[len(r.columns)-1] = last
	return r.columns
}

// manyLeaves bounds the lists that are kept for the next task.
const manyLeaves = 1024

var leafLists = sync.Pool{New: func() any { l := make(leaves, 0, 64); return &l }}

// leaves are the leaves of a document, each by its full name.
type leaves []leaf

// leaf is "root.path" when it is inside of root, else root itself.
type leaf struct {
	root, path string
	inside     bool
	value      any
}

var emptyMap any = map[string]any{} // never changed

// addMap adds the leaves of one map of the document as "root.path", and "root" itself to say that there is a map.
func (l *leaves) addMap(root string, m map[string]any) (ambiguous map[string][]string) {
	if m == nil {
		return nil
	}
	*l = append(*l, leaf{root: root, value: emptyMap})
	own, flat := query.OwnLeaves(m)
	for path, v := range own {
		*l = append(*l, leaf{root, path, true, v})
	}
	if root == "used" && !flat {
		ambiguous = l.addShort(m, own)
	}
	return ambiguous
}

// shortKey is the label of the list of a task's short names, which no leaf has: leafKey writes % as %25. Without it nobody
// could tell from the leaves alone whether train(cfg, layers) has a layers of its own.
const shortKey = "%short"

// addShort adds the short names of what a task used (query.ShortNames), and their list.
func (l *leaves) addShort(used, own map[string]any) (ambiguous map[string][]string) {
	short, ambiguous := query.ShortNames(used, own)
	names := make([]any, 0, len(short))
	for _, name := range slices.Sorted(maps.Keys(short)) {
		*l = append(*l, leaf{"used", name, true, own[short[name]]})
		names = append(names, name)
	}
	*l = append(*l, leaf{root: shortKey, value: names})
	return ambiguous
}

func (l *leaves) addString(name, v string) {
	if v != "" {
		*l = append(*l, leaf{root: name, value: v})
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
	*l = append(*l, leaf{root: name, value: list})
}

// object returns the leaves as a flat object of about that size. What is asked for most stands first: SQLite looks for a
// label from the front.
func (l leaves) object(size int) []byte {
	slices.SortFunc(l, func(a, b leaf) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		if c := strings.Compare(a.root, b.root); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	dst, at := openContainer(make([]byte, 0, size), jsonbObject)
	for _, leaf := range l {
		dst = leaf.appendKey(dst)
		dst = appendLeaf(dst, leaf.value)
	}
	return closeContainer(dst, at)
}

func rank(l leaf) int {
	switch {
	case !l.inside:
		return 2
	case l.root == "generated":
		return 0
	case l.root == "used":
		return 1
	default:
		return 2
	}
}

// appendKey writes the leaf's full name as a label.
func (l leaf) appendKey(dst []byte) []byte {
	if !l.inside {
		return appendJSONBText(dst, l.root) // such names are clean
	}
	path := leafKey(l.path) // roots are clean
	dst = appendHeader(dst, textKind(path), len(l.root)+1+len(path))
	return append(append(append(dst, l.root...), '.'), path...)
}
