package sqlite

import (
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// maxExact is the number of values of a group up to which median and p95 are exact; above it they are those of a uniform
// sample of this size.
const maxExact = 100_000

// accumulator takes the finite numbers of one field in one group.
type accumulator struct {
	owner int // the aggregate that feeds it
	field query.Field
	keep  bool // keep the values, for quantiles

	n        int64
	min, max any
	whole    int64 // the sum, as long as exact
	inexact  bool
	sum      float64
	// Welford's running mean and sum of squared distances from it. Times are measured from the first one: a float64 does
	// not hold every nanosecond since 1970.
	baseInt  int64
	mean, m2 float64
	values   []float64
	rng      *rand.Rand
}

func (a *accumulator) addInt(v int64) {
	whole := a.whole + v
	a.inexact = a.inexact || (whole > a.whole) != (v > 0)
	a.whole = whole
	if a.n == 0 {
		a.baseInt = v
	}
	x := float64(v)
	if a.field.Type == query.Time {
		x = float64(v - a.baseInt)
	}
	a.add(v, x, float64(v))
}

func (a *accumulator) addFloat(v float64) {
	a.inexact = true
	a.add(v, v, v)
}

func (a *accumulator) add(v any, x, plain float64) {
	a.n++
	a.sum += plain
	if a.min == nil || less(v, a.min) {
		a.min = v
	}
	if a.max == nil || less(a.max, v) {
		a.max = v
	} else if _, whole := v.(int64); whole && !less(v, a.max) {
		a.max = v // of 1.0 and 1, show 1
	}
	if _, whole := v.(int64); whole && !less(a.min, v) {
		a.min = v
	}
	d := x - a.mean
	a.mean += d / float64(a.n)
	a.m2 += d * (x - a.mean)
	if !a.keep {
		return
	}
	if len(a.values) < maxExact {
		a.values = append(a.values, x)
		return
	}
	if a.rng == nil {
		a.rng = rand.New(rand.NewPCG(1, 2)) // the same answer each time
	}
	if i := a.rng.Int64N(a.n); i < maxExact {
		a.values[i] = x
	}
}

func less(a, b any) bool {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return x < y
		}
	case float64:
		if y, ok := b.(float64); ok {
			return x < y
		}
	}
	return query.CompareForSort(a, b, false) < 0
}

func (a *accumulator) sampled() bool { return a.keep && a.n > maxExact }

// result is nil when there is nothing to compute it of.
func (a *accumulator) result(op query.Aggregate) any {
	if a.n == 0 {
		return nil
	}
	switch op.Op {
	case query.Min:
		return a.min
	case query.Max:
		return a.max
	case query.Sum:
		if !a.inexact {
			return a.whole
		}
		return a.sum
	case query.Stddev:
		if a.n < 2 {
			return nil
		}
		return math.Sqrt(a.m2 / float64(a.n-1))
	}
	var v float64
	switch op.Op {
	case query.Avg:
		v = a.sum / float64(a.n)
		if a.field.Type == query.Time {
			v = a.mean
		}
	case query.Median:
		v = query.Quantile(append([]float64(nil), a.values...), 0.5)
	default:
		v = query.Quantile(append([]float64(nil), a.values...), 0.95)
	}
	if a.field.Type == query.Time {
		return a.baseInt + int64(math.Round(v))
	}
	return v
}

// bigFloat reads {"$int": "…"}; ok is false for what is none or beyond a float64.
func bigFloat(m map[string]any) (f float64, ok bool) {
	digits, _ := m["$int"].(string)
	i, ok := new(big.Int).SetString(digits, 10)
	if !ok || len(m) != 1 {
		return 0, false
	}
	f, _ = new(big.Float).SetInt(i).Float64()
	return f, !math.IsInf(f, 0)
}
