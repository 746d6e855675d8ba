package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// aggregate answers a query with aggregation: SQLite filters and finds the fields, the groups are made here, so that
// every operation has the same numbers to work with and nothing is lost to SQL's types.
func (s *Store) aggregate(ctx context.Context, tx *sql.Tx, q *query.Query, position *query.Position) (*query.Answer, error) {
	g := newGrouping(q)
	st := &statement{}
	for _, f := range g.fields {
		if _, _, err := st.column(f); err != nil {
			return nil, err
		}
	}
	pushed, rest, err := st.conditions(q.Filter)
	if err != nil {
		return nil, err
	}
	for i, f := range g.fields {
		g.encoded[i] = st.columns[st.byName[f.Name]].encoded
	}
	names := make([]string, len(g.fields))
	for i, f := range g.fields {
		name, c, _ := st.column(f) // known by now
		if names[i] = name; g.counts[i] {
			exists := query.Compare{Field: f, Op: query.Exists, Value: true}
			if names[i], err = (&compiler{statement: st}).exists(name, c, exists); err != nil {
				return nil, err
			}
		}
	}
	if counting(q) {
		if err := g.count(ctx, tx, st, names, pushed, rest); err != nil {
			return nil, err
		}
		return g.answer(position), nil
	}
	if len(names) == 0 {
		names = []string{"1"}
	}
	rows, err := tx.QueryContext(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+st.from(pushed)+whereOf(rest), st.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	values := make([]any, len(names))
	dest := make([]any, len(names))
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		g.add(values)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return g.answer(position), nil
}

// grouping makes the groups of an aggregation. add takes one task at a time: the values of fields in stored form.
type grouping struct {
	q       *query.Query
	fields  []query.Field // the groups' fields, then those of the aggregates, then those of the sort
	encoded []bool
	counts  []bool // fields of which only the existence, 1 or 0, is asked for: a path to a map counts, too
	groups  int    // of fields, how many are groups
	index   map[string]*group
	list    []*group
	left    map[string]*leftOut
	key     []byte
}

type group struct {
	values  []any
	present []bool
	count   int64
	accs    []*accumulator // per aggregate; those of one field share it
	counts  []int64        // per aggregate: tasks that have the field
	maxima  []any          // per sort key
}

type leftOut struct{ notFinite, notNumber int64 }

func newGrouping(q *query.Query) *grouping {
	g := &grouping{q: q, index: map[string]*group{}, left: map[string]*leftOut{}}
	g.fields = append(g.fields, q.Groups()...)
	g.groups = len(g.fields)
	for _, a := range q.Aggregation {
		g.fields = append(g.fields, a.Field)
	}
	for _, k := range q.Sort {
		if k.By == query.ByMaximum {
			g.fields = append(g.fields, k.Field)
		}
	}
	g.encoded, g.counts = make([]bool, len(g.fields)), make([]bool, len(g.fields))
	for i, a := range q.Aggregation {
		g.counts[g.groups+i] = a.Op == query.Count
	}
	return g
}

// appendKey appends what tells a value from others; 1 and 1.0 are one.
func appendKey(key []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(key, '-', 0)
	case int64:
		return append(strconv.AppendInt(append(key, '#'), v, 10), 0)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return append(strconv.AppendInt(append(key, '#'), int64(v), 10), 0)
		}
		return append(strconv.AppendFloat(append(key, '#'), v, 'g', -1, 64), 0)
	case string:
		return append(strconv.AppendQuote(append(key, '$'), v), 0)
	default:
		return append(fmt.Appendf(append(key, '?'), "%v", v), 0)
	}
}

func (g *grouping) add(values []any) {
	g.key = g.key[:0]
	for i := range values {
		if b, ok := values[i].([]byte); ok {
			values[i] = string(b)
		}
		if i < g.groups {
			g.key = appendKey(g.key, values[i])
		}
	}
	gr := g.index[string(g.key)]
	if gr == nil {
		gr = g.newGroup(values)
		g.index[string(g.key)] = gr
		g.list = append(g.list, gr)
	}
	gr.count++
	for i := range gr.values {
		if v, whole := values[i].(int64); whole { // 1 and 1.0 are one group, shown as 1
			gr.values[i] = v
		}
	}
	for i, a := range g.q.Aggregation {
		v := values[g.groups+i]
		switch {
		case a.Op == query.Count:
			if v == int64(1) {
				gr.counts[i]++
			}
		case gr.accs[i].owner == i:
			g.accumulate(gr.accs[i], g.encoded[g.groups+i], v)
		}
	}
	at := g.groups + len(g.q.Aggregation)
	for i, k := range g.q.Sort {
		if k.By != query.ByMaximum {
			continue
		}
		eachValue(g.encoded[at], values[at], func(v any) {
			if nothing(v) {
				return
			}
			if gr.maxima[i] == nil || query.CompareForSort(v, gr.maxima[i], false) > 0 {
				gr.maxima[i] = v
			}
		})
		at++
	}
}

func nothing(v any) bool {
	f, ok := v.(float64)
	return v == nil || ok && math.IsNaN(f)
}

func (g *grouping) newGroup(values []any) *group {
	gr := &group{
		values: make([]any, g.groups), present: make([]bool, g.groups),
		accs: make([]*accumulator, len(g.q.Aggregation)), counts: make([]int64, len(g.q.Aggregation)),
		maxima: make([]any, len(g.q.Sort)),
	}
	for i := range gr.values {
		gr.present[i] = values[i] != nil
		if g.encoded[i] {
			gr.values[i], _ = decodeLeaf(values[i])
		} else {
			gr.values[i] = values[i]
		}
	}
	byField := map[string]*accumulator{}
	for i, a := range g.q.Aggregation {
		if a.Op == query.Count {
			continue
		}
		acc := byField[a.Field.Name]
		if acc == nil {
			acc = &accumulator{owner: i, field: a.Field}
			byField[a.Field.Name] = acc
		}
		acc.keep = acc.keep || a.Op == query.Median || a.Op == query.P95
		gr.accs[i] = acc
	}
	return gr
}

// eachValue calls f for the value of a field, or for the elements of a list.
func eachValue(encoded bool, v any, f func(any)) {
	switch v.(type) {
	case nil:
		return
	case int64, float64:
		f(v)
		return
	}
	if encoded {
		v, _ = decodeLeaf(v)
	}
	if list, ok := v.([]any); ok {
		for _, e := range list {
			f(e)
		}
		return
	}
	f(v)
}

func (g *grouping) accumulate(acc *accumulator, encoded bool, v any) {
	eachValue(encoded, v, func(v any) {
		switch n := v.(type) {
		case nil:
		case int64:
			acc.addInt(n)
		case float64:
			if math.IsNaN(n) || math.IsInf(n, 0) {
				g.leftOut(acc.field).notFinite++
				return
			}
			acc.addFloat(n)
		case map[string]any:
			if f, ok := bigFloat(n); ok {
				acc.addFloat(f)
				return
			}
			g.leftOut(acc.field).notNumber++
		default:
			g.leftOut(acc.field).notNumber++
		}
	})
}

func (g *grouping) leftOut(f query.Field) *leftOut {
	l := g.left[f.Name]
	if l == nil {
		l = &leftOut{}
		g.left[f.Name] = l
	}
	return l
}

func (g *grouping) answer(position *query.Position) *query.Answer {
	if len(g.list) == 0 && g.groups == 0 {
		g.list = []*group{g.newGroup(nil)} // aggregates over nothing are one row that says so
	}
	a := &query.Answer{Total: int64(len(g.list)), Rows: []map[string]any{}}
	rows := make([]map[string]any, len(g.list))
	order := make([]int, len(g.list))
	approximate := map[string]bool{}
	for i, gr := range g.list {
		order[i] = i
		rows[i] = g.row(gr, approximate)
	}
	sort.Slice(order, func(i, j int) bool { return g.compare(order[i], order[j], rows) < 0 })
	for _, name := range sortedNames(g.left) {
		l := g.left[name]
		if w := query.LeftOutWarning(name, l.notFinite, l.notNumber); w != "" {
			a.Warnings = append(a.Warnings, w)
		}
	}
	for _, name := range sortedNames(approximate) {
		a.Warnings = append(a.Warnings, fmt.Sprintf("%s: approximate in groups of more than %d values", name, maxExact))
	}
	start := int64(0)
	if position != nil {
		start = min(position.Offset, a.Total)
	}
	order = order[start:]
	if n := g.q.PageSize(); len(order) > n {
		order = order[:n]
		a.Truncated, a.Live, a.NextCursor = true, true, g.q.CursorAt(start+int64(n))
	}
	for _, i := range order {
		a.Rows = append(a.Rows, rows[i])
	}
	return a
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func (g *grouping) row(gr *group, approximate map[string]bool) map[string]any {
	row := map[string]any{query.ColumnCount: gr.count}
	for i, f := range g.fields[:g.groups] {
		if gr.present[i] {
			row[f.Name] = gr.values[i]
		}
	}
	for i, a := range g.q.Aggregation {
		if a.Op == query.Count {
			row[a.Column()] = gr.counts[i]
			continue
		}
		if v := gr.accs[i].result(a); v != nil {
			row[a.Column()] = v
		}
		if gr.accs[i].sampled() && (a.Op == query.Median || a.Op == query.P95) {
			approximate[a.Column()] = true
		}
	}
	return row
}

// compare orders two groups, by index.
func (g *grouping) compare(i, j int, rows []map[string]any) int {
	x, y := g.list[i], g.list[j]
	for s, k := range g.q.Sort {
		var a, b any
		switch k.By {
		case query.ByAggregate:
			column := g.q.Aggregation[k.Aggregate].Column()
			a, b = rows[i][column], rows[j][column]
		case query.ByCount:
			a, b = x.count, y.count
		case query.ByMaximum:
			a, b = x.maxima[s], y.maxima[s]
		default:
			a, b = rows[i][k.Field.Name], rows[j][k.Field.Name]
		}
		if c := query.CompareForSort(a, b, k.Descending); c != 0 {
			return c
		}
	}
	for f := range x.values {
		if c := query.CompareForSort(x.values[f], y.values[f], false); c != 0 {
			return c
		}
		// Missing, null and NaN sort alike: null before NaN, and the group without the field behind both.
		if x.present[f] != y.present[f] {
			if x.present[f] {
				return -1
			}
			return 1
		}
		if nothing(x.values[f]) {
			if c := strings.Compare(task.JSON(y.values[f]), task.JSON(x.values[f])); c != 0 {
				return c
			}
		}
	}
	return 0
}
