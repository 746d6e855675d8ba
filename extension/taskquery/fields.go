package taskquery

import (
	"context"
	"math"
	"net/http"
	"slices"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	maxFields       = 2000 // of an answer; the most frequent
	maxFieldValues  = 12   // a field with more different values lists none
	maxValueInField = 200  // characters; longer text is no choice
)

// filterOf reads ?filter=, a filter of the query language as JSON.
func filterOf(r *http.Request) (query.Filter, error) {
	text := r.URL.Query().Get("filter")
	if text == "" {
		return nil, nil
	}
	v, err := task.DecodeJSON([]byte(text))
	if err != nil {
		return nil, &query.Error{Field: "filter", Problem: "not JSON: " + err.Error()}
	}
	q, err := query.Parse(map[string]any{"filter": v})
	if err != nil {
		return nil, err
	}
	return q.Filter, nil
}

// fields answers GET /api/v1/fields: which fields below used, generated, … the tasks have. A sample is looked at; tasks
// come by id, a hash, so that it is a fair one.
func (s *server) fields(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	filter, err := filterOf(r)
	if err != nil {
		return nil, err
	}
	q := &query.Query{Filter: filter, Limit: hintSample}
	for _, root := range query.Roots() {
		q.Projection = append(q.Projection, query.Field{Name: root, Root: root, Type: query.Object})
	}
	answer, err := st.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	found := map[string]*fieldSeen{}
	for _, row := range answer.Rows {
		for root, v := range row {
			m, _ := v.(map[string]any)
			for path, value := range task.Leaves(m) {
				name := root + "." + path
				if found[name] == nil {
					found[name] = &fieldSeen{}
				}
				found[name].add(value)
			}
		}
	}
	return showFields(found, int64(len(answer.Rows)), answer.Total), nil
}

// fieldSeen is what the tasks looked at have in one field.
type fieldSeen struct {
	tasks    int64
	types    map[string]bool
	values   []any
	many     bool
	min, max float64
	numbers  bool
	longest  int // text, in bytes
}

// add notes the value of one task; each element of a list counts.
func (f *fieldSeen) add(value any) {
	f.tasks++
	if f.types == nil {
		f.types = map[string]bool{}
	}
	values, isList := value.([]any)
	if !isList {
		values = []any{value}
	}
	for _, v := range values {
		kind := typeName(v)
		f.types[kind] = true
		if n, ok := finite(v); ok {
			if !f.numbers || n < f.min {
				f.min = n
			}
			if !f.numbers || n > f.max {
				f.max = n
			}
			f.numbers = true
		}
		text, isText := v.(string)
		f.longest = max(f.longest, len(text))
		switch {
		case f.many || slices.ContainsFunc(f.values, func(old any) bool { return task.JSON(old) == task.JSON(v) }):
		case len(f.values) == maxFieldValues || isText && len(text) > maxValueInField || kind == "other":
			f.many, f.values = true, nil
		default:
			f.values = append(f.values, v)
		}
	}
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "text"
	}
	if _, ok := finite(v); ok {
		return "number"
	}
	return "other"
}

// finite returns a number as a float; false for what is none, NaN and infinities included.
func finite(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	return 0, false
}

func showFields(found map[string]*fieldSeen, looked, total int64) map[string]any {
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		if a, b := found[names[i]].tasks, found[names[j]].tasks; a != b {
			return a > b
		}
		return names[i] < names[j]
	})
	truncated := len(names) > maxFields
	if truncated {
		names = names[:maxFields]
	}
	sort.Strings(names)
	rows := make([]any, len(names))
	for i, name := range names {
		f := found[name]
		m := map[string]any{"name": name, "tasks": f.tasks, "type": f.kind()}
		if f.numbers {
			m["min"], m["max"] = f.min, f.max
		}
		if f.longest > 0 {
			m["longest"] = int64(f.longest)
		}
		if !f.many && len(f.values) > 0 {
			m["values"] = f.values
		}
		rows[i] = m
	}
	return map[string]any{"fields": rows, "looked_at": looked, "total": total, "truncated": truncated}
}

func (f *fieldSeen) kind() string {
	kinds := []string{}
	for k := range f.types {
		if k != "null" {
			kinds = append(kinds, k)
		}
	}
	switch len(kinds) {
	case 0:
		return "null"
	case 1:
		return kinds[0]
	}
	return "mixed"
}
