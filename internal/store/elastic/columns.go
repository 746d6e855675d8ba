package elastic

import (
	"context"
	"fmt"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// A stream of documents costs the server to open each, with the whole state in it, and to look for a few fields. The same
// values stand in the columns of the index: those of promoted fields as they are, those of leaves as the text below
// .keyword, which is the value but where the task is vague about it, or opaque.

const (
	// mostColumns is below what servers allow.
	mostColumns = 80
	// doubtfulShare is the part of the tasks, one in so many, that may be read whole beside columns.
	doubtfulShare = 20
)

// fromColumns lets the fields come from columns, where these tell them of nearly all tasks that may match.
func (r *reader) fromColumns(ctx context.Context, f *flat) error {
	if !r.store.fields.tellsVague() {
		return nil
	}
	columns := docValues{}
	names := []string{}
	for _, x := range f.fields {
		switch {
		case x.Type == query.Duration:
			columns = append(columns, "started_at", "ended_at")
		case x.Root == "environment":
			columns = append(columns, "environment")
		case x.Type == query.Dynamic && indexedLeaf(x):
			columns = append(columns, fieldOf(x.Root, x.Path)+".keyword")
			names = append(names, term(x.Name))
		case x.Type == query.String || x.Type == query.Enum || x.Type == query.Integer || x.Type == query.Time:
			columns = append(columns, x.Name)
			names = append(names, term(x.Name))
		default:
			return nil
		}
	}
	if len(f.inside) > 0 {
		columns = append(columns, "leaves")
	}
	var answer struct{ All, Doubt bucketCount }
	err := r.aggregations(ctx, object{"size": 0, "query": r.where.upper, "aggs": object{
		"all":   object{"filter": all()},
		"doubt": object{"filter": boolOf("should", []object{{"terms": object{"opaque": names}}, {"terms": object{"vague": names}}, {"term": object{"spilled": true}}})},
	}}, &answer)
	if err != nil || answer.Doubt.N*doubtfulShare > answer.All.N {
		return err
	}
	if answer.Doubt.N > 0 {
		columns = append(columns, "opaque", "vague", "spilled")
	}
	slices.Sort(columns)
	if columns = slices.Compact(columns); len(columns) <= mostColumns {
		f.columns = columns
	}
	return nil
}

// ofColumns makes the document of the values in columns; nil where they do not tell it.
func (f *flat) ofColumns(h hit) (id string, doc map[string]any, err error) {
	var columns map[string]any
	if len(h.Fields) > 0 { // else the task has none of them
		v, err := task.DecodeStored(h.Fields)
		if err != nil {
			return h.ID, nil, fmt.Errorf("task %s: its columns: %w", h.ID, err)
		}
		columns, _ = v.(map[string]any)
	}
	list := func(field string) []any { l, _ := columns[field].([]any); return l }
	one := func(field string) any {
		if l := list(field); len(l) > 0 {
			return l[0]
		}
		return nil
	}
	id = h.ID
	if one("spilled") == true {
		return id, nil, nil
	}
	unclear := slices.Concat(list("opaque"), list("vague"))
	doc = map[string]any{"id": id}
	for _, x := range f.fields {
		if len(unclear) > 0 && slices.Contains(unclear, any(term(x.Name))) {
			return id, nil, nil
		}
		names := []string{x.Name}
		switch {
		case x.Type == query.Duration:
			names = []string{"started_at", "ended_at"}
		case x.Root == "environment":
			names = []string{"environment"}
		case x.Type == query.Dynamic:
			text, ok := one(fieldOf(x.Root, x.Path) + ".keyword").(string)
			if !ok {
				continue
			}
			v, err := valueOf(text)
			if err != nil {
				return id, nil, fmt.Errorf("task %s: %s: %w", id, x.Name, err)
			}
			put(doc, x.Root, x.Path, v)
			continue
		}
		for _, name := range names {
			if v := one(name); v != nil {
				doc[name] = v
			}
		}
	}
	f.addInside(list("leaves"), func(root, path string) { put(doc, root, path, true) })
	return id, doc, nil
}

func put(doc map[string]any, root, path string, v any) {
	m, ok := doc[root].(map[string]any)
	if !ok {
		m = map[string]any{}
		doc[root] = m
	}
	m[path] = v
}
