package elastic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// flat makes, of a few fields of the stored document, a task document that answers the query as the whole one would.
type flat struct {
	source []string // the fields to ask the server for
	leaves []flatLeaf
	// inside are paths of which it matters whether they lead to a map: root → path.
	inside []query.Field
	fields []query.Field
	// columns are asked for in place of the source, see fromColumns.
	columns docValues
}

type flatLeaf struct{ root, path, name, odd string }

// asked is what a search has to send.
func (f *flat) asked() any {
	if f.columns != nil {
		return f.columns
	}
	return f.source
}

// take reads a task; a nil document must be read whole.
func (f *flat) take(h hit) (id string, doc map[string]any, err error) {
	if f.columns != nil {
		return f.ofColumns(h)
	}
	v, err := task.DecodeStored(h.Source)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return h.ID, nil, fmt.Errorf("task %s: its stored document is damaged", h.ID)
	}
	if m["spilled"] == true {
		return h.ID, nil, nil
	}
	doc, err = f.document(h.ID, m)
	return h.ID, doc, err
}

func newFlat(fields []query.Field, q *query.Query) *flat {
	f := &flat{source: []string{"id", "spilled"}, fields: fields}
	for _, x := range fields {
		switch {
		case x.Type == query.Duration:
			f.source = append(f.source, "started_at", "ended_at")
		case x.Root == "environment":
			f.source = append(f.source, "environment")
		case x.Type == query.Dynamic:
			l := flatLeaf{root: x.Root, path: x.Path, name: escape(x.Path), odd: escape(x.Name)}
			f.leaves = append(f.leaves, l)
			f.source = append(f.source, x.Root+"."+l.name, "odd."+l.odd)
		default:
			f.source = append(f.source, x.Name)
		}
	}
	for _, x := range existences(q) {
		if x.Type == query.Dynamic && x.Root != "environment" {
			f.inside = append(f.inside, x)
		}
	}
	if len(f.inside) > 0 {
		f.source = append(f.source, "leaves")
	}
	slices.Sort(f.source)
	f.source = slices.Compact(f.source)
	return f
}

// existences are the fields of which it matters whether a task has them, with a value or not.
func existences(q *query.Query) (out []query.Field) {
	for _, a := range q.Aggregation {
		if a.Op == query.Count {
			out = append(out, a.Field)
		}
	}
	query.EachCompare(q.Filter, func(c query.Compare, _ bool) {
		if c.Op == query.Exists {
			out = append(out, c.Field)
		}
	})
	return out
}

// addInside puts something below the paths that lead to a map: that it is there is what counts.
func (f *flat) addInside(names []any, put func(root, path string)) {
	for _, x := range f.inside {
		for _, n := range names {
			name, _ := n.(string)
			if strings.HasPrefix(name, x.Name+".") {
				put(x.Root, name[len(x.Root)+1:])
				break
			}
		}
	}
}

// document takes the stored fields over; stored is not used afterwards.
func (f *flat) document(id string, stored map[string]any) (map[string]any, error) {
	odds, _ := stored["odd"].(map[string]any)
	names, _ := stored["leaves"].([]any)
	maps := map[string]map[string]any{}
	put := func(root, path string, v any) {
		if maps[root] == nil {
			maps[root] = map[string]any{}
		}
		maps[root][path] = v
	}
	f.addInside(names, func(root, path string) { put(root, path, true) })
	for _, l := range f.leaves {
		of, _ := stored[l.root].(map[string]any)
		if v, ok := of[l.name]; ok {
			put(l.root, l.path, v)
		}
		if text, ok := odds[l.odd].(string); ok {
			v, err := task.DecodeStored([]byte(text))
			if err != nil {
				return nil, fmt.Errorf("task %s: %s: %w", id, l.odd, err)
			}
			put(l.root, l.path, v)
		}
	}
	for _, name := range []string{"odd", "leaves", "spilled"} {
		delete(stored, name)
	}
	for _, root := range indexedRoots {
		delete(stored, root)
		if m := maps[root]; m != nil {
			stored[root] = m
		}
	}
	return stored, nil
}
