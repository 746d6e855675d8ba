package tasklogreceiver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadatatest"
)

const patience = 60 * time.Second

type host struct {
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

var storageID = component.MustNewID("file_storage")

// withStorage starts the real file_storage in a directory.
func withStorage(t testing.TB, dir string) host {
	f := filestorage.NewFactory()
	cfg := f.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory = dir
	ext, err := f.Create(context.Background(), extensiontest.NewNopSettings(f.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(context.Background(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, ext.Shutdown(context.Background())) })
	return host{map[component.ID]component.Component{storageID: ext}}
}

func testConfig(dir string) *Config {
	cfg := createDefaultConfig().(*Config)
	cfg.Include = []string{filepath.Join(dir, "*.log")}
	cfg.RulesFile = "testdata/acquire_rules.yaml"
	cfg.PollInterval = minPollInterval
	cfg.SettleAfter = 50 * time.Millisecond
	cfg.Storage = &storageID
	return cfg
}

// view merges what a pipeline accepted, as a store would.
func view(events []*task.Event) map[string]*task.Document {
	states := map[string]*task.State{}
	for _, e := range events {
		if e.IsTask() {
			id := e.ID()
			if states[id] == nil {
				states[id] = &task.State{}
			}
			states[id].Apply(e)
		}
	}
	out := map[string]*task.Document{}
	for id, st := range states {
		out[id] = task.Project(st)
	}
	return out
}

func eventsOf(t testing.TB, all []plog.Logs) []*task.Event {
	var out []*task.Event
	for _, l := range all {
		events, rejected := task.FromLogs(l)
		require.Empty(t, rejected)
		out = append(out, events...)
	}
	return out
}

func finished(docs map[string]*task.Document) (n int) {
	for _, d := range docs {
		if d.Status == task.StatusFinished {
			n++
		}
	}
	return n
}

// A sink that refuses for a while gets everything in the end, in order, once; numbers have no gap.
func TestRefusedThenAccepted(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "acquire.log"), []byte(shortLog), 0o600))
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	set := receivertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	sink := new(consumertest.LogsSink)
	var calls atomic.Int64
	next, err := consumer.NewLogs(func(ctx context.Context, l plog.Logs) error {
		if calls.Add(1) <= 3 {
			return errors.New("the store is busy")
		}
		return sink.ConsumeLogs(ctx, l)
	})
	require.NoError(t, err)
	r, err := newReceiver(set, testConfig(dir), next)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), withStorage(t, t.TempDir())))
	require.Eventually(t, func() bool { return finished(view(eventsOf(t, sink.AllLogs()))) == 2 }, patience, 10*time.Millisecond)
	metadatatest.AssertEqualReceiverTasklogBatchInterval(t, tel, []metricdata.DataPoint[float64]{{Value: minPollInterval.Seconds()}}, ignoreTime)
	require.NoError(t, r.Shutdown(t.Context()))
	got, err := tel.GetMetric("otelcol_receiver_tasklog_records") // counted behind the sink's answer
	require.NoError(t, err)
	assert.NotNil(t, got)

	events := eventsOf(t, sink.AllLogs())
	seq := int64(0)
	for _, e := range events {
		if e.Name == task.EventCheckpoint {
			continue
		}
		seq++
		assert.Equal(t, seq, e.Seq)
	}
	last := events[len(events)-1]
	require.Equal(t, task.EventCheckpoint, last.Name)
	size := int64(len(shortLog))
	assert.Equal(t, map[string]any{"last_seq": seq, "dropped": []any{}, "final": true, "witness": map[string]any{
		"logs": []any{map[string]any{
			"path": filepath.Join(dir, "acquire.log"), "size": size, "read": size, "entries": int64(13), "matched": int64(12),
			"ignored": int64(1), "unmatched": int64(0), "unusable": int64(0),
		}},
	}}, last.Record)
	metadatatest.AssertEqualReceiverTasklogFiles(t, tel, fileCount(1), ignoreTime)
}

// A stop between the start and the end of a task keeps the task open.
func TestRestartBetweenStartAndEnd(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	log := filepath.Join(dir, "acquire.log")
	require.NoError(t, os.WriteFile(log, []byte(begin+start("1")+start("2")), 0o600))
	var events []*task.Event
	session := func(until func(map[string]*task.Document) bool) {
		h := withStorage(t, state)
		sink := new(consumertest.LogsSink)
		r, err := newReceiver(receivertest.NewNopSettings(metadata.Type), testConfig(dir), sink)
		require.NoError(t, err)
		require.NoError(t, r.Start(t.Context(), h))
		require.Eventually(t, func() bool { return until(view(append(events, eventsOf(t, sink.AllLogs())...))) }, patience, 10*time.Millisecond)
		require.NoError(t, r.Shutdown(t.Context()))
		require.NoError(t, h.extensions[storageID].Shutdown(t.Context()))
		events = append(events, eventsOf(t, sink.AllLogs())...)
	}
	session(func(d map[string]*task.Document) bool { return len(d) == 2 })
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(saved("2") + saved("1"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	session(func(d map[string]*task.Document) bool { return finished(d) == 2 })
	docs := view(events)
	require.Len(t, docs, 2)
	for _, d := range docs {
		assert.Equal(t, map[string]any{"number": d.Used["number"], "position": []any{0.0, 0.0}, "round": int64(1), "seed": int64(1), "sample": "S"}, d.Used)
		assert.Equal(t, time.Minute, time.Duration(d.EndedAt-d.StartedAt))
	}
}

// The process is killed again and again while the log grows; what its pipeline accepted is the whole, and nothing else.
func TestKilledProcess(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	accepted := filepath.Join(t.TempDir(), "accepted.jsonl")
	log, err := os.Create(filepath.Join(dir, "acquire.log"))
	require.NoError(t, err)
	defer log.Close()
	const images = 300
	_, err = log.WriteString(begin)
	require.NoError(t, err)
	written := 0
	write := func(n int) {
		for range n {
			if written < images {
				_, err := fmt.Fprint(log, start(fmt.Sprint(written)), saved(fmt.Sprint(written)))
				require.NoError(t, err)
				written++
			}
		}
	}
	for kill := 1; kill <= 5; kill++ {
		child := startChild(t, dir, state, accepted)
		write(images / 6)
		wantLines := kill * images / 10 // somewhere in the middle of what is there
		assert.Eventually(t, func() bool { return countLines(t, accepted) >= wantLines }, patience, 20*time.Millisecond)
		require.NoError(t, child.Process.Kill())
		_ = child.Wait() // says that it was killed
	}
	write(images)
	child := startChild(t, dir, state, accepted)
	assert.Eventually(t, func() bool { return finished(view(readEvents(t, accepted))) == images }, patience, 50*time.Millisecond)
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	assert.Len(t, view(readEvents(t, accepted)), images)
}

const childEnv = "TASKLOG_TEST_CHILD"

func startChild(t *testing.T, dir, state, accepted string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{dir, state, accepted}, "|"))
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { // also of a test that failed
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd
}

// TestChild is the process that TestKilledProcess kills: a receiver with file_storage whose pipeline writes to a file.
func TestChild(t *testing.T) {
	arg := os.Getenv(childEnv)
	if arg == "" {
		return // not the child
	}
	part := strings.Split(arg, "|")
	out, err := os.OpenFile(part[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	var calls int
	next, err := consumer.NewLogs(func(_ context.Context, l plog.Logs) error {
		if calls++; calls%7 == 3 {
			return errors.New("not now")
		}
		var b strings.Builder
		b.WriteByte('\n') // behind a line that a kill cut
		events, _ := task.FromLogs(l)
		for _, e := range events {
			b.Write(task.AppendJSON(nil, e.Wire()))
			b.WriteByte('\n')
		}
		_, err := out.WriteString(b.String())
		return err
	})
	require.NoError(t, err)
	set := receivertest.NewNopSettings(metadata.Type)
	set.ID = component.NewID(metadata.Type)
	set.Logger = zap.NewNop()
	r, err := newReceiver(set, testConfig(part[0]), next)
	require.NoError(t, err)
	require.NoError(t, r.Start(context.Background(), withStorage(t, part[1])))
	select {} // until killed
}

func countLines(t testing.TB, path string) int {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	require.NoError(t, err)
	return strings.Count(string(data), "\n")
}

func readEvents(t testing.TB, path string) []*task.Event {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var out []*task.Event
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if !json.Valid(sc.Bytes()) {
			continue // empty, or cut by a kill: its request was not accepted
		}
		v, err := task.DecodeJSON(sc.Bytes())
		require.NoError(t, err)
		e, err := task.FromWire(v.(map[string]any))
		require.NoError(t, err)
		out = append(out, e)
	}
	require.NoError(t, sc.Err())
	return out
}
