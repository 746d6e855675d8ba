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
	interval time.Duration
	users    int // processes; guarded by the sampler
}

func newAround(read func() procstat.Sample, cfg *Config) *around {
	return &around{read: read, series: procstat.NewSeries(cfg.History), interval: cfg.MaxInterval}
}

// turn takes a sample if the last one is an interval old.
func (a *around) turn(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, ok := a.series.Last(); !ok || now.UnixNano()-last.At > int64(a.interval)*9/10 {
		a.series.Add(a.read())
	}
}

// at looks up both ends of a task, and the greatest values in between.
func (a *around) at(started, ended int64) (first, last procstat.Point, peak procstat.Values, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if newest, known := a.series.Last(); known && newest.At < ended && time.Since(time.Unix(0, newest.At)) > a.interval/8 {
		a.series.Add(a.read())
	}
	first, last = a.series.At(started), a.series.At(ended)
	peak = first.Values
	raise(&peak, last.Values)
	a.series.Max(&peak, started, ended)
	return first, last, peak, first.Away < math.MaxInt64 && (first.Inside || last.Inside)
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
func (m *measured) group(a *around, started, ended int64) {
	first, last, peak, ok := a.at(started, ended)
	if !ok {
		return
	}
	const memory, cpu, kills = "container.memory.usage", "container.cpu.time", "container.memory.oom_kills"
	m.put(m.start, memory, first.Values[procstat.GroupMemory])
	m.put(m.end, memory, last.Values[procstat.GroupMemory])
	m.put(m.peak, memory, peak[procstat.GroupMemory])
	m.coverage[memory] = ofGroup
	if used, _ := grown(procstat.GroupCPU, first, last); !math.IsNaN(used) {
		m.delta[cpu], m.coverage[cpu] = math.Round(used*1e6)/1e6, ofGroup
	}
	// Between the samples around the task: a kill is an event, of which there is no half.
	if n := last.After[procstat.GroupOOMKills] - first.Before[procstat.GroupOOMKills]; n > 0 {
		m.delta[kills], m.coverage[kills] = int64(n), ofGroup
	}
}

// host adds what the whole host did meanwhile, under names that say so.
func (m *measured) host(a *around, started, ended int64) {
	first, last, peak, ok := a.at(started, ended)
	if !ok {
		return
	}
	const memory, cpu = "system.memory.usage", "system.cpu.utilization"
	m.put(m.start, memory, first.Values[procstat.HostMemory])
	m.put(m.end, memory, last.Values[procstat.HostMemory])
	m.put(m.peak, memory, peak[procstat.HostMemory])
	m.coverage[memory] = ofHost
	for dst, u := range map[*map[string]any]float64{
		&m.start: utilization(first.Before, first.After), &m.end: utilization(last.Before, last.After),
		&m.peak: a.busiest(started, ended),
	} {
		if !math.IsNaN(u) {
			(*dst)[cpu], m.coverage[cpu] = u, ofHost
		}
	}
	for name, value := range map[string]int{
		"system.disk.io.read": procstat.HostDiskRead, "system.disk.io.write": procstat.HostDiskWrite,
		"system.network.io.receive": procstat.HostReceived, "system.network.io.transmit": procstat.HostSent,
	} {
		if by, _ := grown(value, first, last); !math.IsNaN(by) {
			m.put(m.delta, name, by)
			m.coverage[name] = ofHost
		}
	}
}
