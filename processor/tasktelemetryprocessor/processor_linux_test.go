package tasktelemetryprocessor

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcol-mida/otelcol-mida/internal/samples"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/processor/tasktelemetryprocessor/internal/metadata"
)

const patience = time.Minute

// pipeline is the processor and what comes out of it.
type pipeline struct {
	t   *testing.T
	p   processor.Logs
	out *consumertest.LogsSink
	tel *componenttest.Telemetry
}

func startPipeline(t *testing.T, change func(*Config)) *pipeline {
	tel := componenttest.NewTelemetry()
	set := processortest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	cfg := createDefaultConfig().(*Config)
	if change != nil {
		change(cfg)
	}
	require.NoError(t, cfg.Validate())
	out := &consumertest.LogsSink{}
	p, err := NewFactory().CreateLogs(t.Context(), set, cfg, out)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		assert.NoError(t, p.Shutdown(ctx))
		assert.NoError(t, tel.Shutdown(ctx))
	})
	return &pipeline{t, p, out, tel}
}

// send returns the telemetry that was added to events.
func (p *pipeline) send(events ...*task.Event) (added []*task.Event) {
	p.out.Reset()
	require.NoError(p.t, p.p.ConsumeLogs(p.t.Context(), task.ToLogs(events)))
	for _, batch := range p.out.AllLogs() {
		all, rejected := task.FromLogs(batch)
		require.Empty(p.t, rejected)
		passed := 0
		for _, e := range all {
			if e.Facet == facet {
				added = append(added, e)
			} else {
				passed++
			}
		}
		if passed == 0 { // told by itself
			added = nil
			continue
		}
		require.Equal(p.t, len(events), passed, "what was in the stream passes")
		return added
	}
	require.Fail(p.t, "nothing came out")
	return nil
}

// told is what came out since the last records were sent, of what nobody's record brought along.
func (p *pipeline) told() (out []*task.Event) {
	for _, batch := range p.out.AllLogs() {
		all, _ := task.FromLogs(batch)
		for _, e := range all {
			if e.Facet == facet {
				out = append(out, e)
			}
		}
	}
	return out
}

// checkpoint is what the observer of a process says of it.
func checkpoint(t testing.TB, pid int) *task.Event {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	require.NoError(t, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):]))
	start, err := strconv.ParseInt(fields[20], 10, 64)
	require.NoError(t, err)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	return &task.Event{
		Name: task.EventCheckpoint, Time: time.Now().UnixNano(), Attempt: task.NoAttempt, ObserverID: "worker-1", Campaign: "c",
		Record: map[string]any{"last_seq": int64(0), "final": false, "process": map[string]any{
			"pid": int64(pid), "start": start, "boot_id": strings.TrimSpace(string(boot)), "pid_namespace": int64(0), "thread": int64(0),
		}},
	}
}

func recordOf(e *task.Event) plog.LogRecord {
	return task.ToLogs([]*task.Event{e}).ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
}

func started(key string, at time.Time) *task.Event {
	return &task.Event{
		Name: task.EventStarted, Time: at.UnixNano(), Kind: "dask", Scope: "s", Key: key, Attempt: 7, Facet: "worker",
		Status: task.StatusRunning, StartedAt: at.UnixNano(), ObserverID: "worker-1", Seq: 1, Campaign: "c",
		Resource: map[string]any{"host.name": "here"},
	}
}

func finished(key string, at, end time.Time) *task.Event {
	e := started(key, at)
	e.Name, e.Status, e.Time, e.EndedAt, e.Seq = task.EventFinished, task.StatusFinished, end.UnixNano(), end.UnixNano(), 2
	return e
}

func run(t *testing.T, script string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", script)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func TestATaskGetsWhatItsProcessUsed(t *testing.T) {
	p := startPipeline(t, nil)
	cmd := run(t, `while :; do :; done`)
	require.Empty(t, p.send(checkpoint(t, cmd.Process.Pid)))
	began := time.Now()
	require.Empty(t, p.send(started("k", began)))
	used := func() float64 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
		require.NoError(t, err)
		fields := strings.Fields(string(stat))
		user, err := strconv.Atoi(fields[13])
		require.NoError(t, err)
		system, err := strconv.Atoi(fields[14])
		require.NoError(t, err)
		return float64(user+system) / 100
	}
	before := used()
	require.Eventually(t, func() bool { return used() >= before+1 }, patience, 10*time.Millisecond)
	ended := time.Now()
	record := finished("k", began, ended)
	got := p.send(record)
	require.Len(t, got, 1)
	e := got[0]
	assert.Equal(t, record.ID(), e.ID())
	assert.Equal(t, int64(7), e.Attempt)
	assert.Equal(t, "c", e.Campaign)
	assert.Equal(t, record.EndedAt, e.Time)
	assert.Empty(t, e.ObserverID, "it has no number of the worker's observer")
	cpu, ok := e.TelemetryDelta["process.cpu.time"].(float64)
	require.True(t, ok)
	assert.InDelta(t, 1, cpu, 0.1)
	assert.Contains(t, e.TelemetryCoverage["process.cpu.time"], "exclusive")
	for _, m := range []map[string]any{e.TelemetryStart, e.TelemetryEnd, e.TelemetryPeak} {
		assert.Positive(t, m["process.memory.usage"])
	}

	// The same record again: nothing is counted twice, and the state of the task is the same in each order.
	again := p.send(record)
	require.Len(t, again, 1)
	var one, other task.State
	for _, x := range []*task.Event{record, e, again[0]} {
		one.Apply(x)
	}
	for _, x := range []*task.Event{again[0], record, e} {
		other.Apply(x)
	}
	assert.True(t, one.Equal(&other))
	assert.Equal(t, e.TelemetryDelta, again[0].TelemetryDelta)
}

func TestARecordThatComesLateFindsThePast(t *testing.T) {
	p := startPipeline(t, func(c *Config) { c.MaxInterval = 50 * time.Millisecond })
	cmd := run(t, `sleep 600`)
	p.send(checkpoint(t, cmd.Process.Pid))
	began := time.Now()
	require.Eventually(t, func() bool { return time.Since(began) > 300*time.Millisecond }, patience, 10*time.Millisecond)
	ended := time.Now()
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return time.Since(ended) > 300*time.Millisecond }, patience, 10*time.Millisecond)
	got := p.send(finished("k", began.Add(100*time.Millisecond), ended.Add(-100*time.Millisecond)))
	require.Len(t, got, 1, "though its process is gone")
	assert.NotContains(t, got[0].TelemetryCoverage["process.memory.usage"], "partial")
}

func TestOnlyTasksOfKnownProcesses(t *testing.T) {
	p := startPipeline(t, nil)
	now := time.Now()
	stranger := finished("k", now.Add(-time.Second), now)
	require.Empty(t, p.send(stranger), "an observer that has not said which process it is in")
	require.Empty(t, p.send(
		&task.Event{Name: task.EventCheckpoint, Attempt: task.NoAttempt},
		&task.Event{Name: task.EventCheckpoint, Attempt: task.NoAttempt, ObserverID: "o", Record: map[string]any{"process": "7"}},
		&task.Event{Name: task.EventFinished, Attempt: task.NoAttempt, StartedAt: 1, EndedAt: 2},
	), "records that say nothing")

	elsewhere := checkpoint(t, os.Getpid())
	elsewhere.Record.(map[string]any)["process"].(map[string]any)["boot_id"] = "0000"
	require.Empty(t, p.send(elsewhere, stranger), "a process of another host")

	recycled := checkpoint(t, os.Getpid())
	recycled.ObserverID = "worker-2"
	recycled.Record.(map[string]any)["process"].(map[string]any)["start"] = int64(1)
	stranger.ObserverID = "worker-2"
	require.Empty(t, p.send(recycled, stranger), "a process whose number was given again")

	stranger.TelemetryDelta = map[string]any{"thread.cpu.time": 0.5}
	got := p.send(recycled, stranger)
	require.Len(t, got, 1, "what its worker counted itself is known")
	assert.Equal(t, map[string]any{"process.cpu.time": 0.5, "process.disk.io.read": int64(0), "process.disk.io.write": int64(0)}, got[0].TelemetryDelta)
	assert.Equal(t, "thread", got[0].TelemetryCoverage["process.cpu.time"])
}

func TestWithoutProcEverythingPasses(t *testing.T) {
	p := startPipeline(t, func(c *Config) { c.ProcPath = t.TempDir() })
	now := time.Now()
	require.Empty(t, p.send(checkpoint(t, os.Getpid()), finished("k", now.Add(-time.Second), now)))
}

// A task of which only the host is known gets the host's numbers, and none under the name of a process.
func TestATaskOfAnUnknownProcessHasItsHost(t *testing.T) {
	p := startPipeline(t, func(c *Config) { c.MaxInterval = 50 * time.Millisecond })
	host, err := os.Hostname()
	require.NoError(t, err)
	event := func(e *task.Event) *task.Event {
		e.Kind, e.Facet, e.Attempt, e.ObserverID = "mlflow", "run", task.NoAttempt, "mlflow-1"
		e.Resource = map[string]any{"host.name": host}
		return e
	}
	began := time.Now()
	require.Eventually(t, func() bool { return time.Since(began) > 200*time.Millisecond }, patience, 10*time.Millisecond)
	at := time.Now()
	require.Empty(t, p.send(event(started("r", at))))
	require.Eventually(t, func() bool { return time.Since(at) > 300*time.Millisecond }, patience, 10*time.Millisecond)
	got := p.send(event(finished("r", at, time.Now())))
	require.Len(t, got, 1)
	assert.Positive(t, got[0].TelemetryPeak["system.memory.usage"])
	for name, covers := range got[0].TelemetryCoverage {
		assert.Equal(t, "host", covers, name)
		assert.True(t, strings.HasPrefix(name, "system."), name)
	}
	assert.Equal(t, task.NoAttempt, got[0].Attempt)

	elsewhere := event(finished("r", at, time.Now()))
	elsewhere.Resource = map[string]any{"host.name": host + "-2"}
	require.Empty(t, p.send(elsewhere))
	long := event(finished("old", at.Add(-time.Hour), at.Add(-30*time.Minute)))
	require.Empty(t, p.send(long), "nothing is known of that time")
}

// A task whose process is gone before it ended keeps what was seen of it; an end that comes later counts more.
func TestATaskThatIsLostWithItsProcess(t *testing.T) {
	p := startPipeline(t, func(c *Config) { c.MaxInterval = 50 * time.Millisecond })
	cmd := run(t, `sleep 600`)
	p.send(checkpoint(t, cmd.Process.Pid))
	began := time.Now()
	p.send(started("k", began))
	require.Eventually(t, func() bool { return time.Since(began) > 300*time.Millisecond }, patience, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	var got []*task.Event
	require.Eventually(t, func() bool {
		got = p.told() // though no record comes any more
		return len(got) > 0
	}, patience, 20*time.Millisecond)
	e := got[0]
	want := started("k", began)
	assert.Equal(t, want.ID(), e.ID())
	assert.Equal(t, int64(7), e.Attempt)
	assert.Positive(t, e.TelemetryPeak["process.memory.usage"])
	assert.NotContains(t, e.Attributes, task.AttrCause, "nothing says that the kernel did it")

	var s task.State
	end := finished("k", began, began.Add(200*time.Millisecond))
	end.TelemetryDelta = map[string]any{"thread.cpu.time": 0.125}
	full := p.send(end)
	require.Len(t, full, 1)
	s.Apply(full[0])
	s.Apply(e)
	assert.Equal(t, full[0].TelemetryDelta, task.Project(&s).TelemetryDelta)
}

// A log on a file system that machines share may be another one's: without a writer here, this host's numbers are not its tasks'.
func TestALogThatMayBeAnotherHosts(t *testing.T) {
	p := startPipeline(t, func(c *Config) { c.MaxInterval = 50 * time.Millisecond })
	source, ok := samples.Of(component.NewID(metadata.Type)).(*sampler)
	require.True(t, ok)
	source.onNetwork = func(path string) bool { return strings.HasPrefix(path, "/net/") }
	host, err := os.Hostname()
	require.NoError(t, err)
	at := time.Now()
	require.Eventually(t, func() bool { return time.Since(at) > 300*time.Millisecond }, patience, 10*time.Millisecond)
	of := func(key, path string) *task.Event {
		e := finished(key, at, time.Now())
		e.Kind, e.Facet, e.Attempt, e.ObserverID = "log", "end", task.NoAttempt, "tasklog-1"
		e.Resource = map[string]any{"host.name": host, "log.file.path": path}
		return e
	}
	assert.Empty(t, p.send(of("a", "/net/run.log")))
	assert.Len(t, p.send(of("b", "/scratch/run.log")), 1)
}

// The process of a task that a log tells of is the one that writes the log.
func TestATaskOfALogHasTheProcessThatWritesIt(t *testing.T) {
	p := startPipeline(t, func(c *Config) { c.MaxInterval = 50 * time.Millisecond })
	host, err := os.Hostname()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "run.log")
	run(t, `exec 3>>`+path+`; sleep 600 3>&-`)
	event := func(e *task.Event, path string) *task.Event {
		e.Kind, e.Facet, e.Attempt, e.ObserverID = "log", "end", task.NoAttempt, "tasklog-1"
		e.Resource = map[string]any{"host.name": host, "log.file.path": path}
		return e
	}
	require.Eventually(t, func() bool { // the shell has opened it
		_, err := os.Stat(path)
		return err == nil
	}, patience, 10*time.Millisecond)
	began := time.Now()
	require.Empty(t, p.send(event(started("i", began), path)))
	require.Eventually(t, func() bool { return time.Since(began) > 300*time.Millisecond }, patience, 10*time.Millisecond)
	got := p.send(event(finished("i", began, time.Now()), path))
	require.Len(t, got, 1)
	assert.Positive(t, got[0].TelemetryPeak["process.memory.usage"])
	assert.Contains(t, got[0].TelemetryCoverage["process.memory.usage"], "exclusive")

	got = p.send(event(finished("j", began, time.Now()), path+".nobody"))
	require.Len(t, got, 1)
	assert.NotContains(t, got[0].TelemetryPeak, "process.memory.usage")
}
