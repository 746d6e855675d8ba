package tasktelemetryprocessor

import (
	"math"
	"sync"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// Coverage of what is not a task's own: all that runs in its cgroup or on its host counts.
const (
	ofGroup = "cgroup"
	ofHost  = "host"
)

// around is what a task runs in: its host, or its cgroup. It is sampled once an interval, however many processes are.
type around struct {
	mu       sync.Mutex
	read     func() procstat.Sample
	series   *procstat.Series
	tasks    running
	interval time.Duration
	users    int // processes; guarded by the sampler
}

func newAround(read func() procstat.Sample, cfg *Config) *around {
	return &around{read: read, series: procstat.NewSeries(cfg.History), tasks: newRunning(), interval: cfg.MaxInterval}
}

// turn takes a sample if the last one is an interval old.
func (a *around) turn(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := int64(math.MaxInt64)
	if last, ok := a.series.Last(); ok {
		since = now.UnixNano() - last.At
	}
	if since > int64(a.interval)*9/10 || since < -int64(a.interval) { // or the clock was set back
		a.sample()
	}
}

// now takes a sample.
func (a *around) now() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sample()
}

func (a *around) sample() {
	if left, full := a.series.Add(a.read()); full {
		a.tasks.leaves(&left)
	}
}

// begins notes that a task runs in it.
func (a *around) begins(key string, started int64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, ok := a.series.Last(); !ok || last.At < started {
		a.sample()
	}
	a.tasks.begin(key, started, a.series)
}

// stretch is what was sampled around a task.
type stretch struct {
	first, last procstat.Point
	peak        procstat.Values
	samples     int
	coverage    string
}

// over looks up both ends of a task, and the greatest values in between. Without samples it returns nil.
func (a *around) over(s span, of string) *stretch {
	a.mu.Lock()
	defer a.mu.Unlock()
	if newest, ok := a.series.Last(); ok && newest.At < s.ended &&
		(newest.At < s.started || time.Since(time.Unix(0, newest.At)) > a.interval/8) {
		a.sample()
	}
	open := a.tasks.end(s.key, s.started, s.ended)
	oldest, ok := a.series.First()
	if newest, _ := a.series.Last(); !ok || oldest.At > s.ended || newest.At < s.started {
		return nil
	}
	out := &stretch{first: a.series.At(s.started), last: a.series.At(s.ended), coverage: of}
	if open != nil && !out.first.Inside && open.first.Away < math.MaxInt64 {
		out.first = open.first
	}
	out.peak = out.first.Values
	raise(&out.peak, out.last.Values)
	if open != nil {
		raise(&out.peak, open.peak)
	}
	out.samples = a.series.Max(&out.peak, s.started, s.ended)
	if !out.first.Inside || !out.last.Inside {
		out.coverage += ", partial"
	}
	return out
}

// busiest is the greatest share of its CPUs that the host used between two samples that touch a task.
func (a *around) busiest(started, ended int64) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	most := math.NaN()
	for i := max(a.series.From(started), 1); i < a.series.Len(); i++ {
		before, after := a.series.Get(i-1), a.series.Get(i)
		if u := utilization(before.Values, after.Values); u > most || math.IsNaN(most) {
			most = u
		}
		if after.At >= ended {
			break
		}
	}
	return most
}

func utilization(before, after procstat.Values) float64 {
	all := after[procstat.HostCPU] - before[procstat.HostCPU]
	if !(all > 0) {
		return math.NaN()
	}
	return math.Round(1e4*(after[procstat.HostBusy]-before[procstat.HostBusy])/all) / 1e4
}

// group adds what the task's cgroup used meanwhile.
func (m *measured) group(a *around, s span) {
	x := a.over(s, ofGroup)
	if x == nil {
		return
	}
	first, last := x.first, x.last
	const memory, cpu, kills = "container.memory.usage", "container.cpu.time", "container.memory.oom_kills"
	m.put(m.start, memory, first.Values[procstat.GroupMemory])
	m.put(m.end, memory, last.Values[procstat.GroupMemory])
	m.put(m.peak, memory, x.peak[procstat.GroupMemory])
	m.coverage[memory] = x.coverage
	if used, _ := grown(procstat.GroupCPU, first, last); !math.IsNaN(used) {
		m.delta[cpu], m.coverage[cpu] = math.Round(used*1e6)/1e6, x.coverage
	}
	// Between the samples around the task: a kill is an event, of which there is no half.
	if n := last.After[procstat.GroupOOMKills] - first.Before[procstat.GroupOOMKills]; n > 0 {
		m.delta[kills], m.coverage[kills] = int64(n), x.coverage
	}
}

// host adds what the whole host did meanwhile, under names that say so.
func (m *measured) host(a *around, j *joules, s span) (samples int, ok bool) {
	x := a.over(s, ofHost)
	if x == nil {
		return 0, false
	}
	first, last := x.first, x.last
	const memory, cpu = "system.memory.usage", "system.cpu.utilization"
	m.put(m.start, memory, first.Values[procstat.HostMemory])
	m.put(m.end, memory, last.Values[procstat.HostMemory])
	m.put(m.peak, memory, x.peak[procstat.HostMemory])
	m.coverage[memory] = x.coverage
	for dst, u := range map[*map[string]any]float64{
		&m.start: utilization(first.Before, first.After), &m.end: utilization(last.Before, last.After),
		&m.peak: a.busiest(s.started, s.ended),
	} {
		if !math.IsNaN(u) {
			(*dst)[cpu], m.coverage[cpu] = u, x.coverage
		}
	}
	m.energy(x, j, s)
	for name, value := range map[string]int{
		"system.disk.io.read": procstat.HostDiskRead, "system.disk.io.write": procstat.HostDiskWrite,
		"system.network.io.receive": procstat.HostReceived, "system.network.io.transmit": procstat.HostSent,
	} {
		if by, _ := grown(value, first, last); !math.IsNaN(by) {
			m.put(m.delta, name, by)
			m.coverage[name] = x.coverage
		}
	}
	return x.samples, true
}
