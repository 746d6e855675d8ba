package query

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var queryKeys = []string{"filter", "projection", "aggregation", "sort", "limit", "cursor"}

// ParseJSON reads and validates the body of a query: {"filter", "projection", "aggregation", "sort", "limit",
// "cursor"}, all optional. An error about the query is an *Error.
func ParseJSON(body []byte) (*Query, error) {
	if len(strings.TrimSpace(string(body))) == 0 {
		return &Query{Limit: DefaultLimit, fingerprint: fingerprint(nil)}, nil
	}
	v, err := task.DecodeJSON(body)
	if err != nil {
		return nil, fail("", "the query is not JSON: %s", strings.TrimPrefix(err.Error(), "value is not JSON: "))
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fail("", "the query is %s; want an object such as {\"filter\": {\"status\": \"FINISHED\"}}", describe(v))
	}
	return Parse(m)
}

// Parse validates a query that is decoded already; its values are in the value set of package task.
func Parse(m map[string]any) (*Query, error) {
	for _, k := range keys(m) {
		if !contains(queryKeys, k) {
			return nil, unknown(k, "key", k, queryKeys)
		}
	}
	q := &Query{Limit: DefaultLimit}
	var err error
	if q.Filter, err = ParseFilter(m["filter"]); err != nil {
		return nil, err
	}
	if err := q.parseProjection(m["projection"]); err != nil {
		return nil, err
	}
	if err := q.parseAggregation(m["aggregation"]); err != nil {
		return nil, err
	}
	if err := q.parseSort(m["sort"]); err != nil {
		return nil, err
	}
	if err := q.parseLimit(m["limit"]); err != nil {
		return nil, err
	}
	switch c := m["cursor"].(type) {
	case nil:
	case string:
		q.Cursor = c
	default:
		return nil, fail("cursor", "%s is not a string; want the next_cursor of an answer", describe(c))
	}
	q.fingerprint = fingerprint(m)
	if q.Cursor != "" {
		if _, err := q.Position(); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// fingerprint tells the queries apart that a cursor may belong to: all but the page.
func fingerprint(m map[string]any) string {
	parts := []any{m["filter"], m["projection"], m["aggregation"], m["sort"]}
	sum := sha256.Sum256(task.AppendJSON(nil, parts))
	return hex.EncodeToString(sum[:6])
}

// maxFields bounds each list of fields: every field costs a store a column, and its columns have an end.
const maxFields = 400

func (q *Query) parseProjection(v any) error {
	list, err := asList("projection", v, `["task_id", "used.layers"]`)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, e := range list {
		at := fmt.Sprintf("projection[%d]", i)
		name, ok := e.(string)
		if !ok {
			return fail(at, "%s is not the name of a field", describe(e))
		}
		f, err := LookupField(at, name)
		if err != nil {
			return err
		}
		if !seen[f.Name] {
			seen[f.Name] = true
			q.Projection = append(q.Projection, f)
		}
	}
	return nil
}

var aggregateOps = []AggregateOp{Min, Max, Avg, Sum, Count, Stddev, Median, P95}

func opNames() []string {
	names := make([]string, len(aggregateOps))
	for i, o := range aggregateOps {
		names[i] = string(o)
	}
	return names
}

func (q *Query) parseAggregation(v any) error {
	list, err := asList("aggregation", v, `[["min", "generated.loss"]]`)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, e := range list {
		at := fmt.Sprintf("aggregation[%d]", i)
		pair, ok := e.([]any)
		if !ok || len(pair) != 2 {
			return fail(at, `%s is not a pair; want ["min", "generated.loss"]`, describe(e))
		}
		op, isOp := pair[0].(string)
		name, isName := pair[1].(string)
		if !isOp || !isName {
			return fail(at, `%s is not a pair of names; want ["min", "generated.loss"]`, describe(e))
		}
		if !contains(aggregateOps, AggregateOp(op)) {
			return unknown(at, "operation", op, opNames())
		}
		f, err := LookupField(at, name)
		if err != nil {
			return err
		}
		a := Aggregate{Op: AggregateOp(op), Field: f}
		if err := a.check(at); err != nil {
			return err
		}
		if !seen[a.Column()] {
			seen[a.Column()] = true
			q.Aggregation = append(q.Aggregation, a)
		}
	}
	for i, f := range q.Groups() {
		if f.Type == Object {
			return fail(fmt.Sprintf("projection[%d]", i), "%q holds a map, by which nothing can be grouped; name one of its fields: %s.<name>",
				f.Name, f.Name)
		}
	}
	return nil
}

func (a Aggregate) check(at string) error {
	switch {
	case a.Op == Count:
		return nil
	case a.Field.Type == Object:
		return fail(at, "%q holds a map; name one of its fields: %s.<name>", a.Field.Name, a.Field.Name)
	case !a.Field.numeric():
		err := fail(at, "%q is not a number, so it has no %s", a.Field.Name, a.Op)
		err.Valid = []string{string(Count)}
		return err
	case a.Field.Type == Time && (a.Op == Sum || a.Op == Stddev):
		err := fail(at, "%q is a time, which has no %s", a.Field.Name, a.Op)
		err.Valid = []string{string(Min), string(Max), string(Avg), string(Median), string(P95), string(Count)}
		return err
	}
	return nil
}

func (q *Query) parseLimit(v any) error {
	n, ok := v.(int64)
	if f, isFloat := v.(float64); isFloat && f == float64(int64(f)) {
		n, ok = int64(f), true
	}
	switch {
	case v == nil:
		return nil
	case !ok || n < 1:
		return fail("limit", "%s is not a number of rows; want 1 or more, or leave it out for %d", describe(v), DefaultLimit)
	}
	q.Limit = int(min(n, 1<<31-1))
	return nil
}

func asList(at string, v any, example string) ([]any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		if len(v) > maxFields {
			return nil, fail(at, "%d entries; want %d at most, or a whole map such as \"used\"", len(v), maxFields)
		}
		return v, nil
	default:
		return nil, fail(at, "%s is not a list; want one such as %s", describe(v), example)
	}
}

// describe shows a value in an error, cut to a readable length.
func describe(v any) string {
	s := task.JSON(v)
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return s
}

func contains[T comparable](list []T, v T) bool {
	for _, e := range list {
		if e == v {
			return true
		}
	}
	return false
}
