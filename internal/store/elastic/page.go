package elastic

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// mostLeafSorts bounds the conditions that a sort by leaves adds: servers refuse more than a thousand.
const mostLeafSorts = 20

// addPage lets the server find the page of a list: where it filters and sorts exactly as the reference does. That is so
// when the filter is exact, the order is of promoted fields and of leaves that are numbers wherever a task that matches
// has them, and none of them is opaque in one.
func (r *reader) addPage(ctx context.Context, stream *query.Stream) (done bool, err error) {
	position, err := r.q.Position()
	if err != nil || len(r.q.Aggregation) > 0 || !r.where.exact {
		return false, err
	}
	behind, ok := behindOf(r.q.Sort, position)
	if !ok {
		return false, nil
	}
	sort := make([]object, 0, len(r.q.Sort)+1)
	doubts := []object{r.opaque()}
	for _, k := range r.q.Sort {
		field, how := k.Field.Name, object{"order": "asc", "missing": "_last"}
		switch {
		case sortable(k.Field):
		case indexedLeaf(k.Field) && r.store.fields.tellsVague() && len(r.q.Sort) <= mostLeafSorts:
			field, how["unmapped_type"] = fieldOf(k.Field.Root, k.Field.Path), "double"
			doubts = append(doubts, noNumbers(k.Field)...)
		default:
			return false, nil
		}
		if k.Descending {
			how["order"] = "desc"
		}
		sort = append(sort, object{field: how})
	}
	f := newFlat(r.evaluated(), r.q)
	a, err := r.search(ctx, object{
		"query": r.where.upper, "post_filter": behind, "size": r.q.PageSize(), "_source": f.source, "track_total_hits": false,
		"sort": append(sort, object{"id": object{"order": "asc"}}),
		"aggs": object{
			"total":  object{"filter": all()},
			"behind": object{"filter": behind},
			"doubt":  object{"filter": boolOf("should", doubts)},
		},
	})
	if err != nil {
		return false, err
	}
	var counts struct{ Total, Behind, Doubt bucketCount }
	if err := json.Unmarshal(a.Aggregations, &counts); err != nil {
		return false, fmt.Errorf("search %s: %w", r.index, err)
	}
	if counts.Doubt.N > 0 {
		return false, nil
	}
	for _, h := range a.Hits.Hits {
		v, err := task.DecodeStored(h.Source)
		m, ok := v.(map[string]any)
		if err != nil || !ok {
			return false, fmt.Errorf("task %s: its stored document is damaged", h.ID)
		}
		d, err := f.document(h.ID, m)
		if err != nil {
			return false, err
		}
		stream.Add(r.withEnvironment(d))
	}
	stream.Counted(counts.Total.N, counts.Behind.N)
	return true, nil
}

// noNumbers selects the tasks in which a leaf may be anything but one number that a double holds.
func noNumbers(f query.Field) []object {
	field := fieldOf(f.Root, f.Path)
	return []object{
		{"term": object{"_ignored": field}}, {"term": object{"vague": term(f.Name)}},
		rangeOf(field, query.Gte, float64(exactDouble)), rangeOf(field, query.Lte, -float64(exactDouble)),
	}
}

// sortable says whether the server orders the field as the reference does.
func sortable(f query.Field) bool {
	switch f.Type {
	case query.String, query.Enum:
		return f.Root != "stdout" && f.Root != "stderr"
	case query.Integer, query.Time, query.Duration:
		return true
	default:
		return false
	}
}

// behindOf selects the tasks behind the cursor. ok is false for sort values that are not of their field's type.
func behindOf(keys []query.SortKey, p *query.Position) (q object, ok bool) {
	if p == nil {
		return all(), true
	}
	q = object{"range": object{"id": object{"gt": p.ID}}}
	for i := len(keys) - 1; i >= 0; i-- {
		f, v := keys[i].Field, p.Keys[i]
		field := f.Name
		if f.Type == query.Dynamic {
			field = fieldOf(f.Root, f.Path)
		}
		missing := negate(object{"exists": object{"field": field}})
		if v == nil {
			q = boolOf("filter", []object{missing, q}) // it comes last, in both directions
			continue
		}
		op := query.Gt
		if keys[i].Descending {
			op = query.Lt
		}
		further, exact := condition(query.Compare{Field: f, Op: op, Value: v})
		equal, _ := condition(query.Compare{Field: f, Op: query.Eq, Value: v})
		if !exact {
			return nil, false
		}
		q = boolOf("should", []object{further, missing, boolOf("filter", []object{equal, q})})
	}
	return q, true
}
