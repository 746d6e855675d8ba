package query

import (
	"fmt"
	"regexp"
	"strings"
)

var columnName = regexp.MustCompile(`^([a-z0-9]+)\((.+)\)$`)

func (q *Query) parseSort(v any) error {
	list, err := asList("sort", v, `[["ended_at", "descending"]]`)
	if err != nil {
		return err
	}
	for i, e := range list {
		at := fmt.Sprintf("sort[%d]", i)
		name, direction, err := sortPair(at, e)
		if err != nil {
			return err
		}
		key, err := q.sortKey(at, name)
		if err != nil {
			return err
		}
		key.Descending = direction
		q.Sort = append(q.Sort, key)
	}
	return nil
}

func sortPair(at string, v any) (name string, descending bool, err error) {
	pair, ok := v.([]any)
	if s, isName := v.(string); isName {
		pair, ok = []any{s, "ascending"}, true
	}
	if !ok || len(pair) != 2 {
		return "", false, fail(at, `%s is not a pair; want ["ended_at", "descending"]`, describe(v))
	}
	name, ok = pair[0].(string)
	if !ok {
		return "", false, fail(at, "%s is not the name of a field", describe(pair[0]))
	}
	switch d := pair[1].(type) {
	case string:
		switch strings.ToLower(d) {
		case "ascending", "asc":
			return name, false, nil
		case "descending", "desc":
			return name, true, nil
		}
		return "", false, unknown(at, "direction", d, []string{"ascending", "descending"})
	case int64:
		if d == 1 || d == -1 {
			return name, d < 0, nil
		}
	}
	return "", false, &Error{
		Field: at, Problem: describe(pair[1]) + " is not a direction", Valid: []string{"ascending", "descending", "1", "-1"},
	}
}

func (q *Query) sortKey(at, name string) (SortKey, error) {
	grouped := len(q.Aggregation) > 0
	if columnName.MatchString(name) {
		if grouped {
			for i, a := range q.Aggregation {
				if a.Column() == name {
					return SortKey{Field: a.Field, By: ByAggregate, Aggregate: i}, nil
				}
			}
			return SortKey{}, unknown(at, "column", name, q.columns())
		}
		return SortKey{}, fail(at, "%q is a column of an aggregation, and the query has none", name)
	}
	if grouped && name == ColumnCount {
		return SortKey{By: ByCount, Field: Field{Name: ColumnCount, Type: Integer}}, nil
	}
	f, err := LookupField(at, name)
	if err != nil {
		return SortKey{}, err
	}
	if f.Type == Object {
		return SortKey{}, fail(at, "%q holds a map, which has no order; name one of its fields: %s.<name>", name, f.Name)
	}
	if !grouped {
		return SortKey{Field: f}, nil
	}
	for _, g := range q.Groups() {
		if g.Name == f.Name {
			return SortKey{Field: f}, nil
		}
	}
	return q.sortByAggregated(at, f)
}

// sortByAggregated sorts groups by a field that makes no group: the field's one aggregate, or else its maximum.
func (q *Query) sortByAggregated(at string, f Field) (SortKey, error) {
	var found []string
	key := SortKey{Field: f, By: ByMaximum}
	for i, a := range q.Aggregation {
		if a.Field.Name == f.Name {
			key = SortKey{Field: f, By: ByAggregate, Aggregate: i}
			found = append(found, a.Column())
		}
	}
	if len(found) > 1 {
		return SortKey{}, &Error{Field: at, Problem: fmt.Sprintf("%q stands for several columns", f.Name), Valid: found}
	}
	return key, nil
}

// columns are the columns of an aggregation's rows.
func (q *Query) columns() []string {
	var out []string
	for _, g := range q.Groups() {
		out = append(out, g.Name)
	}
	for _, a := range q.Aggregation {
		out = append(out, a.Column())
	}
	return append(out, ColumnCount)
}
