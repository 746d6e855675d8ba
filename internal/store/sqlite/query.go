package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Query implements store.Reader.
func (s *Store) Query(ctx context.Context, q *query.Query) (a *query.Answer, err error) {
	position, err := q.Position()
	if err != nil {
		return nil, err
	}
	fromColumns := s.listColumns
	if len(q.Aggregation) > 0 {
		fromColumns = s.aggregateColumns
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	a, ok, err := fromColumns(ctx, q, position)
	s.leave()
	if ok || err != nil {
		return a, err
	}
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		if err := checkAmbiguous(ctx, tx, q); err != nil {
			return err
		}
		if len(q.Aggregation) > 0 {
			a, err = s.aggregate(ctx, tx, q, position)
		} else {
			a, err = s.list(ctx, tx, q, position)
		}
		return err
	})
	return a, err
}

// list answers a query without aggregation.
func (s *Store) list(ctx context.Context, tx *sql.Tx, q *query.Query, position *query.Position) (*query.Answer, error) {
	st := &statement{}
	pushed, rest, err := st.conditions(q.Filter)
	if err != nil {
		return nil, err
	}
	var total int64
	count := "SELECT count(*) FROM " + st.from(pushed) + whereOf(rest)
	if err := tx.QueryRowContext(ctx, count, st.args...).Scan(&total); err != nil {
		return nil, err
	}
	rows, err := s.page(ctx, tx, st, q, position, pushed, rest)
	if err != nil {
		return nil, err
	}
	return answerPage(ctx, tx, q, total, rows)
}

// answerPage is the answer that shows the tasks of a page; one more than its size says that there is another.
func answerPage(ctx context.Context, tx *sql.Tx, q *query.Query, total int64, rows []listed) (*query.Answer, error) {
	a := &query.Answer{Total: total, Rows: []map[string]any{}}
	if n := q.PageSize(); len(rows) > n {
		rows = rows[:n]
		last := rows[n-1]
		a.Truncated, a.NextCursor, a.Live = true, q.CursorAfter(last.keys, last.id), !q.Stable()
	}
	return a, readRows(ctx, tx, rows, q.Projection, a)
}

func whereOf(condition string) string {
	if condition == "" {
		return ""
	}
	return " WHERE " + condition
}

// listed is a task of a page, with the values that sort it.
type listed struct {
	n    int64
	id   string
	keys []any
}

// page returns the tasks of one page and, if there are more, one more.
func (s *Store) page(ctx context.Context, tx *sql.Tx, st *statement, q *query.Query, position *query.Position,
	pushed, rest string,
) ([]listed, error) {
	var names, order []string
	for _, k := range q.Sort {
		name, col, err := st.column(k.Field)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		order = append(order, orderBy(name, col, k.Descending)...)
	}
	order = append(order, "id")
	limit := q.PageSize() + 1
	switch {
	case position == nil:
	case len(q.Sort) == 0:
		pushed = conjunction(pushed, "t.id > "+st.arg(position.ID))
	default:
		// Where the page begins is found below, in the order of the reference; SQLite cannot skip exactly.
		limit = -1
	}
	sqlText := "SELECT n, id" + prefixed(names) + " FROM " + st.from(pushed) + whereOf(rest) +
		" ORDER BY " + strings.Join(order, ", ") + fmt.Sprintf(" LIMIT %d", limit)
	rows, err := tx.QueryContext(ctx, sqlText, st.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []listed
	for len(out) <= q.PageSize() && rows.Next() {
		l := listed{keys: make([]any, len(names))}
		dest := []any{&l.n, &l.id}
		for i := range l.keys {
			dest = append(dest, &l.keys[i])
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		for i, k := range q.Sort {
			l.keys[i] = st.value(k.Field, l.keys[i])
		}
		if position == nil || len(q.Sort) == 0 || behind(q, l, position) {
			out = append(out, l)
		}
	}
	return out, rows.Err()
}

func conjunction(a, b string) string {
	if a == "" {
		return b
	}
	return a + " AND " + b
}

func prefixed(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", " + strings.Join(names, ", ")
}

// behind says whether a task comes behind a position.
func behind(q *query.Query, l listed, p *query.Position) bool {
	for i, k := range q.Sort {
		if c := query.CompareForSort(l.keys[i], p.Keys[i], k.Descending); c != 0 {
			return c > 0
		}
	}
	return l.id > p.ID
}

// value brings what SQLite returned for a field's column into the value set of package task.
func (s *statement) value(f query.Field, v any) any {
	if s.columns[s.byName[f.Name]].encoded {
		v, _ = decodeLeaf(v)
	} else if b, ok := v.([]byte); ok {
		v = string(b)
	}
	return v
}

// orderBy orders like query.CompareForSort.
func orderBy(x string, c column, descending bool) []string {
	direction := ""
	if descending {
		direction = " DESC"
	}
	if !c.encoded {
		return []string{x + direction + " NULLS LAST"}
	}
	isBig := fmt.Sprintf("(%s >= 'i' AND %s < 'j')", x, x)
	rank := fmt.Sprintf("CASE WHEN %s < '' OR %s THEN 0 WHEN %s >= 's' AND %s < 't' THEN 1 WHEN %s >= 'b' AND %s < 'c' THEN 2 ELSE 3 END",
		x, isBig, x, x, x, x)
	// What sorts as nothing must be equal in every term: null, NaN and missing are told apart by the id only.
	none := fmt.Sprintf("(%s IS NULL OR %s IN ('n', 'fNaN'))", x, x)
	value := fmt.Sprintf("CASE WHEN %s THEN NULL WHEN %s < '' OR %s >= 's' AND %s < 't' OR %s >= 'b' AND %s < 'c' THEN %s "+
		"WHEN %s THEN CAST(substr(%s, 2) AS REAL) ELSE mida_json(%s) END", none, x, x, x, x, x, x, isBig, x, x)
	exact := fmt.Sprintf("CASE WHEN %s OR %s < '' AND (%s >= 9e18 OR %s <= -9e18) THEN mida_bigkey(%s) END", isBig, x, x, x, x)
	return []string{
		none, rank + direction, value + direction, exact + direction,
	}
}

// readRows reads the documents of a page in its order into the answer.
func readRows(ctx context.Context, tx *sql.Tx, page []listed, projection []query.Field, a *query.Answer) error {
	if len(page) == 0 {
		return nil
	}
	if len(projection) > 0 && !slices.ContainsFunc(projection, func(f query.Field) bool { return f.Type == query.Object }) {
		return readLeaves(ctx, tx, page, projection, a)
	}
	stmt, err := tx.PrepareContext(ctx, "SELECT state FROM states WHERE n = ?")
	if err != nil {
		return err
	}
	defer stmt.Close()
	docs := make([]map[string]any, 0, len(page))
	digests := map[string]bool{}
	for _, l := range page {
		var state []byte
		if err := stmt.QueryRowContext(ctx, l.n).Scan(&state); err != nil {
			return fmt.Errorf("task %s: %w", l.id, err)
		}
		var d map[string]any
		if st, err := task.DecodeState(state); err == nil {
			d = task.Project(st).Map()
		} else {
			a.Partial = true
			a.Warnings = append(a.Warnings, damagedState(l.id, err))
			if d, err = remnant(ctx, tx, l.n); err != nil {
				return err
			}
		}
		if digest, ok := d["environment"].(string); ok {
			digests[digest] = true
		}
		docs = append(docs, d)
	}
	if wantsEnvironment(projection) && len(digests) > 0 {
		list := make([]string, 0, len(digests))
		for d := range digests {
			list = append(list, d)
		}
		records, err := environments(ctx, tx, list)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if digest, ok := d["environment"].(string); ok {
				if r := records[digest]; r != nil {
					d["environment"] = r
				}
			}
		}
	}
	for _, d := range docs {
		a.Rows = append(a.Rows, query.Row(d, projection))
	}
	return nil
}

// readLeaves reads the projected fields of a page, where none of them is a whole map.
func readLeaves(ctx context.Context, tx *sql.Tx, page []listed, projection []query.Field, a *query.Answer) error {
	s := &query.Scan{}
	for _, f := range projection {
		if !slices.Contains(s.Fields, f) {
			s.Fields = append(s.Fields, f)
		}
	}
	r, err := newLeafReader(ctx, tx, s)
	if err != nil {
		return err
	}
	defer r.close()
	numbers := make([]int64, len(page))
	for i, l := range page {
		numbers[i] = l.n
	}
	table, args := numbered(numbers)
	return r.from(ctx, table, args, func(_ int64, values []any, damaged error) error {
		if damaged != nil {
			a.Partial = true
			a.Warnings = append(a.Warnings, damagedState(page[len(a.Rows)].id, damaged))
		}
		row := make(map[string]any, len(values))
		for i, f := range s.Fields {
			if values[i] != query.Absent {
				row[f.Name] = values[i]
			}
		}
		a.Rows = append(a.Rows, row)
		return nil
	})
}

func damagedState(id string, err error) string {
	return fmt.Sprintf("task %s: its stored state is damaged: %v", id, err)
}

func wantsEnvironment(projection []query.Field) bool {
	for _, f := range projection {
		if f.Root == "environment" {
			return true
		}
	}
	return len(projection) == 0
}
