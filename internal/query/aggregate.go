package query

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// grouping makes the groups of an aggregation, one document at a time.
type grouping struct {
	q      *Query
	fields []Field // that make the groups
	index  map[string]*group
	list   []*group
	left   map[string]*leftOut
}

// group is one row of an aggregation in the making.
type group struct {
	values  []any // of the group's fields; nil and not present where the tasks have none
	present []bool
	count   int64
	counts  []int64          // per aggregate: tasks that have the field
	numbers map[string][]any // by aggregated field: the finite numbers
	results map[int]any      // per aggregate: what a store has computed
	row     map[string]any
	maxima  []any // per SortKey
}

func newGrouping(q *Query) *grouping {
	return &grouping{q: q, fields: q.Groups(), index: map[string]*group{}, left: map[string]*leftOut{}}
}

func (g *grouping) newGroup() *group {
	return &group{
		values: make([]any, len(g.fields)), present: make([]bool, len(g.fields)),
		counts: make([]int64, len(g.q.Aggregation)), numbers: map[string][]any{}, maxima: make([]any, len(g.q.Sort)),
	}
}

func (g *grouping) add(d *document) {
	gr := g.groupOf(d)
	gr.count++
	seen := map[string]bool{}
	for i, a := range g.q.Aggregation {
		if a.Op == Count {
			if _, ok := d.values(a.Field); ok {
				gr.counts[i]++
			}
		} else if !seen[a.Field.Name] {
			seen[a.Field.Name] = true
			g.collect(gr, a.Field, d)
		}
	}
	for i, k := range g.q.Sort {
		if k.By == ByMaximum {
			gr.raise(i, k.Field, d)
		}
	}
}

func (g *grouping) groupOf(d *document) *group {
	values, present := make([]any, len(g.fields)), make([]bool, len(g.fields))
	for i, f := range g.fields {
		values[i], present[i] = d.leaf(f)
	}
	return g.find(values, present)
}

// find returns the group of these values, made if missing.
func (g *grouping) find(values []any, present []bool) *group {
	key := groupKey(values, present)
	gr := g.index[key]
	if gr == nil {
		gr = g.newGroup()
		gr.values, gr.present = values, present
		g.index[key] = gr
		g.list = append(g.list, gr)
	}
	for i, v := range values {
		if _, whole := v.(int64); whole { // 1 and 1.0 are one group, shown as 1
			gr.values[i] = v
		}
	}
	return gr
}

func groupKey(values []any, present []bool) string {
	var key strings.Builder
	for i, v := range values {
		if !present[i] {
			key.WriteString("-\n")
			continue
		}
		key.WriteString(task.JSON(groupValue(v)) + "\n")
	}
	return key.String()
}

func (g *grouping) answer(position *Position) *Answer {
	q, groups := g.q, g.list
	if len(groups) == 0 && len(g.fields) == 0 {
		groups = []*group{g.newGroup()} // aggregates over nothing are one row that says so
	}
	for _, gr := range groups {
		gr.compute(q)
	}
	slices.SortFunc(groups, func(x, y *group) int { return q.compareGroups(x, y) })

	a := &Answer{Total: int64(len(groups)), Rows: []map[string]any{}}
	for _, f := range keys(g.left) {
		if w := LeftOutWarning(f, g.left[f].notFinite, g.left[f].notNumber); w != "" {
			a.Warnings = append(a.Warnings, w)
		}
	}
	start := int64(0)
	if position != nil {
		start = min(position.Offset, a.Total)
	}
	groups = groups[start:]
	if n := q.PageSize(); len(groups) > n {
		groups = groups[:n]
		a.Truncated, a.Live, a.NextCursor = true, true, q.CursorAt(start+int64(n))
	}
	for _, gr := range groups {
		a.Rows = append(a.Rows, gr.row)
	}
	return a
}

// groupValue brings equal numbers to one form.
func groupValue(v any) any {
	if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return int64(f)
	}
	return v
}

type leftOut struct{ notFinite, notNumber int64 }

// LeftOutWarning says which values of a field are not in its aggregates; "" when all are.
func LeftOutWarning(field string, notFinite, notNumber int64) string {
	var parts []string
	if notFinite > 0 {
		parts = append(parts, fmt.Sprintf("%d not finite", notFinite))
	}
	if notNumber > 0 {
		parts = append(parts, fmt.Sprintf("%d not a number", notNumber))
	}
	if parts == nil {
		return ""
	}
	return fmt.Sprintf("%s: values left out of the aggregates: %s", field, strings.Join(parts, ", "))
}

func (g *group) compute(q *Query) {
	g.row = map[string]any{ColumnCount: g.count}
	for i, f := range q.Groups() {
		if g.present[i] {
			g.row[f.Name] = g.values[i]
		}
	}
	for i, a := range q.Aggregation {
		if a.Op == Count {
			g.row[a.Column()] = g.counts[i]
		} else if v, ok := g.results[i]; ok {
			g.row[a.Column()] = v
		} else if v := a.of(g.numbers[a.Field.Name]); v != nil {
			g.row[a.Column()] = v
		}
	}
}

// collect takes the finite numbers of a field, the elements of lists one by one. Null is nothing, and nothing is left out
// by leaving it out.
func (g *grouping) collect(gr *group, f Field, d *document) {
	vals, _ := d.values(f)
	for _, v := range vals {
		n, ok := number(v)
		switch {
		case ok && !n.IsInf():
			if _, huge := v.(map[string]any); huge {
				v, _ = n.Float64()
			}
			gr.numbers[f.Name] = append(gr.numbers[f.Name], v)
		case v == nil:
		case ok || isNaN(v):
			g.leftOut(f).notFinite++
		default:
			g.leftOut(f).notNumber++
		}
	}
}

func (g *grouping) leftOut(f Field) *leftOut {
	l := g.left[f.Name]
	if l == nil {
		l = &leftOut{}
		g.left[f.Name] = l
	}
	return l
}

// raise keeps the greatest value of a field for a sort key.
func (g *group) raise(i int, f Field, d *document) {
	vals, _ := d.values(f)
	for _, v := range vals {
		if rank(v) != rankNothing && (g.maxima[i] == nil || CompareForSort(v, g.maxima[i], false) > 0) {
			g.maxima[i] = v
		}
	}
}

func (q *Query) compareGroups(x, y *group) int {
	groups := q.Groups()
	value := func(g *group, i int) any {
		switch k := q.Sort[i]; k.By {
		case ByAggregate:
			return g.row[q.Aggregation[k.Aggregate].Column()]
		case ByCount:
			return g.row[ColumnCount]
		case ByMaximum:
			return g.maxima[i]
		default:
			return g.row[k.Field.Name]
		}
	}
	for i, k := range q.Sort {
		if c := CompareForSort(value(x, i), value(y, i), k.Descending); c != 0 {
			return c
		}
	}
	for i := range groups {
		if c := CompareForSort(x.values[i], y.values[i], false); c != 0 {
			return c
		}
		// Missing, null and NaN sort alike; only the group without the field comes behind the others.
		if c := compareInt(truth(y.present[i]), truth(x.present[i])); c != 0 {
			return c
		}
		if c := strings.Compare(task.JSON(y.values[i]), task.JSON(x.values[i])); c != 0 && rank(x.values[i]) == rankNothing {
			return c
		}
	}
	return 0
}

// of computes one aggregate; nil when there is nothing to compute it of.
func (a Aggregate) of(numbers []any) any {
	switch {
	case len(numbers) == 0:
		return nil
	case a.Op == Min || a.Op == Max:
		best := numbers[0]
		for _, v := range numbers[1:] {
			c := CompareForSort(v, best, a.Op == Max)
			if _, whole := v.(int64); c < 0 || c == 0 && whole {
				best = v
			}
		}
		return best
	case a.Op == Sum:
		return sum(numbers)
	case a.Field.Type == Time:
		// Times are too great for a float64 to hold every nanosecond: compute with distances from the first.
		base := numbers[0].(int64)
		distances := make([]float64, len(numbers))
		for i, v := range numbers {
			distances[i] = float64(v.(int64) - base)
		}
		return base + int64(math.Round(statistic(a.Op, distances).(float64)))
	}
	floats := make([]float64, len(numbers))
	for i, v := range numbers {
		floats[i] = toFloat(v)
	}
	return statistic(a.Op, floats)
}

func toFloat(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	f, _ := v.(float64)
	return f
}

// sum is an integer as long as all of its parts are and it fits.
func sum(numbers []any) any {
	var whole int64
	total, exact := 0.0, true
	for _, v := range numbers {
		i, ok := v.(int64)
		s := whole + i
		exact = exact && ok && (s > whole) == (i > 0)
		whole = s
		total += toFloat(v)
	}
	if exact {
		return whole
	}
	return total
}

func statistic(op AggregateOp, x []float64) any {
	n := float64(len(x))
	total := 0.0
	for _, v := range x {
		total += v
	}
	switch op {
	case Avg:
		return total / n
	case Stddev:
		if len(x) < 2 {
			return nil
		}
		mean, squares := total/n, 0.0
		for _, v := range x {
			squares += (v - mean) * (v - mean)
		}
		return math.Sqrt(squares / (n - 1))
	case Median:
		return Quantile(x, 0.5)
	default:
		return Quantile(x, 0.95)
	}
}

// Quantile sorts x, which must not be empty, and interpolates linearly between the closest ranks, as numpy does.
func Quantile(x []float64, p float64) float64 {
	slices.Sort(x)
	at := p * float64(len(x)-1)
	low := int(math.Floor(at))
	if low+1 >= len(x) {
		return x[len(x)-1]
	}
	return x[low] + (at-float64(low))*(x[low+1]-x[low])
}
