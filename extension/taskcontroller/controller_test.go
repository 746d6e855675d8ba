package taskcontroller

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver"
	"github.com/otelcol-mida/otelcol-mida/receiver/mlflowreceiver"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver"
)

// collector is a host with the receivers that the distribution has, a real file storage and the controller.
type collector struct {
	t          *testing.T
	dir        string
	extensions map[component.ID]component.Component
	*controller
	sink *consumertest.LogsSink
	next consumer.Logs
}

func (c *collector) GetExtensions() map[component.ID]component.Component { return c.extensions }

func (*collector) GetFactory(kind component.Kind, t component.Type) component.Factory {
	for _, f := range []receiver.Factory{daskreceiver.NewFactory(), mlflowreceiver.NewFactory(), tasklogreceiver.NewFactory(), brokenFactory} {
		if kind == component.KindReceiver && f.Type() == t {
			return f
		}
	}
	return nil
}

// brokenConfig is of a receiver that does not start.
type brokenConfig struct{}

func (*brokenConfig) Reach() ([]control.Place, error) { return nil, nil }
func (*brokenConfig) Keep(component.ID, string)       {}

type broken struct{}

func (broken) Start(context.Context, component.Host) error {
	return errors.New("no, with token=ghp_0123456789abcdefghij0123456789abcdef")
}
func (broken) Shutdown(context.Context) error { return nil }

var brokenFactory = receiver.NewFactory(component.MustNewType("broken"), func() component.Config { return &brokenConfig{} },
	receiver.WithLogs(func(context.Context, receiver.Settings, component.Config, consumer.Logs) (receiver.Logs, error) {
		return broken{}, nil
	}, component.StabilityLevelAlpha))

// newCollector starts one in a directory of its own, to be started again there with again.
func newCollector(t *testing.T, dir string) *collector {
	t.Helper()
	c := &collector{t: t, dir: dir, extensions: map[component.ID]component.Component{}, sink: new(consumertest.LogsSink)}
	c.next = c.sink
	files := filestorage.NewFactory()
	fc := files.CreateDefaultConfig().(*filestorage.Config)
	fc.Directory, fc.CreateDirectory = filepath.Join(dir, "state"), true
	id := component.NewID(files.Type())
	c.add(id, files, fc)
	cfg := createDefaultConfig().(*Config)
	cfg.Storage, cfg.Directory = &id, filepath.Join(dir, "observers")
	cfg.Allow.Directories = []string{filepath.Join(dir, "logs")}
	cfg.Allow.Kinds = append(cfg.Allow.Kinds, "broken", "other")
	cfg.DrainTimeout = time.Minute
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "logs"), 0o700))
	c.controller = c.add(component.MustNewID("taskcontroller"), NewFactory(), cfg).(*controller)
	return c
}

func (c *collector) add(id component.ID, f extension.Factory, cfg component.Config) extension.Extension {
	c.t.Helper()
	set := extensiontest.NewNopSettings(f.Type())
	set.ID = id
	ext, err := f.Create(c.t.Context(), set, cfg)
	require.NoError(c.t, err)
	require.NoError(c.t, ext.Start(c.t.Context(), c))
	c.extensions[id] = ext
	return ext
}

func (c *collector) attach() *collector {
	c.t.Helper()
	set := receivertest.NewNopSettings(component.MustNewType("managed"))
	require.NoError(c.t, c.Attach(c.t.Context(), control.Pipeline{Host: c, Settings: set, Next: c.next}))
	return c
}

// stop ends it as the service does: pipelines first.
func (c *collector) stop() {
	c.t.Helper()
	require.NoError(c.t, c.Detach(c.t.Context()))
	require.NoError(c.t, c.Shutdown(c.t.Context()))
	require.NoError(c.t, c.extensions[component.MustNewID("file_storage")].(extension.Extension).Shutdown(context.Background()))
}

func (c *collector) log(name string) string { return filepath.Join(c.dir, "logs", name) }

// write appends lines that the rules of rulesOf make into tasks.
func (c *collector) write(name string, from, to int) {
	c.t.Helper()
	f, err := os.OpenFile(c.log(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(c.t, err)
	for i := from; i < to; i++ {
		_, err = fmt.Fprintf(f, "image %d done\n", i)
		require.NoError(c.t, err)
	}
	require.NoError(c.t, f.Close())
}

// rulesOf is the configuration of an observer of logs.
func rulesOf(include string) map[string]any {
	return map[string]any{
		"campaign": "c", "include": []any{include},
		"rules": []any{map[string]any{"name": "an image", "match": "image {number:int} done", "whole_task": "acquire", "task": "{number}"}},
	}
}

func (c *collector) register(id, kind string, config map[string]any) control.Observer {
	c.t.Helper()
	o, err := c.Register(c.t.Context(), control.Registration{ID: id, Kind: kind, Config: config, By: "ada"}, true)
	require.NoError(c.t, err)
	return o
}

// keys are the keys of the tasks that arrived, with how often each came.
func (c *collector) keys() map[string]int {
	c.t.Helper()
	counts := map[string]int{}
	for _, l := range c.sink.AllLogs() {
		events, problems := task.FromLogs(l)
		require.Empty(c.t, problems)
		for _, e := range events {
			if e.Name == task.EventFinished {
				counts[e.Scope+"/"+e.Key]++
			}
		}
	}
	return counts
}

func TestStopReturnsWhenAllIsThere(t *testing.T) {
	c := newCollector(t, t.TempDir()).attach()
	defer c.stop()
	c.write("run.log", 0, 3)
	o := c.register("images", "tasklog", rulesOf(c.log("*.log")))
	assert.Equal(t, control.Running, o.State)
	assert.Equal(t, "ada", o.By)
	for round := range 5 {
		c.write("run.log", 3+1000*round, 3+1000*(round+1))
		stopped, drained, err := c.StopObserver(t.Context(), "images")
		require.NoError(t, err)
		require.Equal(t, control.Drained{Complete: true}, drained)
		require.Equal(t, control.Stopped, stopped.State)
		require.Len(t, c.keys(), 3+1000*(round+1), "what was written before the stop")
		c.write("run.log", 0, 0)
		started, err := c.StartObserver(t.Context(), "images")
		require.NoError(t, err)
		require.Equal(t, control.Running, started.State)
	}
	view, err := c.Observer("images")
	require.NoError(t, err)
	assert.GreaterOrEqual(t, view.Events, int64(5003))
	assert.False(t, view.LastEventAt.IsZero())
}

func TestRegistrationsAndPositionsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	c := newCollector(t, dir).attach()
	c.write("run.log", 0, 10)
	c.register("images", "tasklog", rulesOf(c.log("*.log")))
	c.register("idle", "tasklog", rulesOf(c.log("*.out")))
	for _, id := range []string{"images", "idle"} {
		_, _, err := c.StopObserver(t.Context(), id)
		require.NoError(t, err)
	}
	require.Len(t, c.keys(), 10)
	_, err := c.StartObserver(t.Context(), "images")
	require.NoError(t, err)
	c.stop()

	c = newCollector(t, dir)
	require.Equal(t, []control.State{control.Stopped, control.Stopped}, states(c), "before there is a pipeline")
	c.write("run.log", 10, 20)
	c.attach()
	defer c.stop()
	assert.Equal(t, []control.State{control.Stopped, control.Running}, states(c), "idle, images: as they were")
	_, drained, err := c.StopObserver(t.Context(), "images")
	require.NoError(t, err)
	require.True(t, drained.Complete, drained.Problem)
	keys := c.keys()
	assert.Len(t, keys, 10, "only what is new")
	for key, n := range keys {
		assert.Equal(t, 1, n, key)
	}
}

func states(c *collector) []control.State {
	var all []control.State
	for _, o := range c.Observers() {
		all = append(all, o.State)
	}
	return all
}

func TestDeletedIsForgotten(t *testing.T) {
	c := newCollector(t, t.TempDir()).attach()
	defer c.stop()
	c.write("run.log", 0, 10)
	c.register("images", "tasklog", rulesOf(c.log("*.log")))
	drained, err := c.DeleteObserver(t.Context(), "images", false)
	require.NoError(t, err)
	require.True(t, drained.Complete, drained.Problem)
	require.Len(t, c.keys(), 10)
	_, err = c.Observer("images")
	require.ErrorIs(t, err, control.ErrUnknown)
	for _, ask := range []func() error{
		func() error { _, err := c.StartObserver(t.Context(), "images"); return err },
		func() error { _, _, err := c.StopObserver(t.Context(), "images"); return err },
		func() error { _, err := c.DeleteObserver(t.Context(), "images", false); return err },
	} {
		require.ErrorIs(t, ask(), control.ErrUnknown)
	}
	c.register("images", "tasklog", rulesOf(c.log("*.log")))
	_, _, err = c.StopObserver(t.Context(), "images")
	require.NoError(t, err)
	for key, n := range c.keys() {
		assert.Equal(t, 2, n, "%s: a new observer begins at the beginning", key)
	}
}

// TestHundredObservers: what was added, drained and removed leaves nothing behind and loses nothing.
func TestHundredObservers(t *testing.T) {
	c := newCollector(t, t.TempDir()).attach()
	defer c.stop()
	once := func(i int) {
		name := fmt.Sprintf("run%d.log", i)
		c.write(name, 0, 20)
		id := fmt.Sprintf("o%d", i)
		c.register(id, "tasklog", rulesOf(c.log(name)))
		ids := []string{id, "m"}
		c.register("m", "mlflow", map[string]any{"tracking_uri": "sqlite:///" + c.log("mlflow.db")})
		if i%10 == 0 { // it waits for what plugins hold back
			ids = append(ids, "d")
			c.register("d", "dask", map[string]any{"schedulers": []any{"tcp://127.0.0.1:1"}})
		}
		c.write(name, 20, 40)
		for _, id := range ids {
			drained, err := c.DeleteObserver(t.Context(), id, id == "d")
			require.NoError(t, err)
			require.True(t, drained.Deleted, "%s: %s", id, drained.Problem)
			require.Equal(t, id != "d", drained.Complete, "%s: %s; the scheduler of d is not there", id, drained.Problem)
		}
		require.NoError(t, os.Remove(c.log(name)))
	}
	once(0) // what is made once
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for i := 1; i <= 100; i++ {
		once(i)
	}
	assert.Len(t, c.keys(), 40*101, "every line of every log: a log run is a scope of its own, so keys differ")
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+2 }, time.Minute, 50*time.Millisecond,
		"goroutines that observers left")
	assert.LessOrEqual(t, openFiles(t), files+2)
	var kept []string
	require.NoError(t, c.shelf.client.(storage.Walker).Walk(t.Context(), func(key string, _ []byte) ([]*storage.Operation, error) {
		kept = append(kept, strings.Clone(key))
		return nil, nil
	}))
	assert.Equal(t, []string{registrationsKey}, kept)
	left, err := os.ReadDir(c.cfg.Directory)
	require.NoError(t, err)
	assert.Empty(t, left, "journal directories")
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not Linux
	}
	return len(entries)
}

func TestRefusals(t *testing.T) {
	c := newCollector(t, t.TempDir()).attach()
	defer c.stop()
	secret := filepath.Join(c.dir, "secret")
	require.NoError(t, os.MkdirAll(secret, 0o700))
	require.NoError(t, os.Symlink(secret, c.log("link")))
	require.NoError(t, os.Symlink(filepath.Join(secret, "later.db"), c.log("dangling.db")))
	c.register("taken", "tasklog", rulesOf(c.log("*.log")))
	for name, x := range map[string]struct {
		id, kind string
		config   map[string]any
		field    string
		says     string
	}{
		"kind":               {kind: "otlp", field: "kind", says: `"otlp" is not among those that extensions::taskcontroller::allow::kinds lists`},
		"not built in":       {kind: "other", field: "kind", says: `built without a receiver "other"`},
		"id":                 {id: "a/b", kind: "tasklog", config: rulesOf(c.log("*.log")), field: "id", says: `"a/b" is not possible`},
		"unknown key":        {kind: "mlflow", config: map[string]any{"tracking": "x"}, field: "config", says: "tracking"},
		"invalid":            {kind: "mlflow", config: map[string]any{"tracking_uri": "http://h"}, field: "config", says: "a server's address is no database"},
		"storage":            {kind: "tasklog", config: map[string]any{"storage": "file_storage"}, field: "config::storage", says: "leave it out"},
		"outside":            {kind: "tasklog", config: rulesOf(filepath.Join(secret, "*.log")), field: "include", says: "lies outside"},
		"a prefix is not in": {kind: "tasklog", config: rulesOf(c.dir + "/logs2/*.log"), field: "include", says: "lies outside"},
		"dots":               {kind: "tasklog", config: rulesOf(c.log("../secret/*.log")), field: "include", says: "lies outside"},
		"dots after a glob":  {kind: "tasklog", config: rulesOf(c.dir + "/logs/*/../../secret/*.log"), field: "include", says: "has .. in it"},
		"through a link":     {kind: "tasklog", config: rulesOf(c.log("link/*.log")), field: "include", says: "lies outside"},
		"dangling link":      {kind: "mlflow", config: map[string]any{"tracking_uri": "sqlite:///" + c.log("dangling.db")}, field: "tracking_uri", says: "cannot be looked at"},
		"rules elsewhere":    {kind: "tasklog", config: map[string]any{"include": []any{c.log("*.log")}, "rules_file": "/etc/passwd"}, field: "rules_file", says: "lies outside"},
		"database elsewhere": {kind: "mlflow", config: map[string]any{"tracking_uri": "sqlite:////etc/x.db"}, field: "tracking_uri", says: "lies outside"},
		"host":               {kind: "dask", config: map[string]any{"schedulers": []any{"tcp://10.1.2.3:8786"}}, field: "schedulers", says: `host "10.1.2.3"`},
		"server":             {kind: "mlflow", config: map[string]any{"tracking_uri": "postgresql://u@db.example.org/mlflow"}, field: "tracking_uri", says: `host "db.example.org"`},
		"key file of a server": {
			kind: "mlflow", config: map[string]any{"tracking_uri": "postgresql://u@127.0.0.1/mlflow?passfile=/etc/shadow"}, field: "tracking_uri", says: "lies outside",
		},
		"several servers": {
			kind: "mlflow", config: map[string]any{"tracking_uri": "postgresql://u@127.0.0.1:5432,db.example.org:5432/mlflow"}, field: "tracking_uri", says: `host "db.example.org"`,
		},
		"address beside the host": {
			kind: "mlflow", config: map[string]any{"tracking_uri": "postgresql://u@127.0.0.1/mlflow?hostaddr=10.0.0.9"}, field: "tracking_uri", says: `host "10.0.0.9"`,
		},
		"service file": {
			kind: "mlflow", config: map[string]any{"tracking_uri": "postgresql://u@127.0.0.1/mlflow?servicefile=" + c.log("s")}, field: "tracking_uri", says: "servicefile",
		},
		"dots behind a link": {kind: "tasklog", config: rulesOf(c.dir + "/logs/link/../*.log"), field: "include", says: "has .. in it"},
		"foreign owners":     {kind: "dask", config: map[string]any{"allow_foreign_owner": true}, field: "config::allow_foreign_owner", says: "leave it out"},
		"journals elsewhere": {
			kind: "dask", config: map[string]any{"journal": map[string]any{"directory": "/var/tmp/x"}}, field: "journal::directory", says: "lies outside",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Register(t.Context(), control.Registration{ID: x.id, Kind: x.kind, Config: x.config}, true)
			var refusal *control.Refusal
			require.ErrorAs(t, err, &refusal)
			assert.Equal(t, x.field, refusal.Field)
			assert.Contains(t, refusal.Problem, x.says)
		})
	}
	_, err := c.Register(t.Context(), control.Registration{ID: "taken", Kind: "tasklog", Config: rulesOf(c.log("*.txt"))}, true)
	require.ErrorIs(t, err, control.ErrConflict)
	same, err := c.Register(t.Context(), control.Registration{ID: "taken", Kind: "tasklog", Config: rulesOf(c.log("*.log"))}, true)
	require.NoError(t, err, "the same again")
	assert.Equal(t, control.Running, same.State)
	assert.Len(t, c.Observers(), 1, "nothing that was refused is kept")
}

func TestLoopbackHostsAreOne(t *testing.T) {
	a := &Allow{Hosts: []string{"localhost", "Node-3"}}
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.9.9": true, "[::1]": true, "node-3": true, "node-4": false, "0.0.0.0": false, "10.0.0.1": false,
	} {
		assert.Equal(t, want, a.host(host), host)
	}
	assert.False(t, (&Allow{Hosts: []string{"127.0.0.1"}}).host("127.0.0.2"), "only localhost stands for others")
}

func TestFailureIsToldAndSecretsAreNot(t *testing.T) {
	c := newCollector(t, t.TempDir()).attach()
	defer c.stop()
	o := c.register("x", "broken", nil)
	assert.Equal(t, control.Failed, o.State)
	assert.Contains(t, o.Problem, "no, with")
	assert.NotContains(t, o.Problem, "ghp_")
	_, drained, err := c.StopObserver(t.Context(), "x")
	require.NoError(t, err)
	assert.True(t, drained.Complete, "it never observed anything")
	o = c.register("m", "mlflow", map[string]any{"tracking_uri": "postgresql://u:hunter2hunter2@127.0.0.1:1/mlflow", "password": "hunter2hunter2"})
	assert.NotContains(t, fmt.Sprint(o), "hunter2")
}

// TestDrainSaysWhatStoodInTheWay: a store that refuses, and a request that does not wait for ever.
func TestDrainSaysWhatStoodInTheWay(t *testing.T) {
	c := newCollector(t, t.TempDir())
	c.next = consumertest.NewErr(errors.New("the store is full"))
	c.attach()
	defer c.stop()
	c.write("run.log", 0, 3)
	c.register("images", "tasklog", rulesOf(c.log("*.log")))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	o, drained, err := c.StopObserver(ctx, "images")
	require.NoError(t, err)
	assert.Equal(t, control.Stopped, o.State)
	assert.False(t, drained.Complete)
	assert.Contains(t, drained.Problem, "in time")
	assert.Positive(t, o.Refused)
	for range 2 { // what is not there does not become so by asking again
		_, drained, err = c.StopObserver(t.Context(), "images")
		require.NoError(t, err)
		assert.False(t, drained.Complete)
		drained, err = c.DeleteObserver(t.Context(), "images", false)
		require.NoError(t, err)
		assert.False(t, drained.Complete || drained.Deleted, "it is kept, with its position")
	}
	drained, err = c.DeleteObserver(t.Context(), "images", true)
	require.NoError(t, err)
	assert.True(t, drained.Deleted)
	assert.Empty(t, c.Observers())
}

func TestWithoutAPipelineNothingStarts(t *testing.T) {
	c := newCollector(t, t.TempDir())
	defer c.stop()
	_, err := c.Register(t.Context(), control.Registration{ID: "images", Kind: "tasklog", Config: rulesOf(c.log("*.log"))}, true)
	require.ErrorIs(t, err, control.ErrDetached)
	assert.Empty(t, c.Observers())
}

func TestConfigNamesWhatCannotWork(t *testing.T) {
	require.NoError(t, createDefaultConfig().(*Config).Validate())
	cfg := &Config{Allow: Allow{Kinds: []string{"1x"}, Directories: []string{""}, Hosts: []string{""}}}
	err := cfg.Validate()
	for _, want := range []string{"directory: empty", "drain_timeout: 0s", `allow::kinds[0]: "1x"`, "allow::directories[0]: empty", "allow::hosts[0]: empty"} {
		assert.ErrorContains(t, err, want)
	}
}

func TestStorageMustBeOne(t *testing.T) {
	for want, host := range map[string]component.Host{
		`there is no extension "file_storage"`: componenttest.NewNopHost(),
		"keeps no state":                       &collector{extensions: map[component.ID]component.Component{component.MustNewID("file_storage"): struct{ component.Component }{}}},
	} {
		cfg := createDefaultConfig().(*Config)
		id := component.MustNewID("file_storage")
		cfg.Storage = &id
		ext, err := NewFactory().Create(t.Context(), extensiontest.NewNopSettings(NewFactory().Type()), cfg)
		require.NoError(t, err)
		require.ErrorContains(t, ext.Start(t.Context(), host), want)
		require.NoError(t, ext.Shutdown(t.Context()))
	}
}

// Two collectors on one directory: which of their extensions finds out first is chance, and each says what to do.
func TestStorageOfAnotherCollector(t *testing.T) {
	c := newCollector(t, t.TempDir())
	defer func() { require.NoError(t, c.Shutdown(t.Context())) }()
	second := &controller{set: c.set, cfg: c.cfg, shelfID: c.shelfID}
	files := filestorage.NewFactory()
	fc := files.CreateDefaultConfig().(*filestorage.Config)
	fc.Directory = filepath.Join(c.dir, "state")
	fc.Timeout = 50 * time.Millisecond
	ext, err := files.Create(t.Context(), extensiontest.NewNopSettings(files.Type()), fc)
	require.NoError(t, err)
	require.NoError(t, ext.Start(t.Context(), c))
	other := &collector{extensions: map[component.ID]component.Component{component.NewID(files.Type()): ext}}
	_, err = second.storage(t.Context(), other)
	require.ErrorContains(t, err, "stop that collector, or give this one another directory")
}
