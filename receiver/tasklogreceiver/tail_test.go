package tasklogreceiver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadata"
)

// memory is a storage client whose content outlives a session, as that of file_storage does.
type memory map[string][]byte

func (m memory) Get(_ context.Context, key string) ([]byte, error) { return m[key], nil }
func (m memory) Set(_ context.Context, key string, value []byte) error {
	m[key] = value
	return nil
}

func (m memory) Delete(_ context.Context, key string) error {
	delete(m, key)
	return nil
}

func (m memory) Batch(ctx context.Context, ops ...*storage.Operation) error {
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = m[op.Key]
		case storage.Set:
			m[op.Key] = op.Value
		case storage.Delete:
			delete(m, op.Key)
		}
	}
	return nil
}
func (memory) Close(context.Context) error { return nil }

// rig runs sessions of a tail, one poll at a time, over logs in a directory, and merges all events as a store would.
type rig struct {
	t      testing.TB
	dir    string
	cfg    *Config
	state  memory
	view   map[string]*task.State
	events int
	// refuseAt ends a session when so many events were accepted in it.
	refuseAt int
	tel      *componenttest.Telemetry
	logger   *zap.Logger
	logged   *observer.ObservedLogs
}

var errStopped = errors.New("the session ends")

func newRig(t testing.TB, include ...string) *rig {
	r := &rig{t: t, dir: t.TempDir(), state: memory{}, view: map[string]*task.State{}, refuseAt: -1}
	r.tel = componenttest.NewTelemetry()
	t.Cleanup(func() { assert.NoError(t, r.tel.Shutdown(context.Background())) })
	var core zapcore.Core
	core, r.logged = observer.New(zap.InfoLevel)
	r.logger = zap.New(core)
	cfg := createDefaultConfig().(*Config)
	cfg.RulesFile = "testdata/acquire_rules.yaml"
	cfg.SettleAfter = 0
	for _, p := range include {
		cfg.Include = append(cfg.Include, filepath.Join(r.dir, p))
	}
	r.cfg = cfg
	require.NoError(t, cfg.Validate())
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, content string) {
	require.NoError(r.t, os.WriteFile(r.path(name), []byte(content), 0o600))
}

func (r *rig) append(name, content string) {
	f, err := os.OpenFile(r.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(r.t, err)
	_, err = f.WriteString(content)
	require.NoError(r.t, err)
	require.NoError(r.t, f.Close())
}

type session struct {
	*tail
	r        *rig
	accepted int
	p        *paths
}

// session begins where the last one left the storage.
func (r *rig) session() *session {
	set, err := r.cfg.Rules()
	require.NoError(r.t, err)
	match, err := r.cfg.matcher()
	require.NoError(r.t, err)
	tb, err := metadata.NewTelemetryBuilder(r.tel.NewTelemetrySettings())
	require.NoError(r.t, err)
	st := &stateStore{client: r.state, seq: func() int64 { return 0 }, logger: r.logger}
	require.NoError(r.t, st.load(r.t.Context(), keyObserver, &st.observer))
	require.NoError(r.t, st.load(r.t.Context(), keyFiles, &st.index))
	files, refused, err := st.files(r.t.Context(), set)
	require.NoError(r.t, err)
	resolver := entity.NewResolver()
	s := &session{r: r, p: &paths{resolver: resolver, policy: capture.New(capture.NewDefaultConfig())}}
	s.tail = &tail{
		cfg: r.cfg, rules: set, matcher: match, store: st, report: newReport(tb, r.logger, &doctor{}), resolver: resolver,
		host: "node", logger: r.logger, files: files, refused: refused, buf: make([]byte, 300),
	}
	return s
}

func (s *session) poll() error { return s.tail.poll(s.r.t.Context(), s.emit) }

func (s *session) emit(_ context.Context, changes []*change) error {
	for _, c := range changes {
		events, err := s.p.callback(c)
		require.NoError(s.r.t, err)
		for _, e := range events {
			if s.accepted == s.r.refuseAt {
				return errStopped
			}
			s.accepted++
			s.r.events++
			id := e.ID()
			if s.r.view[id] == nil {
				s.r.view[id] = &task.State{}
			}
			s.r.view[id].Apply(e)
		}
	}
	return nil
}

// kill drops the session: nothing but the storage stays.
func (s *session) kill() {
	for _, f := range s.files {
		f.close()
	}
}

// run polls until everything is read, then kills the session.
func (r *rig) run() {
	s := r.session()
	require.NoError(r.t, s.poll())
	require.NoError(r.t, s.poll())
	s.kill()
}

// tasks lists the tasks of the view: "workflow key status", sorted by their place in time.
func (r *rig) tasks() []string {
	var docs []*task.Document
	for _, st := range r.view {
		if d := task.Project(st); d.TaskID != "run" {
			docs = append(docs, d)
		}
	}
	var out []string
	for _, d := range docs {
		out = append(out, fmt.Sprintf("%s %s %s", d.Scope[strings.Index(d.Scope, "#")+1:], d.TaskID, d.Status))
	}
	slices.Sort(out)
	return out
}

func (r *rig) encoded() map[string]string {
	out := map[string]string{}
	for id, st := range r.view {
		out[id] = string(st.Encode())
	}
	return out
}

// shortLog has two runs, an entry of several lines, a torn task, CRLF and text outside ASCII.
const shortLog = "2026-11-22 21:50:53,190 INFO microscope: run begin: round 1, seed 1, sample Probe-Ä\n" +
	"2026-11-22 21:50:53,190 INFO microscope: parameter space: {\"defocus_nm\": 12.0, \"dose\": 40}\r\n" +
	"2026-11-22 21:50:53,191 INFO microscope.camera: image 101: exposure started at x=0.00 y=0.00 nm\n" +
	"2026-11-22 21:50:53,331 INFO microscope.camera: image 101: saved images/img_101.npz defects=23 mean=0.6107 drift=0.196 nm\n" +
	"2026-11-22 21:50:53,901 WARNING microscope: cold trap temperature unknown, going on\n" +
	"Traceback (most recent call last):\n  the controller may be busy\n" +
	"2026-11-22 21:50:54,332 INFO microscope.camera: image 102: exposure started at x=5.00 y=0.00 nm\n" +
	"2026-11-22 21:50:54,435 ERROR microscope.camera: image 102: aborted, beam blanker did not open\n  see the manual\n" +
	"2026-11-22 21:50:54,436 INFO microscope: refocused: defocus_nm=8.5\n" +
	"2026-11-22 21:50:54,500 INFO microscope.camera: image 103: exposure started at x=5.00 y=0.00 nm\n" +
	"2026-11-22 21:50:55,222 INFO microscope: run begin: round 1, seed 1, sample Probe-Ä\n" +
	"2026-11-22 21:50:55,223 INFO microscope.camera: image 101: exposure started at x=0.00 y=0.00 nm\n" +
	"2026-11-22 21:50:55,405 INFO microscope.camera: image 101: saved images/img_101.npz defects=23 mean=0.6107 drift=0.196 nm\n" +
	"2026-11-22 21:50:56,669 INFO microscope: run end: 1 of 1 images saved\n"

const (
	firstRun  = "2026-11-22T21:50:53.19Z+0-"
	secondRun = "2026-11-22T21:50:55.222Z+"
)

func TestTwoRunsInOneLog(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("acquire.log", shortLog)
	r.run()
	got := r.tasks()
	require.Len(t, got, 4)
	for i, want := range []string{"acquire_image/101 FINISHED", "acquire_image/102 FAILED", "acquire_image/103 UNKNOWN"} {
		assert.True(t, strings.HasPrefix(got[i], firstRun) && strings.HasSuffix(got[i], want), "%s: %s", want, got[i])
	}
	assert.True(t, strings.HasPrefix(got[3], secondRun) && strings.HasSuffix(got[3], "acquire_image/101 FINISHED"), got[3])
	for _, st := range r.view {
		if d := task.Project(st); d.TaskID == "acquire_image/102" {
			assert.Equal(t, "beam blanker did not open", d.Error["message"])
			assert.Equal(t, "  see the manual", d.Error["stacktrace"])
			assert.Equal(t, map[string]any{
				"number": int64(102), "position": []any{5.0, 0.0}, "round": int64(1), "seed": int64(1), "sample": "Probe-Ä",
				"parameters": map[string]any{"defocus_nm": 12.0, "dose": int64(40)},
			}, d.Used)
		}
	}
}

// A log that is cut at any byte, with a restart between both parts, gives the same tasks, with the same stamps.
func TestCutAnywhere(t *testing.T) {
	whole := newRig(t, "*.log")
	whole.write("acquire.log", shortLog)
	whole.run()
	want := whole.encoded()
	step := 7
	if testing.Short() {
		step = 13
	}
	r := newRig(t, "*.log")
	r.dir = whole.dir // one path, one identity
	r.cfg.Include = whole.cfg.Include
	for cut := 0; cut <= len(shortLog); cut += step {
		r.state, r.view = memory{}, map[string]*task.State{}
		r.write("acquire.log", shortLog[:cut])
		r.run()
		r.append("acquire.log", shortLog[cut:])
		r.run()
		require.Equal(t, want, r.encoded(), "cut at byte %d", cut)
	}
}

// The machine's clock goes back while a task runs: nothing that the log says later is taken for earlier.
func TestClockGoesBack(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("acquire.log", begin+start("1")+start("2"))
	r.run()
	r.append("acquire.log", "2026-11-22 20:00:00,000 INFO microscope.camera: image 1: saved img_1.npz defects=1 mean=0.1 drift=0.1 nm\n"+
		"2026-11-22 20:00:01,000 INFO microscope.camera: image 3: exposure started at x=0.00 y=0.00 nm\n"+
		"2026-11-22 20:00:02,500 INFO microscope.camera: image 3: saved img_3.npz defects=1 mean=0.1 drift=0.1 nm\n"+
		"2026-11-22 20:00:03,000 INFO microscope: run end: 1 of 1 images saved\n")
	r.run()
	assert.Equal(t, []string{"acquire_image/1 FINISHED", "acquire_image/2 UNKNOWN", "acquire_image/3 FINISHED"}, r.ends())
	for _, st := range r.view {
		d := task.Project(st)
		took := time.Duration(d.EndedAt - d.StartedAt)
		switch d.TaskID {
		case "acquire_image/1":
			assert.Zero(t, took)
			assert.Equal(t, "img_1.npz", d.Generated["path"])
			assert.Equal(t, map[string]any{"clock_went_back": 6660.0}, d.Custom)
		case "acquire_image/3":
			assert.Equal(t, 1500*time.Millisecond, took)
			assert.Empty(t, d.Custom)
		case "run":
			assert.Equal(t, task.StatusFinished, d.Status)
			assert.Zero(t, took)
		}
	}
}

// The pipeline stops taking events at any moment, and the process is killed: what was not accepted is read again.
func TestKilledAnywhere(t *testing.T) {
	whole := newRig(t, "*.log")
	whole.write("acquire.log", shortLog)
	whole.run()
	want := whole.encoded()
	for at := range whole.events + 1 {
		whole.state, whole.view, whole.refuseAt = memory{}, map[string]*task.State{}, at
		s := whole.session()
		if err := s.poll(); err != nil {
			require.ErrorIs(t, err, errStopped)
		}
		s.kill()
		whole.refuseAt = -1
		whole.run()
		require.Equal(t, want, whole.encoded(), "killed after %d events", at)
	}
}

// The rules for the example read a log that its script really wrote.
func TestAcquireSample(t *testing.T) {
	sample, err := os.ReadFile("../../examples/microscopy/testdata/acquire_sample.log")
	require.NoError(t, err)
	r := newRig(t, "logs/*.log")
	require.NoError(t, os.Mkdir(r.path("logs"), 0o700))
	r.write("logs/acquire.log", string(sample))
	r.run()
	counts := map[task.Status]int{}
	for _, st := range r.view {
		d := task.Project(st)
		if d.TaskID == "run" {
			continue
		}
		counts[d.Status]++
		require.Contains(t, d.Used, "parameters")
		require.Contains(t, d.Used, "round")
		if d.Status == task.StatusFinished {
			require.Contains(t, d.Generated, "path")
		}
	}
	assert.Equal(t, strings.Count(string(sample), ": saved images/"), counts[task.StatusFinished])
	assert.Equal(t, strings.Count(string(sample), ": aborted, "), counts[task.StatusFailed])
	assert.Zero(t, counts[task.StatusUnknown]+counts[task.StatusRunning])
}

// BenchmarkQuietLogs is what a poll costs that finds a thousand logs as they were.
func BenchmarkQuietLogs(b *testing.B) {
	r := newRig(b, "*.log")
	for i := range 1000 {
		r.write(fmt.Sprintf("run%d.log", i), begin+start("1"))
	}
	s := r.session()
	s.polls(2)
	for _, f := range s.files {
		f.grown = f.grown.Add(-2 * idleAfter) // they are closed
	}
	s.polls(1)
	defer s.kill()
	for b.Loop() {
		require.NoError(b, s.poll())
	}
}
