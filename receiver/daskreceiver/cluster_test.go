package daskreceiver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver/internal/metadata"
)

const (
	patience = 60 * time.Second
	tick     = 20 * time.Millisecond
)

// interpreters returns the Python of every Dask version that the tests run on.
func interpreters(t *testing.T) map[string]string {
	t.Helper()
	cache := os.Getenv("MIDA_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		require.NoError(t, err)
		cache = filepath.Join(base, "otelcol-mida")
	}
	found := map[string]string{}
	for name, where := range map[string]struct{ env, dir string }{
		"newest": {"MIDA_VENV", "venv"}, "oldest": {"MIDA_VENV_OLD", "venv-old"},
	} {
		dir := os.Getenv(where.env)
		if dir == "" {
			dir = filepath.Join(cache, where.dir)
		}
		python := filepath.Join(dir, "bin", "python")
		err := exec.Command(python, "-c", "import distributed").Run()
		switch {
		case err == nil:
			found[name] = python
		case os.Getenv("CI") != "":
			t.Fatalf("no Dask at %s: %v; make %s", python, err, where.dir)
		default:
			t.Logf("NOT TESTED on the %s Dask: none at %s (%v); make %s", name, python, err, where.dir)
		}
	}
	if len(found) == 0 {
		t.Skip("NOT TESTED: no Dask here; make venv venv-old")
	}
	return found
}

// cluster is a process that runs testdata/cluster.py.
type cluster struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	address string
}

func startCluster(t *testing.T, python string, port int, env ...string) *cluster {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("testdata", "cluster.py"))
	require.NoError(t, err)
	c := &cluster{t: t, cmd: exec.Command(python, script, fmt.Sprint(port))}
	c.cmd.Dir = t.TempDir()
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stderr = &lines{t: t}
	c.in, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewScanner(out)
	c.out.Buffer(nil, 64<<20)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(c.stop)
	c.answer(&c.address)
	return c
}

func (c *cluster) answer(v any) {
	c.t.Helper()
	require.True(c.t, c.out.Scan(), "the cluster ended")
	require.NoError(c.t, json.Unmarshal(c.out.Bytes(), v))
}

func (c *cluster) do(request string, v any) {
	c.t.Helper()
	_, err := io.WriteString(c.in, request+"\n")
	require.NoError(c.t, err)
	c.answer(v)
}

// plugins are the names of ours: in the scheduler, then in each worker.
func (c *cluster) plugins() (names [][]string) {
	c.do(`{"do": "plugins"}`, &names)
	return names
}

func (c *cluster) stop() {
	if c.cmd == nil {
		return
	}
	c.in.Close()
	done := make(chan struct{})
	go func() { _ = c.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-done
	}
	c.cmd = nil
}

// truth is what the script itself says about a call.
type truth struct {
	Activity  string         `json:"activity"`
	Used      map[string]any `json:"used"`
	Generated map[string]any `json:"generated"`
	Error     string         `json:"error"`
}

func (c *cluster) run(n int) map[string]truth {
	all := map[string]json.RawMessage{}
	c.do(fmt.Sprintf(`{"do": "run", "n": %d}`, n), &all)
	out := map[string]truth{}
	for key, raw := range all {
		v, err := task.DecodeJSON(raw)
		require.NoError(c.t, err)
		m := v.(map[string]any)
		one := truth{Activity: m["activity"].(string)}
		one.Used, _ = m["used"].(map[string]any)
		one.Generated, _ = m["generated"].(map[string]any)
		one.Error, _ = m["error"].(string)
		out[key] = one
	}
	return out
}

// lines sends what a process says to the test's log.
type lines struct{ t *testing.T }

func (l *lines) Write(p []byte) (int, error) {
	l.t.Logf("cluster: %s", p)
	return len(p), nil
}

// freePort is a port that a cluster can be started on later: outside of the range from which the kernel gives ports to
// connections, where a client could take it meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 15000 + rand.IntN(17000)
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	t.Fatal("no free port from 15000 to 31999")
	return 0
}

// running is a receiver under test, with what it delivered.
type running struct {
	t    *testing.T
	rcv  receiver.Logs
	sink *consumertest.LogsSink
	logs *observer.ObservedLogs
	tel  *componenttest.Telemetry
	stop sync.Once
}

func startReceiver(t *testing.T, change func(*Config)) *running {
	t.Helper()
	return startReceiverTo(t, nil, change)
}

func startReceiverTo(t *testing.T, next consumer.Logs, change func(*Config)) *running {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Journal.Directory = filepath.Join(t.TempDir(), "journal")
	cfg.Attach.RetryInterval = 50 * time.Millisecond
	cfg.Attach.CheckInterval = 200 * time.Millisecond
	change(cfg)
	require.NoError(t, cfg.Validate())
	r := &running{t: t, sink: new(consumertest.LogsSink), tel: componenttest.NewTelemetry()}
	if next == nil {
		next = r.sink
	}
	core, logs := observer.New(zapcore.InfoLevel)
	r.logs = logs
	set := receivertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = r.tel.NewTelemetrySettings()
	set.ID = component.NewID(metadata.Type)
	set.Logger = zap.New(core)
	var err error
	r.rcv, err = NewFactory().CreateLogs(t.Context(), set, cfg, next)
	require.NoError(t, err)
	require.NoError(t, r.rcv.Start(t.Context(), nopHost{}))
	t.Cleanup(func() { r.shutdown() })
	return r
}

type nopHost struct{ component.Host }

func (nopHost) GetExtensions() map[component.ID]component.Component { return nil }

func (r *running) shutdown() {
	r.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(r.t, r.rcv.Shutdown(ctx))
		require.NoError(r.t, r.tel.Shutdown(ctx))
	})
}

func (r *running) events() []*task.Event {
	var all []*task.Event
	for _, l := range r.sink.AllLogs() {
		events, rejected := task.FromLogs(l)
		require.Empty(r.t, rejected)
		all = append(all, events...)
	}
	return all
}

// documents are the tasks that the events amount to, by key, as the store would show them.
func (r *running) documents() map[string]*task.Document {
	states := map[string]*task.State{}
	keys := map[string]string{}
	for _, e := range r.events() {
		if !e.IsTask() {
			continue
		}
		id := e.ID()
		if states[id] == nil {
			states[id] = &task.State{}
		}
		states[id].Apply(e)
		keys[id] = e.Key
	}
	out := map[string]*task.Document{}
	for id, s := range states {
		out[keys[id]] = task.Project(s)
	}
	return out
}
