package tasktelemetryprocessor

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/processor/tasktelemetryprocessor/internal/metadata"
)

// BenchmarkSampler tells the share of one core that watching 64 worker-like processes takes, by how long their tasks last
// and whether the host begins processes meanwhile.
func BenchmarkSampler(b *testing.B) {
	for name, c := range map[string]struct {
		duration time.Duration
		forks    bool
	}{
		"tasks of 5 ms":           {5 * time.Millisecond, false},
		"tasks of 1 s":            {time.Second, false},
		"tasks of 30 s":           {30 * time.Second, false},
		"tasks of 5 ms and forks": {5 * time.Millisecond, true},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				benchmarkSampler(b, c.duration, c.forks)
			}
		})
	}
}

func benchmarkSampler(b *testing.B, duration time.Duration, forks bool) {
	const processes, seconds = 64, 5
	reader, err := procstat.Open("/proc")
	require.NoError(b, err)
	s := newSampler(createDefaultConfig().(*Config), reader)
	s.start()
	defer s.shutdown()
	for i := range processes {
		cmd := exec.Command("sleep", "600")
		require.NoError(b, cmd.Start())
		defer func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}()
		e := checkpoint(b, cmd.Process.Pid)
		_, id, tool, ok := identityIn(recordOf(e))
		require.True(b, ok)
		s.watch(string(rune('a'+i)), id, tool, time.Now())
	}
	keep := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range s.byIdentity {
			p.mu.Lock()
			p.duration, p.active = float64(duration), time.Now()
			p.mu.Unlock()
		}
	}
	keep()
	settle := time.Now()
	for time.Since(settle) < time.Second { // the pace finds itself
		keep()
		time.Sleep(50 * time.Millisecond)
	}
	before, began := s.facts().used, time.Now()
	for time.Since(began) < seconds*time.Second {
		keep()
		if forks {
			_ = exec.Command("true").Run()
		}
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(began).Seconds()
	b.ReportMetric(100*(s.facts().used-before)/took, "%core")
	b.ReportMetric(s.facts().interval.Seconds()*1000, "ms/round")
}

// BenchmarkProcess tells what joining costs a task that ended.
func BenchmarkProcess(b *testing.B) {
	tel := componenttest.NewTelemetry()
	set := processortest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	p, err := NewFactory().CreateLogs(b.Context(), set, createDefaultConfig(), consumertest.NewNop())
	require.NoError(b, err)
	require.NoError(b, p.Start(b.Context(), componenttest.NewNopHost()))
	defer func() { require.NoError(b, p.Shutdown(context.Background())) }()
	require.NoError(b, p.ConsumeLogs(b.Context(), task.ToLogs([]*task.Event{checkpoint(b, os.Getpid())})))
	const tasks = 1000
	began := time.Now()
	events := make([]*task.Event, tasks)
	for i := range events {
		events[i] = finished("k"+strconv.Itoa(i), began, began.Add(time.Millisecond))
		events[i].TelemetryDelta = map[string]any{threadCPUTime: 0.001}
		events[i].Attributes = map[string]any{attrTasks: int64(1)}
	}
	for b.Loop() {
		b.StopTimer()
		logs := task.ToLogs(events)
		b.StartTimer()
		require.NoError(b, p.ConsumeLogs(b.Context(), logs))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*tasks), "µs/task")
}
