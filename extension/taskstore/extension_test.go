package taskstore

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelcol-mida/otelcol-mida/extension/taskstore/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/extension/taskstore/internal/metadatatest"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

type host struct{ ext component.Component }

func (h host) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.NewID(metadata.Type): h.ext}
}

func sqliteAt(path string) StoreConfig { return StoreConfig{SQLite: &SQLiteConfig{Path: path}} }

func start(t *testing.T, cfg *Config, tel *componenttest.Telemetry) component.Component {
	set := extensiontest.NewNopSettings(metadata.Type)
	if tel != nil {
		set.TelemetrySettings = tel.NewTelemetrySettings()
	}
	ext, err := NewFactory().Create(t.Context(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, ext.Shutdown(context.Background())) })
	return ext
}

func TestStoresAreFoundThroughTheHost(t *testing.T) {
	dir := t.TempDir()
	ext := start(t, &Config{Stores: map[string]StoreConfig{
		"main": sqliteAt(filepath.Join(dir, "a.db")), "other": sqliteAt(filepath.Join(dir, "b.db")),
	}}, nil)
	s, p, err := store.FromHost(host{ext}, "main")
	require.NoError(t, err)
	require.NotNil(t, s)
	require.Equal(t, []string{"main", "other"}, p.StoreNames())
	_, _, err = store.FromHost(host{ext}, "mian")
	require.EqualError(t, err, `store "mian" is not configured; the taskstore extension has: main, other`)
	_, _, err = store.FromHost(componenttest.NewNopHost(), "main")
	require.ErrorContains(t, err, "no extension of this collector owns a store")
}

func TestStartIsUndoneWhenAStoreFails(t *testing.T) {
	dir := t.TempDir()
	cfg := &Config{Stores: map[string]StoreConfig{"a": sqliteAt(filepath.Join(dir, "a.db")), "b": sqliteAt(dir)}}
	ext, err := NewFactory().Create(t.Context(), extensiontest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, ext.Start(t.Context(), componenttest.NewNopHost()), "stores::b: ")
	require.NoError(t, ext.Shutdown(t.Context()))
	start(t, &Config{Stores: map[string]StoreConfig{"a": sqliteAt(filepath.Join(dir, "a.db"))}}, nil)
}

// A cluster that is away keeps the collector from nothing: writers hear an error, and try again.
func TestTheClusterMayBeAway(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	ext := start(t, &Config{Stores: map[string]StoreConfig{"main": {Elasticsearch: &ElasticsearchConfig{Endpoints: []string{gone.URL}}}}}, nil)
	s, p, err := store.FromHost(host{ext}, "main")
	require.NoError(t, err)
	_, err = s.Write(t.Context(), []*task.Event{{Name: task.EventFinished, Kind: "k", Key: "1", Attempt: task.NoAttempt}})
	require.ErrorContains(t, err, "connection refused")
	require.NoError(t, p.DeadLetter("main", nil))
}

func TestCertificatesAreReadAtTheStart(t *testing.T) {
	cfg := &ElasticsearchConfig{Endpoints: []string{"https://127.0.0.1:1"}}
	cfg.TLS.CAFile = filepath.Join(t.TempDir(), "none.pem")
	ext, err := NewFactory().Create(t.Context(), extensiontest.NewNopSettings(metadata.Type), &Config{Stores: map[string]StoreConfig{"main": {Elasticsearch: cfg}}})
	require.NoError(t, err)
	require.ErrorContains(t, ext.Start(t.Context(), componenttest.NewNopHost()), "stores::main: elasticsearch::tls: ")
	require.NoError(t, ext.Shutdown(t.Context()))
}

func TestCounters(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	ext := start(t, &Config{Stores: map[string]StoreConfig{"main": sqliteAt(filepath.Join(t.TempDir(), "a.db"))}}, tel)
	s, _, err := store.FromHost(host{ext}, "main")
	require.NoError(t, err)
	same := task.Event{Name: task.EventFinished, Kind: "k", Key: "1", Attempt: task.NoAttempt}
	for _, events := range [][]*task.Event{{&same}, {&same, &same, &same}} {
		_, err = s.Write(t.Context(), events)
		require.NoError(t, err)
	}
	changed := func(m metricdata.Metrics) int64 { return m.Data.(metricdata.Sum[int64]).DataPoints[0].Value }
	for name, want := range map[string]int64{
		"otelcol_taskstore_tasks_changed": 1, "otelcol_taskstore_tasks_unchanged": 1, "otelcol_taskstore_transactions": 2,
	} {
		m, err := tel.GetMetric(name)
		require.NoError(t, err)
		require.Equal(t, want, changed(m), name)
	}
	for name, want := range map[string]int64{"otelcol_taskstore_batch_events": 3, "otelcol_taskstore_batch_requests": 1} {
		m, err := tel.GetMetric(name)
		require.NoError(t, err)
		require.Equal(t, want, m.Data.(metricdata.Gauge[int64]).DataPoints[0].Value, name)
	}
	m, err := tel.GetMetric("otelcol_taskstore_batch_interval")
	require.NoError(t, err)
	require.Positive(t, m.Data.(metricdata.Gauge[float64]).DataPoints[0].Value)
}

func letters(t *testing.T, path string) (out []map[string]any) {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var m map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &m), lines.Text())
		out = append(out, m)
	}
	return out
}

func TestDeadLettersRotate(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	path := filepath.Join(t.TempDir(), "state", "dead.jsonl")
	cfg := &Config{
		Stores:      map[string]StoreConfig{"main": sqliteAt(filepath.Join(t.TempDir(), "a.db"))},
		DeadLetters: DeadLetterConfig{Path: path, MaxBytes: 1_000},
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(`{"half":`), 0o600)) // of a killed process
	p := start(t, cfg, tel).(store.Provider)
	for i := range 30 {
		require.NoError(t, p.DeadLetter("main", []store.Letter{{Reason: fmt.Sprintf("no. %d", i), Record: map[string]any{"key": "x\n"}}}))
	}
	kept := append(letters(t, path+".1"), letters(t, path)...)
	require.Equal(t, "no. 29", kept[len(kept)-1]["reason"])
	require.Equal(t, map[string]any{"key": "x\n"}, kept[0]["record"])
	for _, f := range []string{path, path + ".1"} {
		info, err := os.Stat(f)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(1_000))
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	metadatatest.AssertEqualTaskstoreDeadLetters(t, tel, []metricdata.DataPoint[int64]{{Value: 30, Attributes: attribute.NewSet(attribute.String("store", "main"))}},
		metricdatatest.IgnoreTimestamp())
	// The half line of the killed process was rotated away as well.
	metadatatest.AssertEqualTaskstoreDeadLettersDropped(t, tel, []metricdata.DataPoint[int64]{{Value: int64(31 - len(kept)), Attributes: attribute.NewSet(attribute.String("store", "main"))}},
		metricdatatest.IgnoreTimestamp())
	require.ErrorContains(t, p.DeadLetter("none", []store.Letter{{}}), `store "none" is not open`)
}

// A letter is not written through a link, which another user may have placed; nor is it lost: the write fails.
func TestDeadLettersFollowNoLink(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "dead.jsonl")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	if err := os.Symlink(victim, path); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	cfg := &Config{
		Stores:      map[string]StoreConfig{"main": sqliteAt(filepath.Join(dir, "a.db"))},
		DeadLetters: DeadLetterConfig{Path: path},
	}
	p := start(t, cfg, nil).(store.Provider)
	require.ErrorContains(t, p.DeadLetter("main", []store.Letter{{Reason: "r"}}), path+" is a symbolic link")
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct{ yaml, want string }{
		{"{}", "stores: empty; want at least one"},
		{"stores: {main: {}}", "stores::main: no kind of store"},
		{`stores: {"a b": {sqlite: {path: x}}}`, "stores::a b: the name"},
		{"stores: {main: {sqlite: {path: x}, elasticsearch: {endpoints: ['http://x']}}}", "stores::main: both sqlite and elasticsearch"},
		{"stores: {main: {elasticsearch: {}}}", "stores::main::elasticsearch::endpoints: empty"},
		{"stores: {main: {elasticsearch: {endpoints: [x], index_prefix: A}}}", `stores::main::elasticsearch::endpoints[0]: "x"; want an address`},
		{"stores: {main: {elasticsearch: {endpoints: [x], index_prefix: A}}}", `stores::main::elasticsearch::index_prefix: "A"`},
		{"stores: {main: {elasticsearch: {endpoints: ['http://x'], username: ada}}}", "stores::main::elasticsearch::username: given without password"},
		{"stores: {main: {sqlite: {path: ''}}}", "stores::main::sqlite::path: empty"},
		{"stores: {main: {sqlite: {path: x, synchronous: off}}}", `stores::main::sqlite::synchronous: "off"; want "full" or "normal"`},
		{"stores: {a: {sqlite: {path: x}}, b: {sqlite: {path: ./x}}}", `stores::b::sqlite::path: "./x" is also the path of store "a"`},
		{"stores: {main: {sqlite: {path: x, batch_events: -1}}}", "stores::main::sqlite::batch_events: -1"},
		{"stores: {main: {sqlite: {path: x, batch_wait: 5s}}}", "stores::main::sqlite::batch_wait: 5s"},
		{"stores: {main: {elasticsearch: {endpoints: ['http://x'], batch_events: -1}}}", "stores::main::elasticsearch::batch_events: -1"},
		{"{stores: {main: {sqlite: {path: x}}}, dead_letters: {max_bytes: -1}}", "dead_letters::max_bytes: -1"},
		{"stores: {main: {sqlite: {path: x}, retention: {max_age: 1h}}}", "stores::main::retention::max_age: 1h0m0s; want at least keep_recent, which is 24h0m0s"},
		{"stores: {main: {sqlite: {path: x}, retention: {max_age: -1h}}}", "stores::main::retention::max_age: -1h0m0s; want a time"},
		{"stores: {main: {sqlite: {path: x}, retention: {max_bytes: -1}}}", "stores::main::retention::max_bytes: -1; want a size"},
		{"stores: {main: {sqlite: {path: x}, retention: {dry_run: true}}}", "stores::main::retention: neither max_age nor max_bytes"},
		{"stores: {main: {sqlite: {path: x}, retention: {max_bytes: 1GiB, keep_unfinished: 1h}}}", "stores::main::retention::keep_unfinished: 1h0m0s; want at least keep_recent"},
	} {
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(tc.yaml))
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		cfg := createDefaultConfig()
		require.NoError(t, conf.Unmarshal(cfg))
		err = confmap.Validate(cfg)
		require.ErrorContains(t, err, tc.want)
		require.False(t, strings.Contains(err.Error(), "%!"), err.Error())
	}
}
