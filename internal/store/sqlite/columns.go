package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// columns keeps the fields that aggregations, filters and sorts asked for lately in memory, so that a question over a million tasks need not
// read a million documents. A vector is read once, from a snapshot, and afterwards only where tasks changed. What does not
// fit within the limit is answered by SQLite.
//
// Consistency: the writer commits, and notes which rows it changed, under dirtyMu; a query takes the notes and its
// snapshot under dirtyMu. So the notes are exactly what lies between two snapshots, and all vectors are as of the last.
type columns struct {
	limit int
	from  int64 // tasks from which on vectors pay
	// candidates is of how many tasks ids are read to find one page of a list among them.
	candidates int

	// turn holds a token while no query uses what follows: a channel, so that a query can give up waiting.
	turn    chan struct{}
	vectors map[string]*vector
	// refused are the fields that alone exceed the limit; trying again would cost a scan for nothing.
	refused map[string]bool
	alive   *vector // 1 for each row that is a task
	clock   int64

	dirtyMu  sync.Mutex
	tracking bool // notes are taken: there are vectors
	stale    bool // the notes do not tell all: forget every vector
	dirty    []int64
}

const (
	// columnsFrom is the number of tasks below which SQLite answers soon enough.
	columnsFrom = 20_000
	// maxCandidates bounds what one page of a list may cost.
	maxCandidates = 50_000
	// maxDirty bounds the notes; above it reading everything again is no dearer.
	maxDirty = 200_000
	// rowsBetweenLooks is how many rows are evaluated before the deadline is looked at again.
	rowsBetweenLooks = 4_096
)

func newColumns(limit int) *columns {
	c := &columns{limit: limit, from: columnsFrom, candidates: maxCandidates, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// note remembers changed rows. The caller holds dirtyMu.
func (c *columns) note(rows []int64, all bool) {
	if !c.tracking {
		return
	}
	if all || len(c.dirty)+len(rows) > maxDirty {
		c.stale, c.dirty = true, nil
	}
	if !c.stale {
		c.dirty = append(c.dirty, rows...)
	}
}

// aggregateColumns answers an aggregation from vectors; ok is false when SQLite must.
func (s *Store) aggregateColumns(ctx context.Context, q *query.Query, position *query.Position) (a *query.Answer, ok bool, err error) {
	ok, err = s.withColumns(ctx, q, func(tx *sql.Tx) error {
		if err := checkAmbiguous(ctx, tx, q); err != nil {
			return err
		}
		a, err = s.columns.answer(ctx, q, position)
		return err
	})
	return a, ok, err
}

// withColumns calls use when all vectors that the query needs are there, as of the snapshot of tx; ok is false when they
// are not, and SQLite must answer.
func (s *Store) withColumns(ctx context.Context, q *query.Query, use func(tx *sql.Tx) error) (ok bool, err error) {
	c := s.columns
	if c == nil || !columnar(q) {
		return false, nil
	}
	few, soon, err := s.narrowed(ctx, q.Filter)
	if few || err != nil {
		return false, err
	}
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if (soon || counting(q) && onColumns(q.Filter)) && c.lacks(q) {
		return false, nil
	}
	// Before the lock, which the writer needs to commit: it must not wait for the readers that hold the connections.
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()

	c.dirtyMu.Lock()
	tx, rows, err := beginSnapshot(ctx, conn)
	if err != nil {
		c.dirtyMu.Unlock()
		return false, err
	}
	defer tx.Rollback()
	dirty, stale := c.dirty, c.stale
	c.dirty, c.stale, c.tracking = nil, false, rows >= c.from
	c.dirtyMu.Unlock()
	if stale || rows < c.from {
		c.vectors, c.alive = nil, nil
	}
	if rows < c.from {
		return false, nil
	}
	ok, err = c.bring(ctx, tx, q, dirty)
	if err != nil {
		// The notes are gone, and some vectors may lack them.
		c.vectors, c.alive = nil, nil
	}
	if !ok || err != nil {
		return false, err
	}
	err = use(tx)
	return err == nil, err
}

// soonShare is the part of all tasks, one in so many, whose documents are read sooner than a vector of all.
const soonShare = 4

// narrowed says whether what a filter demands of indexed columns leaves few tasks, whose documents are read sooner than
// vectors are looked through, or so many that they are read sooner than a vector is loaded.
func (s *Store) narrowed(ctx context.Context, f query.Filter) (few, soon bool, err error) {
	parts := []query.Filter{f}
	if and, ok := f.(query.And); ok {
		parts = flatten(and)
	}
	var direct []query.Filter
	indexed := false
	for _, p := range parts {
		if p == nil || !onColumns(p) {
			continue
		}
		direct = append(direct, p)
		c, ok := p.(query.Compare)
		indexed = indexed || ok && (c.Op == query.Eq || c.Op == query.In) && (c.Field.Name == "id" || c.Field.Name == "campaign_id")
	}
	if !indexed {
		return false, false, nil
	}
	st := &statement{}
	pushed, _, err := st.conditions(query.And{Parts: direct})
	if err != nil {
		return false, false, err
	}
	var all, n int64
	if err := s.read.QueryRowContext(ctx, "SELECT coalesce(max(n), 0) FROM tasks").Scan(&all); err != nil {
		return false, false, err
	}
	most := max(s.columns.from, all/soonShare)
	counting := fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM tasks t WHERE %s LIMIT %d)", pushed, most+1)
	err = s.read.QueryRowContext(ctx, counting, st.args...).Scan(&n)
	return n <= s.columns.from, n <= most, err
}

// flatten are the conditions that must all hold.
func flatten(and query.And) (out []query.Filter) {
	for _, p := range and.Parts {
		if inner, ok := p.(query.And); ok {
			out = append(out, flatten(inner)...)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// lacks says whether a vector would have to be loaded for a query.
func (c *columns) lacks(q *query.Query) bool {
	return slices.ContainsFunc(wants(q), func(w wanted) bool { return c.vectors[w.key()] == nil })
}

// columnar says whether vectors can hold what the query asks for. The record of an environment may come or change without
// any change of its tasks.
func columnar(q *query.Query) bool {
	for _, f := range q.Fields() {
		if f.Root == "environment" || f.Type == query.Object {
			return false
		}
	}
	return true
}

// beginSnapshot begins a read transaction that sees what is committed now, and says how many rows there may be.
func beginSnapshot(ctx context.Context, conn *sql.Conn) (tx *sql.Tx, rows int64, err error) {
	tx, err = conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, err
	}
	// The snapshot is taken by the first read.
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(n), 0) FROM tasks").Scan(&rows); err != nil {
		_ = tx.Rollback() // nothing was written
		return nil, 0, err
	}
	return tx, rows, nil
}

// wanted is the vector that a use of a field needs: its value, or whether it exists.
type wanted struct {
	field  query.Field
	exists bool
}

func (w wanted) key() string {
	if w.exists {
		return "?" + w.field.Name
	}
	return w.field.Name
}

func (w wanted) source() (vectorSource, error) {
	st := &statement{}
	_, c, err := st.column(w.field)
	if err != nil {
		return vectorSource{}, err
	}
	src := vectorSource{row: "t.n", table: "tasks t", expr: c.expr}
	if c.encoded {
		src.row, src.table = "l.n", "leaves l"
	}
	if w.exists {
		main := strings.NewReplacer("json_each(main)", "json_each(l.main)", "json_each(extra)", "json_each(l.extra)")
		sqlText, err := (&compiler{statement: st}).exists(c.expr, c, query.Compare{Field: w.field, Op: query.Exists, Value: true})
		if err != nil {
			return vectorSource{}, err
		}
		src.expr = main.Replace(sqlText)
	}
	src.args = st.args
	return src, nil
}

// wants lists the vectors of a query.
func wants(q *query.Query) []wanted {
	seen := map[string]bool{}
	var out []wanted
	add := func(w wanted) {
		if !seen[w.key()] {
			seen[w.key()] = true
			out = append(out, w)
		}
	}
	g := newGrouping(q)
	for i, f := range g.fields {
		add(wanted{field: f, exists: g.counts[i]})
	}
	query.EachCompare(q.Filter, func(c query.Compare, _ bool) {
		add(wanted{field: c.Field, exists: c.Op == query.Exists})
	})
	return out
}

// bring loads the missing vectors of a query and refreshes the others. ok is false when they do not fit.
func (c *columns) bring(ctx context.Context, tx *sql.Tx, q *query.Query, dirty []int64) (ok bool, err error) {
	c.clock++
	if c.vectors == nil {
		c.vectors, c.refused = map[string]*vector{}, map[string]bool{}
	}
	changed := rowList(dirty)
	if c.alive == nil {
		c.alive = &vector{source: aliveSource}
		if ok, err := c.alive.load(ctx, tx, aliveSource, "", c.limit); !ok || err != nil {
			c.alive, c.vectors = nil, nil
			return false, err
		}
	} else if changed != "" {
		if _, err := c.alive.load(ctx, tx, aliveSource, changed, c.limit); err != nil {
			return false, err
		}
	}
	need := wants(q)
	possible := true
	for _, w := range need {
		possible = possible && !c.refused[w.key()]
	}
	for _, w := range need {
		if v := c.vectors[w.key()]; v != nil {
			v.used = c.clock
		}
	}
	// Every vector is refreshed, or forgotten: the notes are gone after this query.
	for key, v := range c.vectors {
		if changed == "" {
			break
		}
		if fits, err := v.load(ctx, tx, v.source, changed, c.limit); err != nil {
			return false, err
		} else if !fits {
			delete(c.vectors, key)
		}
	}
	if !possible {
		return false, nil
	}
	for _, w := range need {
		if c.vectors[w.key()] != nil {
			continue
		}
		src, err := w.source()
		if err != nil {
			return false, err
		}
		v := &vector{source: src, used: c.clock}
		fits, err := v.load(ctx, tx, src, "", c.limit)
		if err != nil {
			return false, err
		}
		if !fits {
			c.refused[w.key()] = true
			return false, nil
		}
		c.vectors[w.key()] = v
	}
	return c.evict(), nil
}

var aliveSource = vectorSource{row: "t.n", expr: "1", table: "tasks t"}

// evict forgets the vectors that were not used for longest until the limit holds. It returns false when those of the
// present query alone exceed it.
func (c *columns) evict() bool {
	for {
		total := c.alive.size()
		oldest := ""
		for key, v := range c.vectors {
			total += v.size()
			if v.used < c.clock && (oldest == "" || v.used < c.vectors[oldest].used) {
				oldest = key
			}
		}
		if total <= c.limit {
			return true
		}
		if oldest == "" {
			clear(c.vectors)
			return false
		}
		delete(c.vectors, oldest)
	}
}

func rowList(rows []int64) string {
	if len(rows) == 0 {
		return ""
	}
	buf := []byte{'['}
	for i, n := range rows {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = strconv.AppendInt(buf, n, 10)
	}
	return string(append(buf, ']'))
}

// answer evaluates the query over the vectors.
func (c *columns) answer(ctx context.Context, q *query.Query, position *query.Position) (*query.Answer, error) {
	g := newGrouping(q)
	for i, f := range g.fields {
		g.encoded[i] = encodedField(f)
	}
	var inputs []*vector
	for i, f := range g.fields {
		inputs = append(inputs, c.vectors[wanted{field: f, exists: g.counts[i]}.key()])
	}
	matches := c.predicate(q.Filter)
	values := make([]any, len(inputs))
	for n := range c.alive.kinds {
		if n%rowsBetweenLooks == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		row := int64(n)
		if c.alive.kinds[n] == vectorMissing || !matches(row) {
			continue
		}
		for i, v := range inputs {
			values[i] = v.get(row)
		}
		g.add(values)
	}
	return g.answer(position), nil
}

func encodedField(f query.Field) bool { return !promoted[f.Name] && f.Name != "elapsed" }
