package tasktelemetryprocessor

import "github.com/otelcol-mida/otelcol-mida/internal/procstat"

// followed is a series that keeps, of tasks which run for longer than it reaches back, how they began and what was highest.
type followed struct {
	*procstat.Series
	long map[string]*openTask
}

func newFollowed(history int) followed {
	return followed{procstat.NewSeries(history), map[string]*openTask{}}
}

// add adds a sample. What leaves for it is kept for the tasks that run.
func (f followed) add(x procstat.Sample, running map[string]*openTask) {
	if f.Len() == f.Size() {
		for key := range f.long {
			if running[key] == nil {
				delete(f.long, key)
			}
		}
		leaves, next := f.Get(0), f.Get(1)
		for key, t := range running {
			if t.started >= next.At {
				continue
			}
			if f.long[key] == nil {
				f.long[key] = &openTask{started: t.started, first: f.At(t.started), peak: procstat.Unknown()}
			}
			if leaves.At >= t.started {
				raise(&f.long[key].peak, leaves.Values)
			}
		}
	}
	f.Add(x)
}

// from looks up the start of a task, and what was highest in samples that left since.
func (f followed) from(s span) (first procstat.Point, peak procstat.Values) {
	if t := f.long[s.key]; t != nil {
		return t.first, t.peak
	}
	return f.At(s.started), procstat.Unknown()
}
