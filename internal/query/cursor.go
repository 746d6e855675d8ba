package query

import (
	"encoding/base64"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Position is where a page of an answer begins: behind the task with these sort values and this id, or, for groups, at
// a number of rows.
type Position struct {
	Keys   []any // one value per SortKey; nil stands for missing, null and NaN, which sort alike
	ID     string
	Offset int64
}

// Position reads the query's cursor; nil means the first page.
func (q *Query) Position() (*Position, error) {
	if q.Cursor == "" {
		return nil, nil
	}
	bad := fail("cursor", "%s is not the next_cursor of an answer to this query; leave it out to start again", describe(q.Cursor))
	data, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil {
		return nil, bad
	}
	v, err := task.DecodeJSON(data)
	if err != nil {
		return nil, bad
	}
	m, _ := v.(map[string]any)
	if m["q"] != q.fingerprint {
		return nil, bad
	}
	p := &Position{}
	if len(q.Aggregation) > 0 {
		n, ok := m["n"].(int64)
		if !ok || n < 0 {
			return nil, bad
		}
		p.Offset = n
		return p, nil
	}
	id, isID := m["id"].(string)
	list, isList := m["k"].([]any)
	if !isID || !isList || len(list) != len(q.Sort) {
		return nil, bad
	}
	p.ID, p.Keys = id, list
	return p, nil
}

// CursorAfter is the cursor of the page behind the task with these sort values and this id.
func (q *Query) CursorAfter(sortValues []any, id string) string {
	list := make([]any, len(sortValues))
	for i, v := range sortValues {
		if rank(v) != rankNothing {
			list[i] = v
		}
	}
	return q.encode(map[string]any{"k": list, "id": id})
}

// CursorAt is the cursor of the groups behind the first n.
func (q *Query) CursorAt(n int64) string { return q.encode(map[string]any{"n": n}) }

func (q *Query) encode(m map[string]any) string {
	m["q"] = q.fingerprint
	return base64.RawURLEncoding.EncodeToString(task.AppendJSON(nil, m))
}

// Stable says whether pages that follow a cursor neither miss nor repeat a task while the view changes: the sort looks
// only at what never changes.
func (q *Query) Stable() bool {
	if len(q.Aggregation) > 0 {
		return false
	}
	for _, k := range q.Sort {
		if !immutable[k.Field.Name] {
			return false
		}
	}
	return true
}
