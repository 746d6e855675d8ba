package query

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// group is one row of an aggregation in the making.
type group struct {
	values  []any // of the group's fields; nil and not present where the tasks have none
	present []bool
	members []*document
	row     map[string]any
	maxima  []any // per SortKey
}

func aggregate(docs []*document, q *Query, position *Position) *Answer {
	groups := collectGroups(docs, q.Groups())
	if len(groups) == 0 && len(q.Groups()) == 0 {
		groups = []*group{{}} // aggregates over nothing are one row that says so
	}
	left := map[string]*leftOut{}
	for _, g := range groups {
		g.compute(q, left)
	}
	slices.SortFunc(groups, func(x, y *group) int { return q.compareGroups(x, y) })

	a := &Answer{Total: int64(len(groups)), Rows: []map[string]any{}}
	for _, f := range keys(left) {
		if w := LeftOutWarning(f, left[f].notFinite, left[f].notNumber); w != "" {
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
	for _, g := range groups {
		a.Rows = append(a.Rows, g.row)
	}
	return a
}

func collectGroups(docs []*document, fields []Field) []*group {
	index := map[string]*group{}
	var groups []*group
	for _, d := range docs {
		g := &group{values: make([]any, len(fields)), present: make([]bool, len(fields))}
		var key strings.Builder
		for i, f := range fields {
			g.values[i], g.present[i] = d.leaf(f)
			if !g.present[i] {
				key.WriteString("-\n")
				continue
			}
			key.WriteString(task.JSON(groupValue(g.values[i])) + "\n")
		}
		known := index[key.String()]
		if known == nil {
			known = g
			index[key.String()] = g
			groups = append(groups, g)
		}
		for i, v := range g.values {
			if _, whole := v.(int64); whole { // 1 and 1.0 are one group, shown as 1
				known.values[i] = v
			}
		}
		known.members = append(known.members, d)
	}
	return groups
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

func (g *group) compute(q *Query, left map[string]*leftOut) {
	g.row = map[string]any{ColumnCount: int64(len(g.members))}
	for i, f := range q.Groups() {
		if g.present[i] {
			g.row[f.Name] = g.values[i]
		}
	}
	counted := map[string]bool{}
	for _, a := range q.Aggregation {
		if a.Op == Count {
			g.row[a.Column()] = g.countOf(a.Field)
			continue
		}
		lo := left[a.Field.Name]
		if lo == nil {
			lo = &leftOut{}
			left[a.Field.Name] = lo
		}
		numbers := g.numbers(a.Field, lo, !counted[a.Field.Name])
		counted[a.Field.Name] = true
		if v := a.of(numbers); v != nil {
			g.row[a.Column()] = v
		}
	}
	g.maxima = make([]any, len(q.Sort))
	for i, k := range q.Sort {
		if k.By == ByMaximum {
			g.maxima[i] = g.maximum(k.Field)
		}
	}
}

func (g *group) countOf(f Field) (n int64) {
	for _, d := range g.members {
		if _, ok := d.values(f); ok {
			n++
		}
	}
	return n
}

// numbers returns the finite numbers of a field, the elements of lists one by one. Null is nothing, and nothing is left
// out by leaving it out.
func (g *group) numbers(f Field, left *leftOut, count bool) []any {
	var out []any
	for _, d := range g.members {
		vals, _ := d.values(f)
		for _, v := range vals {
			n, ok := number(v)
			switch {
			case ok && !n.IsInf():
				if _, huge := v.(map[string]any); huge {
					v, _ = n.Float64()
				}
				out = append(out, v)
			case !count || v == nil:
			case ok || isNaN(v):
				left.notFinite++
			default:
				left.notNumber++
			}
		}
	}
	return out
}

func (g *group) maximum(f Field) (greatest any) {
	for _, d := range g.members {
		vals, _ := d.values(f)
		for _, v := range vals {
			if rank(v) != rankNothing && (greatest == nil || CompareForSort(v, greatest, false) > 0) {
				greatest = v
			}
		}
	}
	return greatest
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
