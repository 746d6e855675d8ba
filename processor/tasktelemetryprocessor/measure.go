package tasktelemetryprocessor

import (
	"fmt"
	"math"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Names of metrics; those that OpenTelemetry has are its own.
const (
	cpuTime     = "process.cpu.time"
	memoryUsage = "process.memory.usage"
	threadCount = "process.thread.count"
)

// What a worker counted itself: exact, and its own (python/mida/dask_measure.py).
const (
	threadCPUTime   = "thread.cpu.time"
	threadDiskRead  = "thread.disk.io.read"
	threadDiskWrite = "thread.disk.io.write"
	highWater       = "process.memory.high_water" // only where it rose while the task ran: then it is its peak
)

// counters are the metrics whose growth is a task's, with what its worker knows exactly of each.
var counters = []struct {
	value       int
	name, exact string
}{
	{procstat.DiskRead, "process.disk.io.read", threadDiskRead},
	{procstat.DiskWrite, "process.disk.io.write", threadDiskWrite},
	{procstat.IORead, "process.io.read", ""},
	{procstat.IOWrite, "process.io.write", ""},
}

const (
	// near is how far from a sample a value may be taken without being called interpolated, as a share of the task's time.
	near = 0.01
	// step is the smallest CPU time that the kernel tells of a process.
	step = 0.01
	// foreign is CPU time, as a share of the task's time, that other threads of the process may use without being taken for
	// helpers of its task: tools have threads of their own, of which the busiest may be known.
	foreign, foreignButTool = 0.05, 0.01
)

// withTool is added where what the tool did for itself is in a number: its event loop, what it moves between memory and disk.
const withTool = ", with the tool"

// ofThread covers what the task's own thread used, and whoever else worked for the task not.
const ofThread = "thread"

// span is one run of a task: what its record says.
type span struct {
	key            string // task and attempt
	started, ended int64
	sharing        int                // tasks in the process at the same time, as its worker counted; 0 = it did not
	inTool         bool               // it ran in the tool's own thread: a coroutine
	exact          map[string]float64 // what its worker counted of the thread, by name
}

func exactIn(e *task.Event) map[string]float64 {
	out := map[string]float64{}
	for _, m := range []map[string]any{e.TelemetryDelta, e.TelemetryPeak} {
		for name, v := range m {
			switch v := v.(type) {
			case float64:
				out[name] = v
			case int64:
				out[name] = float64(v)
			}
		}
	}
	if _, ok := out[threadCPUTime]; ok { // what it counts and does not name is 0
		out[threadDiskRead] += 0
		out[threadDiskWrite] += 0
	}
	return out
}

// measured is what is known of a run.
type measured struct {
	start, end, peak, delta, coverage map[string]any
	attributes                        map[string]any
	sharing                           int // tasks in the process at the same time
	samples                           int
	outcome                           string
}

func newMeasured(outcome string) *measured {
	return &measured{
		start: map[string]any{}, end: map[string]any{}, peak: map[string]any{}, delta: map[string]any{}, coverage: map[string]any{},
		outcome: outcome,
	}
}

// measure joins the samples of the process to a run; its lock is held. It returns nil where there are none.
func (p *process) measure(s span) *measured {
	open := p.tasks.end(s.key, s.started, s.ended)
	sharing := s.sharing
	if sharing == 0 || p.observers > 1 {
		sharing = max(sharing, p.tasks.sharing(s.key, s.started, s.ended))
	}
	first, last := p.series.At(s.started), p.series.At(s.ended)
	if open != nil && !first.Inside && open.first.Away < math.MaxInt64 {
		first = open.first
	}
	oldest, ok := p.series.First()
	if newest, _ := p.series.Last(); !ok || oldest.At > s.ended || newest.At < s.started {
		return nil
	}
	m := newMeasured("joined")
	m.sharing = sharing
	peak := procstat.Unknown()
	m.samples = p.series.Max(&peak, s.started, s.ended)
	if open != nil {
		raise(&peak, open.peak)
	}
	if peak[procstat.Memory] != peak[procstat.Memory] { // no sample in between: it is on the line
		peak = first.Values
		raise(&peak, last.Values)
	}
	words := coverage{sharing: sharing, partial: !first.Inside || !last.Inside}
	if words.partial {
		m.outcome = "partial"
	}
	words.interpolated = !words.partial && float64(max(first.Away, last.Away)) > near*float64(s.ended-s.started)
	// What lies between the samples around the task is also of those that ran before and after it.
	around := words
	around.sharing = max(sharing, p.tasks.sharing(s.key, first.BeforeAt, last.AfterAt))
	m.memory(s, first, last, peak, around)
	if !words.interpolated {
		around = words
	}
	for _, c := range counters {
		m.counter(s, c.value, c.name, c.exact, first, last, words, around)
	}
	m.cpu(s, first, last, words, around)
	return m
}

// reported is what a worker knows by itself, where its process cannot be read.
func reported(s span) *measured {
	cpu, ok := s.exact[threadCPUTime]
	if !ok {
		return nil
	}
	m := newMeasured("reported")
	m.sharing = s.sharing
	m.seconds(m.delta, cpu)
	m.coverage[cpuTime] = ofThread
	for _, c := range counters {
		if v, ok := s.exact[c.exact]; ok {
			m.put(m.delta, c.name, v)
			m.coverage[c.name] = ofThread
		}
	}
	if v, ok := s.exact[highWater]; ok {
		m.put(m.peak, memoryUsage, v)
		m.coverage[memoryUsage] = coverage{sharing: s.sharing}.String()
	}
	return m
}

func (m *measured) memory(s span, first, last procstat.Point, peak procstat.Values, words coverage) {
	// What a task allocates, it allocates after its start: the sample before is nearer to the truth than a line to the next.
	m.put(m.start, memoryUsage, first.Before[procstat.Memory])
	end := last.Values[procstat.Memory]
	if m.samples > 0 { // and what it frees, it may free at its end
		end = last.Before[procstat.Memory]
	}
	m.put(m.end, memoryUsage, end)
	// A mark that rose during the task is its process at its largest, however short that was.
	m.put(m.peak, memoryUsage, math.Max(peak[procstat.Memory], s.exact[highWater]))
	m.coverage[memoryUsage] = words.String()
	m.put(m.peak, threadCount, peak[procstat.Threads])
	m.coverage[threadCount] = words.String()
}

// counter adds the growth of a counter. What a worker counted of the task's thread wins, unless the samples prove that
// others worked for the task: in a process that it had for itself.
func (m *measured) counter(s span, value int, name, exact string, first, last procstat.Point, words, around coverage) {
	grown := math.Max(0, last.Values[value]-first.Values[value])
	if math.IsNaN(grown) {
		grown = 0
		if _, ok := s.exact[exact]; !ok {
			return
		}
	}
	least := last.Before[value] - first.After[value]
	m.coverage[name] = around.String()
	if v, ok := s.exact[exact]; ok {
		if words.sharing > 1 || !(least > v) {
			grown, m.coverage[name] = v, exactly(words)
		} else {
			m.coverage[name] = around.String() + withTool
		}
	}
	m.put(m.delta, name, grown)
}

// cpu adds the CPU time: of the task's thread as its worker counted it, with that of its children and, in a process that it
// had for itself, of threads that helped it. Without a worker's count it is that of the process, less the tool's own thread.
func (m *measured) cpu(s span, first, last procstat.Point, words, around coverage) {
	m.seconds(m.start, first.Values[procstat.CPU]+first.Values[procstat.ChildCPU])
	m.seconds(m.end, last.Values[procstat.CPU]+last.Values[procstat.ChildCPU])
	own, ownLeast := grown(procstat.CPU, first, last)
	tool, toolLeast := grown(procstat.ToolCPU, first, last)
	others := foreign
	if !math.IsNaN(tool) && !s.inTool {
		own, ownLeast, others = math.Max(0, own-tool), ownLeast-(tool+(tool-toolLeast)), foreignButTool
	}
	children, childrenLeast := grown(procstat.ChildCPU, first, last)
	total, exact := s.exact[threadCPUTime]
	if !exact {
		m.seconds(m.delta, own+children)
		m.coverage[cpuTime] = around.String()
		if s.inTool {
			m.coverage[cpuTime] = around.String() + withTool
		}
		return
	}
	m.coverage[cpuTime] = exactly(words)
	helpers := own - total
	if words.sharing == 1 && ownLeast-total > step+others*float64(s.ended-s.started)/1e9 {
		total += helpers
		m.coverage[cpuTime] = words.String()
	}
	if childrenLeast > step/2 || children > step {
		total += children
		m.coverage[cpuTime] = words.String()
	}
	m.seconds(m.delta, total)
}

// exactly covers what was counted of the task's thread: all that the task used if it had its process for itself, and the
// samples do not show more.
func exactly(words coverage) string {
	if words.sharing > 1 {
		return ofThread
	}
	return coverage{sharing: 1}.String()
}

// grown is by how much a counter grew, and by how much at least, whatever it did between samples.
func grown(value int, first, last procstat.Point) (by, least float64) {
	return math.Max(0, last.Values[value]-first.Values[value]), math.Max(0, last.Before[value]-first.After[value])
}

func (m *measured) seconds(dst map[string]any, v float64) { dst[cpuTime] = math.Round(v*1e6) / 1e6 }

// put adds a number of bytes or things, unless it is unknown.
func (m *measured) put(dst map[string]any, name string, v float64) {
	if !math.IsNaN(v) {
		dst[name] = int64(math.Round(v))
	}
}

// event makes the telemetry facet of the task that a record is about.
func (m *measured) event(of *task.Event) *task.Event {
	return &task.Event{
		// The end of the task is the time of the fact. Should a record come again when less is known, the fuller one stays: the
		// number that decides between equal times is that of the samples.
		Name: task.EventProgress, Time: of.EndedAt, Seq: int64(m.samples) + 1,
		Kind: of.Kind, Scope: of.Scope, Key: of.Key, Execution: of.Execution, Attempt: of.Attempt,
		Facet: facet, Campaign: of.Campaign,
		Attributes:     m.attributes,
		TelemetryStart: m.start, TelemetryEnd: m.end, TelemetryPeak: m.peak, TelemetryDelta: m.delta, TelemetryCoverage: m.coverage,
	}
}

// coverage says whose a number is.
type coverage struct {
	sharing      int // tasks that ran in the process at the same time
	interpolated bool
	partial      bool
}

func (c coverage) String() string {
	out := "exclusive"
	if c.sharing > 1 {
		out = fmt.Sprintf("shared_by=%d", c.sharing)
	}
	if c.interpolated {
		out += ", interpolated"
	}
	if c.partial {
		out += ", partial"
	}
	return out
}
