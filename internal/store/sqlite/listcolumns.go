package sqlite

import (
	"container/heap"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// listColumns answers a list whose filter or sort looks at leaves from the vectors of these fields: SQLite would read every
// document, once to count and once for the page. ok is false when SQLite must answer, or answers as soon.
func (s *Store) listColumns(ctx context.Context, q *query.Query, position *query.Position) (a *query.Answer, ok bool, err error) {
	m := matchingOf(q)
	if s.columns == nil || onColumns(m.Filter) && !sortsByLeaves(q) || !columnar(m) {
		return nil, false, nil
	}
	found := false
	ok, err = s.withColumns(ctx, m, func(tx *sql.Tx) error {
		if err := checkAmbiguous(ctx, tx, q); err != nil {
			return err
		}
		p := pageOf{columns: s.columns, q: q, position: position}
		rows, err := p.find(ctx, tx)
		if err != nil || rows == nil {
			return err
		}
		found = true
		a, err = answerPage(ctx, tx, q, p.total, rows)
		return err
	})
	return a, ok && found, err
}

// matchingOf is what a list needs of the vectors: the fields of its filter, and those of its sort as they are.
func matchingOf(q *query.Query) *query.Query {
	m := &query.Query{Filter: q.Filter}
	for _, k := range q.Sort {
		m.Sort = append(m.Sort, query.SortKey{Field: k.Field, By: query.ByMaximum})
	}
	return m
}

func sortsByLeaves(q *query.Query) bool {
	return slices.ContainsFunc(q.Sort, func(k query.SortKey) bool { return encodedField(k.Field) })
}

// pageOf finds one page of a list by the vectors.
type pageOf struct {
	*columns
	q        *query.Query
	position *query.Position
	total    int64
}

// find returns the tasks of the page and, if there are more, one more; nil when that would take too long.
func (p *pageOf) find(ctx context.Context, tx *sql.Tx) ([]listed, error) {
	matches := p.predicate(p.q.Filter)
	var rows []int64
	for n := range p.alive.kinds {
		if n%rowsBetweenLooks == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if row := int64(n); p.alive.kinds[n] != vectorMissing && matches(row) {
			rows = append(rows, row)
		}
	}
	p.total = int64(len(rows))
	if len(p.q.Sort) == 0 && len(rows) > p.candidates {
		return p.walkIDs(ctx, tx, rows)
	}
	if len(p.q.Sort) > 0 {
		rows = p.foremost(rows)
	}
	if len(rows) > p.candidates {
		return nil, nil
	}
	return p.pick(ctx, tx, rows)
}

// keys are the values that sort a row.
func (p *pageOf) keys(row int64) []any {
	out := make([]any, len(p.q.Sort))
	for i, k := range p.q.Sort {
		v := p.vectors[k.Field.Name].get(row)
		if encodedField(k.Field) {
			v, _ = decodeLeaf(v)
		}
		out[i] = v
	}
	return out
}

func (p *pageOf) compare(a, b []any) int {
	for i, k := range p.q.Sort {
		if c := query.CompareForSort(a[i], b[i], k.Descending); c != 0 {
			return c
		}
	}
	return 0
}

// foremost are the rows that may be on the page: not before its position, and no further behind than as many as it holds.
// Which of those with equal keys are on it, their ids tell.
func (p *pageOf) foremost(rows []int64) []int64 {
	best := &furthest{compare: p.compare}
	type candidate struct {
		row  int64
		keys []any
	}
	var open []candidate
	for _, row := range rows {
		keys := p.keys(row)
		c := 1
		if p.position != nil {
			if c = p.compare(keys, p.position.Keys); c < 0 {
				continue
			}
		}
		full := best.Len() > p.q.PageSize()
		if full && p.compare(keys, best.list[0]) > 0 {
			continue
		}
		open = append(open, candidate{row, keys})
		switch {
		case c == 0: // its id may be before the position
		case full:
			best.list[0] = keys
			heap.Fix(best, 0)
		default:
			heap.Push(best, keys)
		}
	}
	var out []int64
	for _, o := range open {
		if best.Len() <= p.q.PageSize() || p.compare(o.keys, best.list[0]) <= 0 {
			out = append(out, o.row)
		}
	}
	return out
}

// furthest is a heap of sort keys with the one at the top that comes last.
type furthest struct {
	list    [][]any
	compare func(a, b []any) int
}

func (f *furthest) Len() int           { return len(f.list) }
func (f *furthest) Less(i, j int) bool { return f.compare(f.list[i], f.list[j]) > 0 }
func (f *furthest) Swap(i, j int)      { f.list[i], f.list[j] = f.list[j], f.list[i] }
func (f *furthest) Push(x any)         { f.list = append(f.list, x.([]any)) }
func (f *furthest) Pop() any           { panic("nothing leaves the heap") }

// pick reads the ids of the rows and returns the page in its order.
func (p *pageOf) pick(ctx context.Context, tx *sql.Tx, rows []int64) ([]listed, error) {
	out := []listed{}
	if len(rows) == 0 {
		return out, nil
	}
	found, err := tx.QueryContext(ctx, "SELECT n, id FROM tasks WHERE n IN (SELECT value FROM json_each(?))", rowList(rows))
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var l listed
		if err := found.Scan(&l.n, &l.id); err != nil {
			return nil, err
		}
		l.keys = p.keys(l.n)
		if p.position == nil || behind(p.q, l, p.position) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b listed) int {
		if c := p.compare(a.keys, b.keys); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	if len(out) > p.q.PageSize()+1 {
		out = out[:p.q.PageSize()+1]
	}
	return out, found.Err()
}

// walkIDs finds a page in the order of the ids where so many rows match that some are soon met.
func (p *pageOf) walkIDs(ctx context.Context, tx *sql.Tx, rows []int64) ([]listed, error) {
	matching := make([]bool, len(p.alive.kinds))
	for _, row := range rows {
		matching[row] = true
	}
	after := ""
	if p.position != nil {
		after = p.position.ID
	}
	ids, err := tx.QueryContext(ctx, "SELECT n, id FROM tasks WHERE id > ? ORDER BY id", after)
	if err != nil {
		return nil, err
	}
	defer ids.Close()
	out := []listed{}
	for len(out) <= p.q.PageSize() && ids.Next() {
		var l listed
		if err := ids.Scan(&l.n, &l.id); err != nil {
			return nil, err
		}
		if l.n < int64(len(matching)) && matching[l.n] {
			out = append(out, l)
		}
	}
	return out, ids.Err()
}
