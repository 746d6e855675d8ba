package mlflowreceiver

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// python is the interpreter of the virtual environment with MLflow (make venv).
func python(t testing.TB) string {
	t.Helper()
	venv := os.Getenv("MIDA_VENV")
	if venv == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			home, err := os.UserHomeDir()
			require.NoError(t, err)
			cache = filepath.Join(home, ".cache")
		}
		venv = filepath.Join(cache, "otelcol-mida", "venv")
	}
	p := filepath.Join(venv, "bin", "python")
	if _, err := os.Stat(p); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("MLflow is needed in CI: %v; run make venv", err)
		}
		t.Skipf("NOT TESTED against the real MLflow: %v; run make venv", err)
	}
	return p
}

// script runs testdata/NAME with the real MLflow and returns what it printed.
func script(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	out, err := command(t, dir, name, args...).Output()
	if err != nil {
		var stderr string
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			stderr = string(exit.Stderr)
		}
		require.NoError(t, err, "%s: %s", name, stderr)
	}
	return strings.TrimSpace(string(out))
}

func command(t testing.TB, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("testdata", name))
	require.NoError(t, err)
	cmd := exec.Command(python(t), append([]string{file}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MLFLOW_DISABLE_TELEMETRY=true", "GIT_PYTHON_REFRESH=quiet", "OMP_NUM_THREADS=1")
	return cmd
}

// view is a pipeline that merges what it is given, as a store does.
type view struct {
	mu      sync.Mutex
	refuse  error
	states  map[string]*task.State
	events  []*task.Event
	offered int
}

func newView() *view { return &view{states: map[string]*task.State{}} }

func (v *view) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: true} }

func (v *view) ConsumeLogs(_ context.Context, l plog.Logs) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.offered++
	if v.refuse != nil {
		return v.refuse
	}
	events, rejected := task.FromLogs(l)
	if len(rejected) > 0 {
		panic(rejected[0].Err)
	}
	for _, e := range events {
		v.events = append(v.events, e)
		if !e.IsTask() {
			continue
		}
		if v.states[e.Key] == nil {
			v.states[e.Key] = &task.State{}
		}
		v.states[e.Key].Apply(e)
	}
	return nil
}

func (v *view) setRefuse(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refuse = err
}

func (v *view) offers() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.offered
}

func (v *view) doc(id string) *task.Document {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.states[id]
	if s == nil {
		return nil
	}
	return task.Project(s)
}

func (v *view) docs() map[string]*task.Document {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make(map[string]*task.Document, len(v.states))
	for id, s := range v.states {
		out[id] = task.Project(s)
	}
	return out
}

// of are the events of one run, in the order of their arrival.
func (v *view) of(id string) []*task.Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []*task.Event
	for _, e := range v.events {
		if e.IsTask() && e.Key == id {
			out = append(out, e)
		}
	}
	return out
}

func (v *view) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, e := range v.events {
		if e.IsTask() {
			n++
		}
	}
	return n
}

// running is a started receiver.
type running struct {
	*mlflowReceiver
	tel  *componenttest.Telemetry
	logs *observer.ObservedLogs
	stop func()
}

type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

func start(t testing.TB, db string, next consumer.Logs, with func(*Config), extensions host) *running {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Campaign = "test"
	cfg.TrackingURI = db
	if !strings.Contains(db, "://") {
		cfg.TrackingURI = "sqlite:///" + db
	}
	cfg.PollInterval = 20 * time.Millisecond
	if with != nil {
		with(cfg)
	}
	require.NoError(t, confmap.Validate(cfg))
	tel := componenttest.NewTelemetry()
	core, logs := observer.New(zap.InfoLevel)
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = tel.NewTelemetrySettings()
	set.Logger = zap.New(core)
	r, err := newReceiver(set, cfg, next)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), extensions))
	x := &running{mlflowReceiver: r, tel: tel, logs: logs}
	stopped := false
	x.stop = func() {
		if stopped {
			return
		}
		stopped = true
		require.NoError(t, r.Shutdown(context.Background()))
		require.NoError(t, tel.Shutdown(context.Background()))
	}
	t.Cleanup(x.stop)
	return x
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 60*time.Second, 5*time.Millisecond, what)
}

// memory is a storage extension that survives restarts of the receiver and counts what it keeps.
type memory struct {
	component.StartFunc
	component.ShutdownFunc
	mu   sync.Mutex
	data map[string][]byte
	fail error
}

var memoryID = component.MustNewID("memory")

func newMemory() *memory { return &memory{data: map[string][]byte{}} }

func (m *memory) host() host { return host{memoryID: m} }

func (m *memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := m.Batch(ctx, op)
	return op.Value, err
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

func (m *memory) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

func (m *memory) Batch(_ context.Context, ops ...*storage.Operation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = m.data[op.Key]
		case storage.Set:
			m.data[op.Key] = op.Value
		case storage.Delete:
			delete(m.data, op.Key)
		}
	}
	return nil
}

func (m *memory) Close(context.Context) error { return nil }

// copy is what a process that is killed now leaves behind.
func (m *memory) copy() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemory()
	for k, v := range m.data {
		c.data[k] = v
	}
	return c
}

func stored(c *Config) { c.StorageID = &memoryID }

// sum is the value of a counter of the receiver.
func (x *running) sum(t testing.TB, name string) int64 {
	t.Helper()
	m, err := x.tel.GetMetric(name)
	if err != nil {
		return 0
	}
	var n int64
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		n += p.Value
	}
	return n
}
