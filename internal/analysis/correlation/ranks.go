package correlation

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// ranker makes Spearman's coefficient: Pearson's of the ranks, those of equal values being their mean. Each field is sorted
// once; the ranks within a pair are those among the tasks that have both values.
type ranker struct {
	orders map[*column][]int32
	rows   []int32   // of one field within the pair, by value
	ranks  []float64 // by row
	a, b   []float64
}

func newRanker(rows int) *ranker {
	return &ranker{orders: map[*column][]int32{}, ranks: make([]float64, rows)}
}

// rho returns the coefficient and the number of pairs; not finite where one of both is constant.
func (r *ranker) rho(x, y *column) (rho float64, n int64, constantX, constantY bool) {
	x.pad(len(r.ranks))
	y.pad(len(r.ranks))
	r.a, constantX = r.rank(x, y, r.a[:0])
	r.b, constantY = r.rank(y, x, r.b[:0])
	if len(r.a) == 0 || constantX || constantY {
		return math.NaN(), int64(len(r.a)), constantX, constantY
	}
	return clip(stat.Correlation(r.a, r.b, nil)), int64(len(r.a)), false, false
}

// rank appends the ranks of a field among the rows that have both, in the order of the rows.
func (r *ranker) rank(of, other *column, out []float64) (_ []float64, constant bool) {
	r.rows = r.rows[:0]
	for _, row := range r.order(of) {
		if !math.IsNaN(other.values[row]) {
			r.rows = append(r.rows, row)
		}
	}
	v := of.values
	for first := 0; first < len(r.rows); {
		last := first
		for last+1 < len(r.rows) && v[r.rows[last+1]] == v[r.rows[first]] {
			last++
		}
		for _, row := range r.rows[first : last+1] {
			r.ranks[row] = float64(first+last)/2 + 1
		}
		constant = first == 0 && last == len(r.rows)-1
		first = last + 1
	}
	for row, a := range v {
		if !math.IsNaN(a) && !math.IsNaN(other.values[row]) {
			out = append(out, r.ranks[row])
		}
	}
	return out, constant
}

func (r *ranker) order(c *column) []int32 {
	if order, ok := r.orders[c]; ok {
		return order
	}
	order := make([]int32, 0, c.numbers.n)
	for row, v := range c.values {
		if !math.IsNaN(v) {
			order = append(order, int32(row)) //nolint:gosec // rows are MaxRanked at most
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(c.values[a], c.values[b]) })
	r.orders[c] = order
	return order
}
