package mlflowreceiver

import "math"

const (
	// metricChunk is the largest number of metric rows that one transaction reads.
	metricChunk = 5000
	// keptHistories bounds the memory for runs that may go on; others are read again from their first point.
	keptHistories = 2000
)

// point is one logged value. MLflow orders the points of a metric by step, then time, then value.
type point struct {
	step, time whole
	value      float64
}

func (p point) before(o point) bool {
	if p.step != o.step {
		return p.step.less(o.step)
	}
	if p.time != o.time {
		return p.time.less(o.time)
	}
	return p.value < o.value
}

// series sums up the points of one metric. NaN is counted, and left out of min and max.
type series struct {
	first, last point
	min, max    float64
	count, nan  int64
}

func (s series) add(p point) series {
	if s.count == 0 || p.before(s.first) {
		s.first = p
	}
	if s.count == 0 || !p.before(s.last) {
		s.last = p
	}
	s.count++
	if math.IsNaN(p.value) {
		s.nan++
		return s
	}
	if s.count-s.nan == 1 {
		s.min, s.max = p.value, p.value
	} else {
		s.min, s.max = min(s.min, p.value), max(s.max, p.value)
	}
	return s
}

// history is what was read of a run's metrics so far. Points are only ever inserted; when rows went away, histories are
// forgotten.
type history struct {
	mark   int64 // SQLite: the row number that was read last
	whole  bool  // PostgreSQL: all points were read once, and new ones are added as they are found
	series map[string]series
}

type histories map[string]*history

func (h histories) of(id string) *history {
	known := h[id]
	if known == nil {
		known = &history{series: map[string]series{}}
		h[id] = known
	}
	return known
}

// trim forgets runs that have ended, then any, until the bound is kept.
func (h histories) trim(open func(id string) bool) {
	for _, all := range []bool{false, true} {
		for id := range h {
			if len(h) <= keptHistories {
				return
			}
			if all || !open(id) {
				delete(h, id)
			}
		}
	}
}
