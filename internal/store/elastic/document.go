package elastic

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// row is what the index gets to know of one task, apart from its state.
type row struct {
	doc       *task.Document
	edges     []store.Edge
	leaves    []leaf   // of the indexed roots
	names     []string // of all leaves
	ambiguous []string
	short     []any // of the names, those without their argument's; nil = there can be none
}

type leaf struct {
	name  string // "used.cfg.layers"
	root  string
	field string // "used.cfg/layers", see fieldOf
	value any
}

func makeRow(s *task.State) *row {
	d := task.Project(s)
	r := &row{doc: d, edges: view.Edges(d)}
	indexed := []map[string]any{
		d.Used, d.Generated, d.TelemetryStart, d.TelemetryEnd, d.TelemetryPeak, d.TelemetryDelta, d.TelemetryCoverage,
	}
	n := 0
	for _, m := range indexed {
		n += len(m)
	}
	r.leaves = make([]leaf, 0, n)
	r.names = make([]string, 0, n+len(indexed)+len(d.Attributes))
	for i, m := range indexed {
		root := indexedRoots[i]
		for path, v := range r.add(root, m) {
			l := leaf{name: root + "." + path, root: root, value: v}
			if l.field = l.name; escape(path) != path {
				l.field = fieldOf(root, path)
			}
			r.leaves = append(r.leaves, l)
			r.names = append(r.names, l.name)
		}
	}
	slices.SortFunc(r.leaves, func(x, y leaf) int { return strings.Compare(x.name, y.name) })
	for _, x := range [...]struct {
		root string
		m    map[string]any
	}{{"job", d.Job}, {"error", d.Error}, {"custom", d.Custom}, {"attributes", d.Attributes}} {
		for path := range r.add(x.root, x.m) {
			r.names = append(r.names, x.root+"."+path)
		}
	}
	if d.Stdout != "" {
		r.names = append(r.names, "stdout")
	}
	if d.Stderr != "" {
		r.names = append(r.names, "stderr")
	}
	sort.Strings(r.names)
	sort.Strings(r.ambiguous)
	return r
}

// add returns the leaves of one map of the document, and notes that there is a map and which short names are ambiguous.
func (r *row) add(root string, m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	r.names = append(r.names, root)
	leaves, flat := query.OwnLeaves(m)
	if root != "used" {
		return leaves
	}
	if flat {
		if query.MayBeShort(leaves) {
			r.short = []any{}
		}
		return leaves
	}
	short, ambiguous := query.ShortNames(m, leaves)
	for name := range ambiguous {
		r.ambiguous = append(r.ambiguous, root+"."+name)
	}
	if query.MayBeShort(leaves) || len(short) > 0 {
		r.short = []any{}
	}
	for _, name := range slices.Sorted(maps.Keys(short)) {
		leaves[name] = leaves[short[name]]
		r.short = append(r.short, name)
	}
	return leaves
}

// nature is what an index makes of a value.
type nature byte

const (
	plain nature = iota // JSON and the index tell it
	blunt               // JSON tells it, the index does not: a long text
	odd                 // JSON does not tell it
)

func natureOf(v any) nature {
	switch v := v.(type) {
	case bool, int64:
		return plain
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return odd
		}
		return plain
	case string:
		if len(v) > maxLeafKeyword {
			return blunt
		}
		return plain
	case []any:
		if len(v) == 0 {
			return odd
		}
		worst := plain
		for _, e := range v {
			if _, list := e.([]any); list {
				return odd
			}
			worst = max(worst, natureOf(e))
		}
		return worst
	default:
		return odd
	}
}

// isVague says whether the texts below .keyword do not tell a plain value: those of a list are those of its elements, a text
// may read like a number or a boolean, and -0.0 is no other value than 0.0.
func isVague(v any) bool {
	switch v := v.(type) {
	case []any:
		return true
	case string:
		return readsAsOther(v)
	case float64:
		return v == 0 && math.Signbit(v)
	default:
		return false
	}
}

func readsAsOther(text string) bool {
	if text == "true" || text == "false" {
		return true
	}
	return text != "" && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') && json.Valid([]byte(text))
}

// newFields adds the fields that the row would like to have in the index.
func (r *row) newFields(to map[string]bool) {
	for _, l := range r.leaves {
		if len(l.field) <= maxFieldName && utf8.ValidString(l.field) && natureOf(l.value) != odd {
			to[l.field] = true
		}
	}
}

// body is the document of a row. With spill the leaves stay in the state alone: the server refused them. spilled counts
// the leaves that the index does not look at though it could.
func (r *row) body(f *fields, encoded []byte, spill bool) (body []byte, spilled int) {
	body = written(func(w *objectWriter) { spilled = r.write(w, f, encoded, spill) })
	return body, spilled
}

func (r *row) write(w *objectWriter, f *fields, encoded []byte, spill bool) (spilled int) {
	opaque := r.promoted(w)
	odds := map[string]string{}
	var vague []string
	last := ""
	for _, l := range r.leaves {
		n := natureOf(l.value)
		indexed := f.has(l.field) && !spill
		if n != plain || !indexed {
			opaque = append(opaque, l.name)
		}
		if n != odd && !indexed {
			spilled++
		}
		if n == plain && isVague(l.value) {
			vague = append(vague, l.name)
		}
		switch {
		case spill:
		case n == odd:
			odds[escape(l.name)] = task.JSON(l.value)
		default:
			if l.root != last {
				if last != "" {
					w.close()
				}
				w.open(l.root)
				last = l.root
			}
			w.value(l.field[len(l.root)+1:], l.value)
		}
	}
	if last != "" {
		w.close()
	}
	w.names("leaves", r.names)
	w.names("opaque", append(opaque, r.ambiguous...))
	w.names("ambiguous", r.ambiguous)
	w.names("vague", vague)
	if r.short != nil {
		w.value("short", r.short)
	}
	if spill {
		w.value("spilled", true)
	}
	if len(odds) > 0 {
		w.open("odd")
		for name, v := range odds {
			w.value(name, v)
		}
		w.close()
	}
	if name, ok := r.doc.Error["type"].(string); ok {
		w.open("error")
		w.value("type", name)
		w.close()
	}
	r.edgeFields(w)
	w.key("state")
	w.buf = task.AppendText(w.buf, encoded)
	return spilled
}

// promoted writes the fields that every query may filter and sort by, and returns those that are too long for an index.
func (r *row) promoted(w *objectWriter) (opaque []string) {
	d := r.doc
	for _, f := range []struct{ name, value string }{
		{"id", d.ID}, {"task_id", d.TaskID}, {"kind", d.Kind}, {"status", d.Status.String()}, {"campaign_id", d.CampaignID},
		{"workflow_id", d.WorkflowID}, {"workflow_name", d.WorkflowName}, {"workflow_parent_id", d.WorkflowParentID},
		{"activity_id", d.ActivityID}, {"host", d.Host}, {"user", d.User}, {"site", d.Site}, {"scope", d.Scope},
		{"execution", d.Execution}, {"parent", d.Parent}, {"environment", d.Environment},
	} {
		if f.value != "" {
			w.text(f.name, f.value)
		}
		if len(f.value) > maxKeyword {
			opaque = append(opaque, f.name)
		}
	}
	for _, f := range []struct {
		name   string
		values []string
	}{{"dependencies", d.Dependencies}, {"tags", d.Tags}} {
		if len(f.values) > 0 {
			w.value(f.name, f.values)
		}
		for _, v := range f.values {
			if len(v) > maxKeyword {
				opaque = append(opaque, f.name)
				break
			}
		}
	}
	first := d.SubmittedAt
	if first == 0 || d.StartedAt != 0 && d.StartedAt < first {
		first = d.StartedAt
	}
	first = cmp.Or(first, d.EndedAt)
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"attempt", d.Attempt}, {"submitted_at", d.SubmittedAt}, {"started_at", d.StartedAt}, {"ended_at", d.EndedAt},
		{"first_at", first}, {"last_at", cmp.Or(d.EndedAt, d.StartedAt, d.SubmittedAt)},
	} {
		if f.value != 0 {
			w.integer(f.name, f.value)
		}
	}
	if at := cmp.Or(d.StartedAt, d.SubmittedAt, d.EndedAt); at != 0 {
		w.integer("@timestamp", at/1e6)
	}
	if d.StartedAt != 0 && d.EndedAt != 0 {
		elapsed, _ := query.Elapsed(object{"started_at": d.StartedAt, "ended_at": d.EndedAt})
		w.value("elapsed", elapsed)
	}
	return opaque
}

func (r *row) edgeFields(w *objectWriter) {
	if len(r.edges) == 0 {
		return
	}
	targets := make([]string, 0, len(r.edges))
	list := make([]any, len(r.edges))
	for i, e := range r.edges {
		targets = append(targets, e.To)
		list[i] = []any{e.To, e.Parent, e.Field}
	}
	w.names("targets", targets)
	w.value("edges", list)
}
