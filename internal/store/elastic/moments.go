package elastic

import (
	"math"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// mostCancelled bounds how many times the squares of numbers are greater than those of their distances from the mean: the
// server knows the former, each sum of them to the last digit or two, so that a deviation has ten digits at least.
const mostCancelled = 1e5

// leastMean is how far from 0, in parts of the numbers themselves, their mean has to be for them to be weights.
const leastMean = 1e-6

// moments are not ok where too few of their digits are right.
func (s statistics) moments() (m query.Moments, ok bool) {
	if s.Count == 0 {
		return m, true
	}
	m.N, m.Low, m.High, m.Mean = s.Count, float64(s.Min), float64(s.Max), float64(s.Sum)/float64(s.Count)
	if m.Low == m.High {
		m.Mean = m.Low
		return m, true
	}
	m.Deviance = max(0, float64(s.Squares)-float64(s.Sum)*m.Mean)
	return m, float64(s.Squares) <= mostCancelled*m.Deviance && !math.IsInf(float64(s.Squares), 0)
}

// offset is the distance of the mean from 0, in parts of the root of the mean square.
func (s statistics) offset() float64 {
	if s.Count == 0 || s.Squares == 0 {
		return 0
	}
	return math.Abs(float64(s.Sum)) / math.Sqrt(float64(s.Squares)*float64(s.Count))
}

// booleans are the statistics of zeros and ones.
func booleans(all, ones int64) statistics {
	s := statistics{Count: all, Sum: double(ones), Squares: double(ones), Max: 1}
	switch ones {
	case 0:
		s.Max = 0
	case all:
		s.Min = 1
	}
	return s
}

// moments of zeros and ones are exact, however few there are of one of them.
func (f *summed) moments(s statistics) (m query.Moments, ok bool) {
	m, ok = s.moments()
	if f.isBoolean() && s.Count > 0 {
		m.Deviance, ok = float64(s.Sum)*float64(s.Count-int64(s.Sum))/float64(s.Count), true
	}
	return m, ok
}
