package daskreceiver

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// listen answers every connection with serve.
func listen(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "tcp://" + l.Addr().String()
}

// TestUnknownSchedulers: each is explained once, counted, tried again, and stops nothing.
func TestUnknownSchedulers(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	silent := listen(t, func(c net.Conn) { t.Cleanup(func() { c.Close() }) })
	closes := listen(t, func(c net.Conn) { c.Close() })
	worker := listen(t, func(c net.Conn) { answer(c, map[string]any{"type": "Worker", "id": "w"}) })
	rejects := listen(t, func(c net.Conn) {
		answer(c, map[string]any{"type": "Scheduler", "id": "s", "workers": map[string]any{}},
			map[string]any{"status": "uncaught-error", "text": "pickle is not allowed here"})
	})
	webURL := "tcp://" + strings.TrimPrefix(web.URL, "http://")
	r := startReceiver(t, func(c *Config) {
		c.Schedulers = []string{webURL, silent, closes, worker, rejects}
		// A visit is a dial, a handshake and two requests; on a busy machine each takes its time.
		c.Attach.Timeout = 3 * time.Second
	})
	said := func(url, want string) bool {
		for _, e := range r.logs.FilterMessageSnippet("cannot attach").All() {
			if m := e.ContextMap(); m["scheduler"] == url && strings.Contains(m["error"].(string), want) {
				return true
			}
		}
		return false
	}
	for url, want := range map[string]string{
		webURL:  "no answer to Dask's handshake",
		silent:  "no answer to Dask's handshake",
		closes:  "handshake: ",
		worker:  `it is a "Worker", want the address of a scheduler`,
		rejects: "the scheduler rejected register_scheduler_plugin: pickle is not allowed here",
	} {
		eventually(t, url+": "+want, func() bool { return said(url, want) })
	}
	failures, err := r.tel.GetMetric("otelcol_receiver_dask_attach_failures")
	require.NoError(t, err)
	require.NotNil(t, failures)
	attached, err := r.tel.GetMetric("otelcol_receiver_dask_attached")
	require.NoError(t, err)
	require.NotNil(t, attached)
}

// answer speaks the scheduler's side of a visit.
func answer(c net.Conn, messages ...map[string]any) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	k := newComm(c)
	if _, err := k.read(maxHandshake); err != nil {
		return
	}
	if k.write(map[string]any{"pickle-protocol": 5}) != nil {
		return
	}
	for _, m := range messages {
		if _, err := k.read(maxMessage); err != nil || k.write(m) != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, c)
}

func TestSchedulerOfAnotherHost(t *testing.T) {
	k := newComm(&elsewhere{})
	err := checkPeer(k)
	var foreign *foreignError
	require.ErrorAs(t, err, &foreign)
	assert.Contains(t, err.Error(), "not a process of this host; set allow_foreign_owner: true")
	assert.Equal(t, reasonForeignOwner, reason(err))
}

// elsewhere is a connection whose other end is no process here.
type elsewhere struct{ net.Conn }

func (elsewhere) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4000} }
func (elsewhere) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 8786}
}

func TestSchedulerFiles(t *testing.T) {
	for version, python := range interpreters(t) {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name string, v any) {
				data, err := json.Marshal(v)
				require.NoError(t, err)
				// At once: what another process sees must not depend on when it looks.
				temp := filepath.Join(t.TempDir(), name)
				require.NoError(t, os.WriteFile(temp, data, 0o600))
				require.NoError(t, os.Rename(temp, filepath.Join(dir, name)))
			}
			r := startReceiver(t, func(c *Config) { c.SchedulerFiles = []string{filepath.Join(dir, "*.json")} })
			write("a.json", map[string]any{"id": "x"})
			write("b.json", []int{1})
			write("c.json", map[string]any{"address": "inproc://x"})
			eventually(t, "bad files are named", func() bool { return r.logs.FilterMessageSnippet("scheduler file cannot be used").Len() == 3 })
			c := startCluster(t, python, 0)
			write("d.json", map[string]any{"address": c.address})
			r.attachedTo(c)
			require.NoError(t, os.Remove(filepath.Join(dir, "d.json")))
			c.stop()
			targets := r.rcv.(*daskReceiver).targets
			eventually(t, "it is forgotten", func() bool { return len(targets.list()) == 0 })
		})
	}
}

// TestHalfWrittenSchedulerFile: Dask writes the file in place. One look at it says nothing, two that see the same do.
func TestHalfWrittenSchedulerFile(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	file := filepath.Join(t.TempDir(), "a.json")
	s := newTargets(nil, []string{file}, time.Second, zap.New(core))
	for _, content := range []string{"", `{"address": "tc`} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		s.scan(t.Context())
	}
	assert.Zero(t, logs.Len())
	for range 3 {
		s.scan(t.Context())
	}
	require.Equal(t, 1, logs.Len())
	assert.Contains(t, logs.All()[0].ContextMap()["error"], "not the JSON of a scheduler file: unexpected EOF")
}

// TestRestartedCollector: a collector that was killed leaves its plugin; the next one of the same configuration takes it
// over, and away.
func TestRestartedCollector(t *testing.T) {
	for version, python := range interpreters(t) {
		t.Run(version, func(t *testing.T) {
			directory := filepath.Join(t.TempDir(), "journal")
			c := startCluster(t, python, 0)
			change := func(cfg *Config) { cfg.Journal.Directory, cfg.Schedulers = directory, []string{c.address} }
			first := startReceiver(t, change)
			first.attachedTo(c)
			// As after kill -9: nothing is detached, reading stops.
			d := first.rcv.(*daskReceiver)
			d.stopVisit()
			d.targets.wait()
			for _, target := range d.targets.list() {
				target.attached.Store(false)
			}
			first.shutdown()
			want := c.run(10)
			second := startReceiver(t, change)
			eventually(t, "attached again", func() bool { return second.logs.FilterMessageSnippet("attached").Len() == 1 })
			second.shutdown()
			assert.Equal(t, [][]string{{}, {}, {}}, c.plugins())
			assert.Len(t, second.documents(), len(want))
			// A receiver of somebody else's takes nothing away.
			other := startReceiver(t, func(cfg *Config) { cfg.Schedulers = []string{c.address} })
			other.attachedTo(c)
			stranger, err := newPlugins(createDefaultConfig().(*Config), directory, "stranger")
			require.NoError(t, err)
			args, err := stranger.detach()
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			a, err := parseAddress(c.address)
			require.NoError(t, err)
			k, err := dial(ctx, a, nil)
			require.NoError(t, err)
			defer k.close()
			_, err = k.call("register_scheduler_plugin", args)
			require.NoError(t, err)
			other.attachedTo(c)
		})
	}
}
