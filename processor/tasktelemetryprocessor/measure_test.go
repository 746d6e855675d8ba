package tasktelemetryprocessor

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

const second = int64(time.Second)

// sampled is a process with a sample each 100 ms for 10 s, from second 100 on: one core in use from second 102 to 104,
// memory of 100 with 900 at second 103, a child with half a core from 103 to 104, and 1000 bytes a second written.
func sampled(history int) *process {
	p := newProcess(procstat.Identity{}, history)
	p.observers = 1
	for at := 100 * second; at <= 110*second; at += second / 10 {
		p.series.Add(sampleAt(at))
	}
	return p
}

func sampleAt(at int64) procstat.Sample {
	t := float64(at) / float64(second)
	ramp := func(from, to float64) float64 { return math.Min(math.Max(t-from, 0), to-from) }
	v := procstat.Values{
		procstat.CPU: 5 + ramp(102, 104), procstat.ToolCPU: 1, procstat.ChildCPU: 0.5 * ramp(103, 104),
		procstat.DiskWrite: 1000 * (t - 100), procstat.Memory: 100, procstat.Threads: 3, procstat.Processes: 1,
	}
	if at == 103*second {
		v[procstat.Memory] = 900
	}
	return procstat.Sample{At: at, Values: v}
}

func TestMeasure(t *testing.T) {
	for _, c := range []struct {
		name string
		span span
		want map[string]any // delta and peak, and their coverage
	}{
		{
			"without a word of the worker: the process, its child included", span{started: 102 * second, ended: 104 * second},
			map[string]any{
				"process.cpu.time": 2.5, "cover process.cpu.time": "exclusive", "process.disk.io.write": int64(2000),
				"process.memory.usage": int64(900), "cover process.memory.usage": "exclusive",
			},
		},
		{
			"the exact time of the thread wins, its child comes on top",
			span{started: 102 * second, ended: 104 * second, sharing: 1, exact: map[string]float64{threadCPUTime: 1.99}},
			map[string]any{"process.cpu.time": 2.49, "cover process.cpu.time": "exclusive"},
		},
		{
			"threads that helped",
			span{started: 102 * second, ended: 103 * second, sharing: 1, exact: map[string]float64{threadCPUTime: 0.25}},
			map[string]any{"process.cpu.time": 1.0, "cover process.cpu.time": "exclusive"},
		},
		{
			"of several tasks, each has its own thread's time and the others' memory too",
			span{started: 102 * second, ended: 103 * second, sharing: 2, exact: map[string]float64{threadCPUTime: 0.25, threadDiskWrite: 10}},
			map[string]any{
				"process.cpu.time": 0.25, "cover process.cpu.time": "thread", "process.disk.io.write": int64(10),
				"cover process.disk.io.write": "thread", "process.memory.usage": int64(900), "cover process.memory.usage": "shared_by=2",
			},
		},
		{
			"a child of one of several tasks",
			span{started: 102 * second, ended: 104 * second, sharing: 2, exact: map[string]float64{threadCPUTime: 1}},
			map[string]any{"process.cpu.time": 1.5, "cover process.cpu.time": "shared_by=2"},
		},
		{
			"shorter than the time between samples", span{started: 102*second + second/50, ended: 102*second + second/20},
			map[string]any{
				"process.cpu.time": 0.03, "cover process.cpu.time": "exclusive, interpolated", "process.disk.io.write": int64(30),
				"process.memory.usage": int64(100), "cover process.memory.usage": "exclusive, interpolated",
			},
		},
		{
			"a mark that rose is the peak", span{started: 105 * second, ended: 106 * second, exact: map[string]float64{highWater: 5000}},
			map[string]any{"process.memory.usage": int64(5000), "process.cpu.time": 0.0},
		},
		{
			"began before the first sample", span{started: 99 * second, ended: 103 * second},
			map[string]any{"process.cpu.time": 1.0, "cover process.cpu.time": "exclusive, partial"},
		},
		{
			"ended after the last one", span{started: 109 * second, ended: 112 * second},
			map[string]any{"process.disk.io.write": int64(1000), "cover process.memory.usage": "exclusive, partial"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sampled(1000).measure(c.span)
			require.NotNil(t, m)
			got := map[string]any{}
			for k, v := range m.delta {
				got[k] = v
			}
			for k, v := range m.peak {
				got[k] = v
			}
			for k, v := range m.coverage {
				got["cover "+k] = v
			}
			for k, want := range c.want {
				if f, ok := want.(float64); ok {
					assert.InDelta(t, f, got[k], 1e-6, k)
				} else {
					assert.Equal(t, want, got[k], k)
				}
			}
		})
	}
}

func TestNothingIsKnownOfOtherTimes(t *testing.T) {
	assert.Nil(t, sampled(1000).measure(span{started: 90 * second, ended: 95 * second}))
	assert.Nil(t, sampled(1000).measure(span{started: 120 * second, ended: 121 * second}))
	assert.Nil(t, newProcess(procstat.Identity{}, 10).measure(span{started: 1, ended: 2}))
}

// A task that is known to run is followed, also when its samples leave the ring.
func TestALongTaskIsFollowed(t *testing.T) {
	p := newProcess(procstat.Identity{}, 16)
	for at := 100 * second; at <= 110*second; at += second / 10 {
		if at == 102*second {
			p.tasks.begin("long", 101*second+second/20, p.series)
		}
		if left, full := p.series.Add(sampleAt(at)); full {
			p.tasks.leaves(&left)
		}
	}
	m := p.measure(span{key: "long", started: 101*second + second/20, ended: 109 * second})
	require.NotNil(t, m)
	assert.Equal(t, "joined", m.outcome)
	assert.Equal(t, int64(900), m.peak[memoryUsage])
	assert.InDelta(t, 2.5, m.delta[cpuTime], 1e-6)
	assert.Equal(t, int64(7950), m.delta["process.disk.io.write"])
	assert.Equal(t, "exclusive", m.coverage[memoryUsage])
	assert.Empty(t, p.tasks.open)

	m = p.measure(span{key: "unknown", started: 101 * second, ended: 109 * second})
	assert.Equal(t, "shared_by=2, partial", m.coverage[memoryUsage])
}

// A number that rests on samples of a time when other tasks ran is theirs, too, though none ran at the same time.
func TestWhatOthersLeftBehind(t *testing.T) {
	p := sampled(1000)
	memoryOf := func(at int64, v float64) {
		i := p.series.From(at)
		p.series.Get(i).Values[procstat.Memory] = v
	}
	memoryOf(101*second, 700) // of one that ended right before
	p.measure(span{key: "before", started: 100 * second, ended: 101*second + second/50})
	m := p.measure(span{key: "k", started: 101*second + second/20, ended: 102*second + second/20, sharing: 1, exact: map[string]float64{threadCPUTime: 0.05, threadDiskWrite: 10}})
	assert.Equal(t, int64(700), m.start[memoryUsage])
	assert.Equal(t, int64(100), m.peak[memoryUsage], "what others had is not its peak")
	assert.Equal(t, "shared_by=2, interpolated", m.coverage[memoryUsage])
	assert.Equal(t, "exclusive", m.coverage[cpuTime], "that was counted of its thread")
	assert.Equal(t, "shared_by=2, interpolated", m.coverage["process.io.write"])
	assert.Equal(t, "shared_by=2, interpolated, with the tool", m.coverage["process.disk.io.write"], "the tool may have written for itself")

	alone := p.measure(span{key: "later", started: 105 * second, ended: 106 * second, sharing: 1})
	assert.Equal(t, "exclusive", alone.coverage[memoryUsage])
	memoryOf(107*second+second/10, 5000) // of one that begins right after
	alone = p.measure(span{key: "short", started: 107*second - second/2, ended: 107*second + second/20, sharing: 1})
	assert.Equal(t, int64(100), alone.peak[memoryUsage])
}

// A coroutine runs in the thread of the tool's event loop: that thread's time is its time, and the tool's.
func TestACoroutine(t *testing.T) {
	p := newProcess(procstat.Identity{}, 1000)
	p.observers = 1
	for at := 100 * second; at <= 110*second; at += second / 10 {
		x := sampleAt(at)
		x.Values[procstat.ToolCPU] = x.Values[procstat.CPU]
		p.series.Add(x)
	}
	m := p.measure(span{key: "k", started: 102 * second, ended: 103 * second, sharing: 1, inTool: true})
	assert.InDelta(t, 1, m.delta[cpuTime], 1e-6)
	assert.Equal(t, "exclusive, with the tool", m.coverage[cpuTime])
}

// Without a worker's count, tasks that are known to overlap are counted; a record that comes twice counts once.
func TestTasksThatOverlapShareTheirProcess(t *testing.T) {
	p := sampled(1000)
	p.tasks.begin("c", 103*second, p.series)
	a := span{key: "a", started: 101 * second, ended: 102 * second}
	b := span{key: "b", started: 101*second + second/2, ended: 104 * second}
	assert.Equal(t, "exclusive", p.measure(a).coverage[cpuTime], "nothing is known of b yet")
	assert.Equal(t, "shared_by=3", p.measure(b).coverage[cpuTime])
	for range 2 {
		assert.Equal(t, "shared_by=2", p.measure(a).coverage[cpuTime])
	}
}

// What a worker knows by itself stands, and says so, where its process cannot be read.
func TestReported(t *testing.T) {
	assert.Nil(t, reported(span{}))
	m := reported(span{sharing: 2, exact: map[string]float64{threadCPUTime: 1.5, threadDiskRead: 0, threadDiskWrite: 512, highWater: 4096}})
	assert.Equal(t, map[string]any{"process.cpu.time": 1.5, "process.disk.io.read": int64(0), "process.disk.io.write": int64(512)}, m.delta)
	assert.Equal(t, map[string]any{"process.memory.usage": int64(4096)}, m.peak)
	assert.Equal(t, map[string]any{
		"process.cpu.time": "thread", "process.disk.io.read": "thread", "process.disk.io.write": "thread",
		"process.memory.usage": "shared_by=2",
	}, m.coverage)
}

// The energy of a task is its share of the host's, by CPU time; unknown energy is not zero.
func TestEnergy(t *testing.T) {
	a := newAround(func() procstat.Sample { return procstat.Sample{} }, createDefaultConfig().(*Config))
	unknown := newAround(func() procstat.Sample { return procstat.Sample{} }, createDefaultConfig().(*Config))
	for at := 100 * second; at <= 110*second; at += second {
		v := procstat.Unknown()
		v[procstat.HostBusy], v[procstat.HostCPU] = 2*float64(at/second), 4*float64(at/second)
		unknown.series.Add(procstat.Sample{At: at, Values: v})
		v[procstat.HostEnergy] = 50 * float64(at/second)
		a.series.Add(procstat.Sample{At: at, Values: v})
	}
	s := span{key: "k", started: 102 * second, ended: 104 * second}
	m := newMeasured("joined")
	m.delta[cpuTime], m.coverage[cpuTime] = 1.0, "shared_by=2, interpolated"
	m.host(a, nil, s)
	m.total(360)
	assert.InDelta(t, 100, m.delta["hw.energy"], 1e-9)
	assert.InDelta(t, 25, m.delta["task.energy.cpu"], 1e-9)
	assert.InDelta(t, 25, m.delta["task.energy"], 1e-9)
	assert.InDelta(t, 0.0025, m.delta["task.co2e"], 1e-9)
	for _, name := range []string{"task.energy.cpu", "task.energy", "task.co2e"} {
		assert.Equal(t, "cpu_share, shared_by=2, interpolated", m.coverage[name], "what it rests on is not the task's alone")
	}
	assert.Equal(t, "host", m.coverage["hw.energy"])
	assert.InDelta(t, 0.5, m.peak["system.cpu.utilization"], 1e-9)

	m = newMeasured("joined")
	m.delta[cpuTime] = 1.0
	m.host(unknown, nil, s)
	m.total(360)
	assert.NotContains(t, m.delta, "task.co2e")
	assert.NotContains(t, m.delta, "hw.energy")
	assert.NotContains(t, m.delta, "task.energy")
	assert.NotContains(t, m.delta, "system.disk.io.read")

	// A program may know it where the processors do not tell.
	j := newJoules(createDefaultConfig().(*Config), nil, nil)
	told := func(at int64, joules float64) {
		x := procstat.Sample{At: at, Values: procstat.Unknown()}
		x.Values[0] = joules
		j.series.Add(x)
	}
	told(95*second, 1000)
	told(105*second, 2000)
	m = newMeasured("joined")
	m.delta[cpuTime], m.coverage[cpuTime] = 1.0, "exclusive"
	m.host(unknown, j, s)
	assert.InDelta(t, 200, m.delta["hw.energy"], 1e-9)
	assert.InDelta(t, 50, m.delta["task.energy.cpu"], 1e-9)
	assert.Equal(t, "host, by command, interpolated", m.coverage["hw.energy"])
	assert.Equal(t, "cpu_share, exclusive, by command, interpolated", m.coverage["task.energy.cpu"])
	for _, c := range []struct {
		from, to int64
		used     float64
		words    string
	}{
		{105, 109, 400, "host, by command, interpolated"}, {90, 100, 500, "host, by command, partial"}, {100, 200, 2500, "host, by command, partial"},
	} {
		used, words, ok := j.over(c.from*second, c.to*second)
		assert.True(t, ok)
		assert.InDelta(t, c.used, used, 1e-9)
		assert.Equal(t, c.words, words)
	}
	_, _, ok := j.over(200*second, 210*second)
	assert.False(t, ok)
}

// A program that cannot tell is no zero, and what it says of that is logged once.
func TestTheProgramThatTellsTheEnergy(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	cfg := createDefaultConfig().(*Config)
	j := newJoules(cfg, zap.New(core), nil)
	for _, script := range []string{"echo 100", "echo unknown", "exit 3", "echo 150.5"} {
		j.command = []string{"sh", "-c", script}
		j.ask(t.Context())
	}
	assert.Equal(t, int64(2), j.failed)
	require.Equal(t, 2, j.series.Len())
	last, _ := j.series.Last()
	assert.InDelta(t, 150.5, last.Values[0], 0)
	require.Equal(t, 1, logs.Len())
	assert.Equal(t, "unknown", logs.All()[0].ContextMap()["output"])
	j.command = []string{"sh", "-c", "echo 3"}
	j.ask(t.Context())
	assert.Equal(t, 1, j.series.Len(), "its counter began again")
}
