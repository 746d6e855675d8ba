package procstat

import (
	"math"
	"sort"
)

// Sample is what was read at one time.
type Sample struct {
	At int64 // unix ns
	Values
}

// Series is a ring of samples in the order of their times.
type Series struct {
	ring  []Sample
	first int // index of the oldest
	n     int
}

// NewSeries keeps the last size samples.
func NewSeries(size int) *Series {
	return &Series{ring: make([]Sample, 0, min(size, 64)), first: 0, n: size}
}

// setBack is by how much a sample may be older than the last one before that means that the clock was set back.
const setBack = int64(1e9)

// Add appends a sample and returns the one that had to leave for it. A sample that is not later than the last is left out. When
// the clock was set back, all samples are forgotten: nobody knows any more when they were.
func (s *Series) Add(x Sample) (left Sample, full bool) {
	if last, ok := s.Last(); ok && x.At <= last.At {
		if x.At > last.At-setBack {
			return left, false
		}
		s.ring, s.first = s.ring[:0], 0
	}
	if len(s.ring) < s.n {
		s.ring = append(s.ring, x)
		return left, false
	}
	left, s.ring[s.first] = s.ring[s.first], x
	s.first = (s.first + 1) % s.n
	return left, true
}

// Size is how many samples it keeps.
func (s *Series) Size() int { return s.n }

// Len is the number of samples.
func (s *Series) Len() int { return len(s.ring) }

// Get returns a sample, 0 being the oldest.
func (s *Series) Get(i int) *Sample { return &s.ring[(s.first+i)%len(s.ring)] }

// First is the oldest sample.
func (s *Series) First() (Sample, bool) {
	if len(s.ring) == 0 {
		return Sample{}, false
	}
	return *s.Get(0), true
}

// Last is the newest sample.
func (s *Series) Last() (Sample, bool) {
	if len(s.ring) == 0 {
		return Sample{}, false
	}
	return *s.Get(len(s.ring) - 1), true
}

// From is the index of the first sample at t or later.
func (s *Series) From(t int64) int {
	return sort.Search(len(s.ring), func(i int) bool { return s.Get(i).At >= t })
}

// Point is what a series says of one time.
type Point struct {
	Values                   // on the line between the samples around it
	Before, After     Values // these samples: between them a counter was, whatever it did
	BeforeAt, AfterAt int64  // their times, unix ns
	Away              int64  // how far the nearer one is, ns
	Inside            bool   // there are samples on both sides; else the only one stands in for both
}

// At looks up a time. A series without samples knows nothing.
func (s *Series) At(t int64) Point {
	i := s.From(t)
	alone := func(x *Sample, away int64) Point {
		return Point{x.Values, x.Values, x.Values, x.At, x.At, away, away == 0}
	}
	switch {
	case len(s.ring) == 0:
		return Point{Unknown(), Unknown(), Unknown(), t, t, math.MaxInt64, false}
	case i == len(s.ring):
		return alone(s.Get(i-1), t-s.Get(i-1).At)
	case i == 0 || s.Get(i).At == t:
		return alone(s.Get(i), s.Get(i).At-t)
	}
	a, b := s.Get(i-1), s.Get(i)
	p := Point{Before: a.Values, After: b.Values, BeforeAt: a.At, AfterAt: b.At, Away: min(t-a.At, b.At-t), Inside: true}
	share := float64(t-a.At) / float64(b.At-a.At)
	for k := range p.Values {
		p.Values[k] = a.Values[k] + (b.Values[k]-a.Values[k])*share
	}
	return p
}

// Max raises each value to the greatest one between two times, both ends included.
func (s *Series) Max(v *Values, from, to int64) (samples int) {
	for i := s.From(from); i < s.Len() && s.Get(i).At <= to; i++ {
		for k, x := range s.Get(i).Values {
			if x > v[k] || math.IsNaN(v[k]) {
				v[k] = x
			}
		}
		samples++
	}
	return samples
}
