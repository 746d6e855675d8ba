package taskquery

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"

	"github.com/otelcol-mida/otelcol-mida/extension/taskquery/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/sqlite"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// stores is an extension that owns a real store named "main".
type stores struct {
	component.StartFunc
	component.ShutdownFunc
	store store.Store
}

func (s *stores) Store(string) (store.Store, error)       { return s.store, nil }
func (s *stores) StoreNames() []string                    { return []string{"main"} }
func (s *stores) DeadLetter(string, []store.Letter) error { return nil }
func (s *stores) load(t *testing.T, events ...*task.Event) {
	t.Helper()
	rejected, err := s.store.Write(context.Background(), events)
	require.NoError(t, err)
	require.Empty(t, rejected)
}

type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

func newHost(t *testing.T) (host, *stores) {
	t.Helper()
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(t.TempDir(), "mida.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.Background())) })
	s := &stores{store: st}
	return host{component.MustNewID("taskstore"): s}, s
}

// newLifecycleHost is the host of the generated lifecycle test; its configuration names a directory below testdata.
func newLifecycleHost(t *testing.T) component.Host {
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(filepath.Join("testdata", "mida-data"))) })
	h, _ := newHost(t)
	return h
}

// api is a running extension and how to ask it.
type api struct {
	t      *testing.T
	server *server
	stores *stores
	url    string
	token  string
	dir    string
}

func start(t *testing.T, change ...func(*Config)) *api {
	t.Helper()
	h, st := newHost(t)
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.StateDirectory = filepath.Join(t.TempDir(), "state")
	for _, c := range change {
		c(cfg)
	}
	require.NoError(t, cfg.Validate())
	ext, err := NewFactory().Create(context.Background(), extensiontest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	s := ext.(*server)
	require.NoError(t, s.Start(context.Background(), h))
	require.NoFileExists(t, filepath.Join(cfg.StateDirectory, endpointFile), "nothing is announced before all has started")
	require.NoError(t, s.Ready())
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	a := &api{t: t, server: s, stores: st, dir: cfg.StateDirectory}
	data, err := os.ReadFile(filepath.Join(a.dir, endpointFile))
	require.NoError(t, err)
	var info endpointInfo
	require.NoError(t, json.Unmarshal(data, &info))
	a.url = info.URL
	if info.TokenFile != "" {
		token, err := os.ReadFile(info.TokenFile)
		require.NoError(t, err)
		a.token = strings.TrimSpace(string(token))
	}
	return a
}

// send makes a request as it is and returns the status and the decoded body.
func (a *api) send(method, path, body string, header ...string) (int, map[string]any) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, a.url+path, bytes.NewBufferString(body))
	require.NoError(a.t, err)
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	require.Equal(a.t, "application/json", resp.Header.Get("Content-Type"), "%s", data)
	v, err := task.DecodeJSON(data)
	require.NoError(a.t, err, "%s", data)
	return resp.StatusCode, v.(map[string]any)
}

// ok makes a request that must succeed.
func (a *api) ok(method, path, body string) map[string]any {
	a.t.Helper()
	status, m := a.send(method, path, body)
	require.Equal(a.t, http.StatusOK, status, "%v", m)
	return m
}

// refused makes a request that must fail, and returns the error.
func (a *api) refused(status int, method, path, body string, header ...string) map[string]any {
	a.t.Helper()
	got, m := a.send(method, path, body, header...)
	require.Equal(a.t, status, got, "%v", m)
	return m["error"].(map[string]any)
}

var _ component.Host = host(nil)
var _ = componenttest.NewNopHost

func event(key string, change func(*task.Event)) *task.Event {
	e := &task.Event{
		Name: task.EventFinished, Time: 1_000_000_000, Kind: "test", Scope: "s", Key: key, Attempt: task.NoAttempt, Facet: "worker",
		Status: task.StatusFinished, Campaign: "c1", WorkflowID: "w1", WorkflowName: "search", Activity: "train",
		StartedAt: 100_500_000_000, EndedAt: 101_500_000_000, Attributes: map[string]any{"host.name": "node-1"},
	}
	if change != nil {
		change(e)
	}
	return e
}
