package tasktelemetryprocessor

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-mida/otelcol-mida/internal/gpu"
	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// node is two watched processes, with pids 1 and 2, and GPUs that are read once a second from second 100 on.
type node struct {
	t      *testing.T
	cards  *cards
	first  *process
	second *process
	at     int64
}

func newNode(t *testing.T) *node {
	cfg := createDefaultConfig().(*Config)
	cfg.ProcPath = t.TempDir()
	n := &node{t: t, cards: newCards(nil, cfg, nil), first: newProcess(procstat.Identity{PID: 1}, 100), second: newProcess(procstat.Identity{PID: 2}, 100), at: 100 * second}
	n.first.observers, n.second.observers = 1, 1
	return n
}

func (n *node) read(devices []gpu.Device, uses ...gpu.Use) {
	r := gpu.Reading{At: n.at, Devices: devices, Uses: uses, Processes: true}
	n.cards.take(&r, []*process{n.first, n.second}, map[int]*process{1: n.first, 11: n.first, 2: n.second})
	n.at += second
}

// task is what a task of a process gets that ran between two seconds.
func (n *node) task(p *process, from, to float64, sharing int) *measured {
	m := newMeasured("joined")
	m.sharing = sharing
	m.gpus(n.cards, p, span{key: "k", started: int64(from * 1e9), ended: int64(to * 1e9)})
	return m
}

func aGPU(id string, power, joules float64) gpu.Device {
	v := procstat.Unknown()
	v[gpu.Memory], v[gpu.MemorySize], v[gpu.Power], v[gpu.Energy], v[gpu.Utilization] = 5e9, 40e9, power, joules, 0.5
	return gpu.Device{ID: id, Vendor: "nvidia", Values: v}
}

func use(pid int, device string, memory, busy float64) gpu.Use {
	return gpu.Use{PID: pid, Device: device, Memory: memory, Busy: busy}
}

var nobodyKnows = math.NaN()

func TestATaskHasTheGPUsThatItsProcessUses(t *testing.T) {
	n := newNode(t)
	for i := range 11 {
		joules := 300 * float64(i)
		devices := []gpu.Device{aGPU("a", 300, 1000+joules), aGPU("b", 300, 5000+joules), aGPU("c", 60, 60)}
		switch {
		case i < 2, i > 8:
			n.read(devices, use(2, "b", 3e9, float64(i)))
		default: // its child uses it, from second 102 to 108
			n.read(devices, use(11, "a", 2e9, 0.5*float64(i-2)), use(2, "b", 3e9, float64(i)))
		}
	}
	m := n.task(n.first, 103, 107, 1)
	assert.Equal(t, map[string]any{"hw.gpu.ids": []any{"a"}}, m.attributes)
	assert.Equal(t, int64(1), m.peak["hw.gpu.count"])
	assert.Equal(t, int64(2e9), m.peak["process.gpu.memory.usage"])
	assert.Equal(t, "exclusive", m.coverage["process.gpu.memory.usage"])
	assert.Equal(t, int64(5e9), m.peak["hw.gpu.memory.usage"])
	assert.Equal(t, "gpu", m.coverage["hw.gpu.memory.usage"])
	assert.InDelta(t, 2, m.delta["process.gpu.time"], 1e-9)
	assert.InDelta(t, 4, m.delta["task.gpu.time"], 1e-9)
	assert.InDelta(t, 300, m.peak["hw.power.gpu"], 1e-9)
	assert.InDelta(t, 1200, m.delta["hw.energy.gpu"], 1e-9)
	assert.InDelta(t, 1200, m.delta["task.energy.gpu"], 1e-9)
	assert.Equal(t, "gpu_exclusive, exclusive", m.coverage["task.energy.gpu"])

	for _, when := range [][2]float64{{100, 101}, {109.2, 109.8}} {
		before := n.task(n.first, when[0], when[1], 1)
		assert.Empty(t, before.delta, "when it had no GPU: %v", when)
		assert.Empty(t, before.coverage)
	}
	shared := n.task(n.first, 103, 107, 3)
	assert.Equal(t, "gpu_exclusive, shared_by=3", shared.coverage["task.energy.gpu"])
	assert.Equal(t, "shared_by=3", shared.coverage["task.gpu.time"])
	long := n.task(n.first, 90, 107, 1)
	assert.Equal(t, "gpu_exclusive, exclusive, partial", long.coverage["task.energy.gpu"])
}

// What several processes use at the same time is each one's by the time in which it kept the GPU busy, else in equal parts.
func TestAGPUOfSeveralProcesses(t *testing.T) {
	n := newNode(t)
	for i := range 11 {
		f := float64(i)
		n.read([]gpu.Device{aGPU("a", 400, 400*f), aGPU("b", 100, 100*f)},
			use(1, "a", 1e9, 0.6*f), use(2, "a", 1e9, 0.2*f), use(1, "b", 1e9, nobodyKnows), use(2, "b", nobodyKnows, nobodyKnows))
	}
	m := n.task(n.first, 102, 106, 1)
	assert.InDelta(t, 1600*0.75+400*0.5, m.delta["task.energy.gpu"], 1e-9)
	assert.Equal(t, "gpu_process_share + gpu_time_share, exclusive", m.coverage["task.energy.gpu"])
	assert.InDelta(t, 2000, m.delta["hw.energy.gpu"], 1e-9)
	assert.InDelta(t, 8, m.delta["task.gpu.time"], 1e-9)
	assert.Equal(t, "shared_by=2", m.coverage["task.gpu.time"])
	assert.NotContains(t, m.delta, "process.gpu.time", "of one GPU it is not known")
	other := n.task(n.second, 102, 106, 1)
	assert.InDelta(t, 2000, m.delta["task.energy.gpu"].(float64)+other.delta["task.energy.gpu"].(float64), 1e-9, "no joule counts twice")
}

// The task in which a process begins to use a GPU has its part by the same rule, also when another process ends meanwhile.
func TestAProcessThatBeginsWithAGPU(t *testing.T) {
	n := newNode(t)
	for i := range 11 {
		f := float64(i)
		uses := []gpu.Use{use(1, "a", 1e9, 90+0.5*f)}
		if i < 6 {
			uses = append(uses, use(99, "a", 1e9, 1000+0.25*f))
		}
		if i > 2 {
			uses = append(uses, use(2, "a", 1e9, 0.25*(f-2)))
		}
		n.read([]gpu.Device{aGPU("a", 400, 400*f)}, uses...)
	}
	m := n.task(n.second, 102, 108, 1)
	assert.InDelta(t, 1.5, m.delta["process.gpu.time"], 1e-9)
	assert.Equal(t, "gpu_time_share, exclusive", m.coverage["task.energy.gpu"])
	// It had 1.5 s of 3 + 1.5 + 0.75 s.
	assert.InDelta(t, 2400*1.5/5.25, m.delta["task.energy.gpu"], 1e-2)
}

// A GPU without a counter of energy has its power added up, and says so.
func TestEnergyFromPower(t *testing.T) {
	n := newNode(t)
	for i := range 11 {
		n.read([]gpu.Device{aGPU("a", 100+10*float64(i), nobodyKnows)}, use(1, "a", 1e9, nobodyKnows))
	}
	m := n.task(n.first, 102, 106, 1)
	assert.InDelta(t, 4*140, m.delta["task.energy.gpu"], 1e-6)
	assert.Equal(t, "gpu_exclusive, exclusive, from power", m.coverage["task.energy.gpu"])
	assert.Equal(t, "gpu, from power", m.coverage["hw.energy.gpu"])

	// The next sample is still to come: it went on as it did.
	m = n.task(n.first, 106, 111, 1)
	assert.InDelta(t, 4*180+200, m.delta["task.energy.gpu"], 1e-6)
	assert.Equal(t, "gpu_exclusive, exclusive, interpolated, from power", m.coverage["task.energy.gpu"])
}

// A task that runs for longer than samples are kept has all of what it used, also one that begins to use a GPU later.
func TestATaskThatIsLongerThanTheSamplesAreKept(t *testing.T) {
	n := newNode(t)
	n.cards.history = 16
	n.first.tasks.begin("k", 110*second, n.first.series)
	n.second.tasks.begin("other", 102*second, n.second.series)
	for i := range 1000 {
		f := float64(i)
		a, b := aGPU("a", 300, 300*f), aGPU("MIG-1", nobodyKnows, nobodyKnows)
		if i == 500 {
			a.Values[gpu.Power] = 700
		}
		b.Values[gpu.MemorySize], b.Parent = 10e9, "a"
		uses := []gpu.Use{use(2, "MIG-1", 1e9, nobodyKnows)}
		if i > 300 {
			uses = append(uses, use(1, "a", 2e9+f, 0.5*(f-300)))
		}
		n.read([]gpu.Device{a, b}, uses...)
	}
	m := n.task(n.first, 110, 1099, 1)
	assert.InDelta(t, 989*300, m.delta["hw.energy.gpu"], 1e-6)
	assert.InDelta(t, 989*300, m.delta["task.energy.gpu"], 1e-6)
	assert.Equal(t, "gpu_exclusive, exclusive", m.coverage["task.energy.gpu"], "and it is not partial")
	assert.InDelta(t, 0.5*699, m.delta["process.gpu.time"], 1e-6)
	assert.InDelta(t, 700, m.peak["hw.power.gpu"], 1e-9, "also what was highest long ago")
	assert.Equal(t, []any{int64(0), int64(2e9 + 999)}, []any{m.start["process.gpu.memory.usage"], m.peak["process.gpu.memory.usage"]})

	part := newMeasured("joined")
	part.gpus(n.cards, n.second, span{key: "other", started: 102 * second, ended: 1099 * second})
	assert.InDelta(t, 997*300/4, part.delta["task.energy.gpu"], 1e-6)
	assert.Equal(t, "gpu_part_share, exclusive", part.coverage["task.energy.gpu"])

	n.first.tasks.end("k", 110*second, 1099*second)
	n.read([]gpu.Device{aGPU("a", 1, 1)})
	assert.NotContains(t, n.cards.devices["a"].series.long, "k", "what ended is forgotten")
}

// What an H100 drew in a task that multiplied matrices for 5 s, as its driver said ten times a second: the mean of the last second.
// Its counter of energy said 3467 J.
var meansOfAStep = []float64{
	122, 133, 203, 266, 328, 386, 454, 519, 575, 634, 674, 709, 712, 701, 698, 698, 697, 697, 696, 691, 690, 696, 700, 700, 699, 699,
	699, 699, 697, 694, 694, 698, 701, 701, 700, 701, 699, 698, 696, 693, 696, 696, 697, 698, 699, 699, 699, 697, 695, 695, 696,
}

// A mean that is read once a second stands for the second before. What remains is what the task did in the second in which it
// began: that lies on a line.
func TestEnergyFromMeans(t *testing.T) {
	for phase := range 10 {
		n := newNode(t)
		for i := range 8 {
			at := max(0, 10*(i-2)+phase)
			if at >= len(meansOfAStep) {
				break
			}
			one := aGPU("a", meansOfAStep[at], nobodyKnows)
			one.PowerOver = time.Second
			n.read([]gpu.Device{one}, use(1, "a", 1e9, nobodyKnows))
		}
		began := 102 - float64(phase)/10
		m := n.task(n.first, began, began+5.03, 1)
		off := m.delta["task.energy.gpu"].(float64)/3467 - 1
		assert.InDelta(t, -0.015, off, 0.025, "read %d ms after it began", 100*phase)
	}

	// Of what lies further back than the mean reaches, a line is known.
	n := newNode(t)
	for _, watts := range []float64{100, 200} {
		one := aGPU("a", watts, nobodyKnows)
		one.PowerOver = time.Second
		n.read([]gpu.Device{one}, use(1, "a", 1e9, nobodyKnows))
		n.at += 2 * second
	}
	assert.InDelta(t, 2*150+200, n.task(n.first, 100, 103, 1).delta["task.energy.gpu"], 1e-6)
}

// A part of a GPU has no counter: it has that part of the whole's energy that it has of its memory.
func TestEnergyOfAPart(t *testing.T) {
	n := newNode(t)
	part := aGPU("MIG-1", nobodyKnows, nobodyKnows)
	part.Values[gpu.MemorySize], part.Parent = 10e9, "a"
	for i := range 11 {
		n.read([]gpu.Device{aGPU("a", 200, 200*float64(i)), part}, use(1, "MIG-1", 1e9, nobodyKnows))
	}
	m := n.task(n.first, 102, 106, 1)
	assert.InDelta(t, 200, m.delta["task.energy.gpu"], 1e-9)
	assert.Equal(t, "gpu_part_share, exclusive", m.coverage["task.energy.gpu"])
	assert.Equal(t, map[string]any{"hw.gpu.ids": []any{"MIG-1"}}, m.attributes)
}

// Where the processes of a GPU cannot be told apart from here, the GPUs that a process was given stand in, and say so.
func TestVisibleGPUs(t *testing.T) {
	n := newNode(t)
	second := aGPU("b", 100, 5)
	second.Index = 1
	for range 5 {
		n.read([]gpu.Device{aGPU("a", 100, 5), second}, use(777, "b", 1e9, nobodyKnows)) // not in this /proc
	}
	assert.Empty(t, n.task(n.first, 101, 103, 1).coverage)
	n.first.sees(map[string]string{"CUDA_VISIBLE_DEVICES": "1"})
	m := n.task(n.first, 101, 103, 1)
	assert.Equal(t, map[string]any{"hw.gpu.ids": []any{"b"}}, m.attributes)
	assert.Equal(t, "visible", m.coverage["hw.gpu.utilization"])
	assert.NotContains(t, m.delta, "task.energy.gpu", "whether it used them is not known")

	known := newNode(t)
	known.first.sees(map[string]string{"CUDA_VISIBLE_DEVICES": "0"})
	for range 5 {
		known.read([]gpu.Device{aGPU("a", 100, 5)})
	}
	assert.Empty(t, known.task(known.first, 101, 103, 1).coverage, "all who use it are known: this one does not")
}

func TestTheEnergyOfATaskIsThatOfItsProcessorsAndItsGPUs(t *testing.T) {
	m := newMeasured("joined")
	m.delta[taskEnergyGPU], m.coverage[taskEnergyGPU] = 10.0, "gpu_exclusive, exclusive"
	m.total(0)
	assert.Equal(t, []any{10.0, "cpu unknown; gpu_exclusive, exclusive"}, []any{m.delta["task.energy"], m.coverage["task.energy"]})
	assert.NotContains(t, m.delta, "task.co2e")
	m = newMeasured("joined")
	m.delta[taskEnergyCPU], m.coverage[taskEnergyCPU], m.peak[gpuCount] = 5.0, "cpu_share, exclusive", int64(1)
	m.total(720)
	assert.Equal(t, []any{5.0, "cpu_share, exclusive; gpu unknown"}, []any{m.delta["task.energy"], m.coverage["task.energy"]})
	assert.InDelta(t, 0.001, m.delta["task.co2e"], 1e-12)
}

// A reader that takes its time keeps nobody waiting for longer than a moment.
func TestASlowDriverKeepsNobodyWaiting(t *testing.T) {
	release := make(chan struct{})
	cfg := createDefaultConfig().(*Config)
	p := newProcess(procstat.Identity{PID: 1}, 16)
	c := newCards([]gpu.Reader{slow{release}}, cfg, func() []*process { return []*process{p} })
	one := aGPU("a", 1, 1)
	c.device(&one, 5, true, false, nil)
	c.patience = 10 * time.Millisecond
	c.start()
	before := time.Now()
	c.reach(before.UnixNano())
	c.shutdown() // nor does the end wait for one that hangs
	assert.Less(t, time.Since(before), 10*time.Second)
	close(release)
	<-c.done
}

// Who asks for a newer sample than there is waits for two rounds at most, and does not make the driver work without end.
func TestAReaderThatHasNothingNewer(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.GPU.Interval = time.Minute
	r := &stale{at: time.Now().Add(-time.Second).UnixNano()}
	p := newProcess(procstat.Identity{PID: 1}, 16)
	c := newCards([]gpu.Reader{r}, cfg, func() []*process { return []*process{p} })
	one := aGPU("a", 1, 1)
	c.device(&one, 5, true, false, nil)
	c.start()
	for range 10 {
		c.reach(time.Now().UnixNano())
	}
	c.shutdown()
	assert.LessOrEqual(t, r.reads, 20)
	assert.Positive(t, r.reads)
}

// The GPUs are read near the start of a task, unless they just were.
func TestTheStartOfATaskIsRead(t *testing.T) {
	for _, c := range []struct {
		last int64 // ns before the start
		want bool
	}{{last: 5e8, want: true}, {last: 5e7}, {last: -5e8}} {
		cards := newCards(nil, createDefaultConfig().(*Config), nil)
		one := aGPU("a", 1, 1)
		cards.device(&one, 100*second-c.last, true, false, nil)
		cards.begins(100 * second)
		assert.Equal(t, c.want, len(cards.wake) == 1, "%d ns before", c.last)
	}
}

type stale struct {
	at    int64
	reads int
}

func (*stale) Name() string { return "stale" }
func (*stale) Close() error { return nil }
func (s *stale) Read([]int) gpu.Reading {
	s.reads++
	return gpu.Reading{At: s.at, Devices: []gpu.Device{aGPU("a", 1, 1)}, Processes: true}
}

type slow struct{ release chan struct{} }

func (slow) Name() string             { return "slow" }
func (slow) Close() error             { return nil }
func (s slow) Read([]int) gpu.Reading { <-s.release; return gpu.Reading{} }
