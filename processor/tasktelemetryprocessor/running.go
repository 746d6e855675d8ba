package tasktelemetryprocessor

import (
	"math"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// maxOpen bounds the tasks of one process that are known to run, maxEnded those that are remembered to have ended.
const (
	maxOpen  = 10_000
	maxEnded = 1000
)

// openTask is a task that is known to run. What leaves the series meanwhile is kept here, however long it takes.
type openTask struct {
	started int64
	first   procstat.Point  // when it began
	peak    procstat.Values // of the samples that left
}

type endedTask struct {
	key            string
	started, ended int64
}

// running knows which tasks of a process run, and which ran at the same time.
type running struct {
	open  map[string]*openTask
	ended []endedTask // a ring of the last ones
	next  int
	index map[string]int // key → place in the ring
}

func newRunning() running { return running{open: map[string]*openTask{}, index: map[string]int{}} }

func (r *running) begin(key string, started int64, series *procstat.Series) {
	if _, over := r.index[key]; over || r.open[key] != nil || len(r.open) >= maxOpen {
		return // also where its end came first
	}
	r.open[key] = &openTask{started: started, first: series.At(started), peak: procstat.Unknown()}
}

// leaves keeps a sample that leaves the series, for the tasks that ran then.
func (r *running) leaves(x *procstat.Sample) {
	for _, t := range r.open {
		if x.At >= t.started {
			raise(&t.peak, x.Values)
		}
	}
}

func raise(peak *procstat.Values, v procstat.Values) {
	for i, x := range v {
		if x > peak[i] || math.IsNaN(peak[i]) {
			peak[i] = x
		}
	}
}

// end forgets that a task runs and returns what was kept of it, nil if nothing. A record may come twice.
func (r *running) end(key string, started, ended int64) *openTask {
	t := r.open[key]
	delete(r.open, key)
	at, known := r.index[key]
	switch {
	case known:
	case len(r.ended) < maxEnded:
		at = len(r.ended)
		r.ended = append(r.ended, endedTask{})
	default:
		at = r.next
		r.next = (r.next + 1) % maxEnded
		delete(r.index, r.ended[at].key)
	}
	r.ended[at], r.index[key] = endedTask{key, started, ended}, at
	return t
}

// sharing counts the tasks of the process that ran at any time between two: this one, and others.
func (r *running) sharing(key string, started, ended int64) (n int) {
	n = 1
	for other, t := range r.open {
		if other != key && t.started < ended {
			n++
		}
	}
	for _, t := range r.ended {
		if t.ended > started && t.started < ended && t.key != key {
			n++
		}
	}
	return n
}
