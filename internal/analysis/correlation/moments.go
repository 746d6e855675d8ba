package correlation

import "math"

// The sums of one pass, as Welford (1962) updates them: means and squared distances from them, never sums of squares,
// whose difference would lose every digit where values are large and close to each other. For such values (seconds since
// 1970, bytes) a float has too few digits for the mean, too: it is kept as a sum of two.

// moments are of one sample.
type moments struct {
	n         int64
	mean, low float64 // low is what mean lacks
	m2        float64
	min, max  float64
}

// distance of a value from the mean.
func (m *moments) distance(v float64) float64 { return v - m.mean - m.low }

func (m *moments) add(v float64) {
	if m.n == 0 {
		m.mean, m.min, m.max = v, v, v
	}
	m.n++
	d := m.distance(v)
	m.shift(d / float64(m.n))
	m.m2 += d * m.distance(v)
	m.min, m.max = min(m.min, v), max(m.max, v)
}

// shift adds to the mean: Dekker's sum of two, without an error.
func (m *moments) shift(by float64) {
	by += m.low
	sum := m.mean + by
	rest := sum - m.mean
	m.mean, m.low = sum, (m.mean-(sum-rest))+(by-rest)
}

func (m *moments) constant() bool { return m.min == m.max }

func (m *moments) stddev() float64 { return math.Sqrt(m.m2 / float64(m.n-1)) }

// comoments are of two samples in pairs.
type comoments struct {
	x, y moments
	xy   float64
}

func (c *comoments) add(x, y float64) {
	d := c.y.distance(y)
	if c.y.n == 0 {
		d = 0 // the first value is the mean
	}
	c.x.add(x)
	c.y.add(y)
	c.xy += c.x.distance(x) * d
}

// leastSum is a sum of squares with all of its digits: smaller ones are near the end of a float's range.
const leastSum = 1e-290

func exactSum(v float64) bool { return v >= leastSum && v <= math.MaxFloat64 }

// r is Pearson's coefficient; NaN where the sums are beyond a float's range.
func (c *comoments) r() float64 {
	if !exactSum(c.x.m2) || !exactSum(c.y.m2) {
		return math.NaN()
	}
	// The roots apart: a product of both could be out of range where the result is not.
	return clip(c.xy / math.Sqrt(c.x.m2) / math.Sqrt(c.y.m2))
}

func clip(r float64) float64 { return max(-1, min(1, r)) }

// levels are the moments of numbers by category.
type levels struct {
	all moments
	by  []moments // by the index of the category; those without numbers have none
}

func (l *levels) add(category int, v float64) {
	l.all.add(v)
	for len(l.by) <= category {
		l.by = append(l.by, moments{})
	}
	l.by[category].add(v)
}

// eta is the correlation ratio: the root of the share of the sum of squares that lies between the categories. within is
// the rest of that share. NaN where the sums are beyond a float's range.
func (l *levels) eta() (eta, within float64, categories int64) {
	var between, inside float64
	for i := range l.by {
		m := &l.by[i]
		if m.n == 0 {
			continue
		}
		categories++
		d := l.all.distance(m.mean) + m.low
		between += float64(m.n) * d * d
		inside += m.m2
	}
	total := between + inside
	if !exactSum(total) {
		return math.NaN(), math.NaN(), categories
	}
	return math.Sqrt(between / total), inside / total, categories
}
