package mlflowreceiver

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// leftOut is what was counted for a reason.
func (x *running) leftOut(t testing.TB, reason string) int64 {
	t.Helper()
	m, err := x.tel.GetMetric("otelcol_receiver_mlflow_left_out")
	if err != nil {
		return 0
	}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if v, _ := p.Attributes.Value(attribute.Key("reason")); v.AsString() == reason {
			return p.Value
		}
	}
	return 0
}

// full is a run with something in every part, its files in dir.
func full(t *testing.T, dir string) *run {
	t.Helper()
	artifacts := filepath.Join(dir, "artifacts")
	require.NoError(t, os.MkdirAll(filepath.Join(artifacts, "net"), 0o700))
	for _, name := range []string{"net/MLmodel", "token=hunter2hunter2.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(artifacts, name), []byte("x"), 0o600))
	}
	one := series{}.add(at(1, 1, 0.5))
	return &run{
		id: "r1", name: "full", status: "FINISHED", start: 1, end: 2, artifactURI: artifacts, at: 7, sourceName: "train.py",
		params: []pair{{"layers", "2"}, {"long", strings.Repeat("y", 9000)}, {"model_path", artifacts + "/net/MLmodel"}, {"patient", "ada"}},
		tags: []pair{
			{"mlflow.note.content", "seen by ada"}, {"mlflow.source.git.commit", "c0ffee"}, {"mlflow.user", "ada"}, {"stage", "train"}, {"url", "https://ada:hunter2@example.org"},
		},
		latest:   []lastMetric{{key: "loss", value: 0.5}, {key: "val/acc", value: math.NaN()}, {key: "val/loss", value: 0.5}},
		history:  map[string]series{"loss": one, "val/acc": one, "val/loss": one},
		inputs:   []input{{name: "cells", digest: "abc", sourceType: "local", source: `{"uri": "` + artifacts + `/net/MLmodel"}`}},
		uses:     []loggedModel{{id: "m-1", name: "base"}},
		models:   []loggedModel{{id: "m-2", name: "net", location: "file://" + artifacts + "/net"}},
		versions: []modelVersion{{name: "net", version: 3, source: "s3://key:hunter2@bucket/net"}},
	}
}

// mapped is the event that a configuration makes of a run.
func mapped(t *testing.T, x *run, dir string, with func(*Capture)) (*task.Event, withheld) {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	if with != nil {
		with(&cfg.Capture)
	}
	m := &mapper{cfg: cfg, baseDir: dir, files: &files{resolver: entity.NewResolver()}, limiter: newLimiter(cfg.Capture)}
	e, out, err := m.event(x)
	require.NoError(t, err)
	return e, out
}

func TestFieldsCanBeDropped(t *testing.T) {
	dir := t.TempDir()
	x := full(t, dir)
	whole, out := mapped(t, x, dir, nil)
	assert.Zero(t, out.Left)
	assert.Equal(t, map[string]any{"user.name": "ada", "code.file.path": "train.py", "vcs.ref.head.revision": "c0ffee"}, whole.Attributes)
	assert.Equal(t, 1, out.Cut, "the long text")
	values := func(e *task.Event) map[string]any {
		return map[string]any{"used": e.Used, "generated": e.Generated, "custom": e.Custom, "attributes": e.Attributes}
	}
	for _, c := range []struct {
		patterns, gone, stays []string
	}{
		{[]string{"used.inputs"}, []string{"used.inputs"}, []string{"used.layers", "used.models"}},
		{[]string{"used.m*"}, []string{"used.models", "used.model_path"}, []string{"used.layers"}},
		{[]string{"generated.models"}, []string{"generated.models"}, []string{"used.models", "generated.artifacts"}},
		{[]string{"generated.a*"}, []string{"generated.artifacts", "generated.artifact_uri"}, []string{"generated.models", "generated.run_id"}},
		{[]string{"custom.description"}, []string{"custom.description"}, []string{"custom.tags.stage", "custom.run_name"}},
		{[]string{"custom.tags.s*"}, []string{"custom.tags.stage"}, []string{"custom.tags.url", "custom.description"}},
		{[]string{"attributes.user.name"}, []string{"attributes.user.name"}, []string{"attributes.code.file.path"}},
		// * goes over slashes, and the summary of a metric goes with it.
		{
			[]string{"generated.v*"},
			[]string{"generated.val/loss", "generated.val/acc", "generated.metrics_history.val/loss", "generated.metrics_history.val/acc"},
			[]string{"generated.loss", "generated.metrics_history.loss"},
		},
		{[]string{"generated.metrics_history"}, []string{"generated.metrics_history.loss"}, []string{"generated.loss"}},
	} {
		e, out := mapped(t, x, dir, func(cfg *Capture) { cfg.Policy.DropFields = c.patterns })
		assert.Positive(t, out.Left, c.patterns)
		for _, field := range c.gone {
			assert.True(t, has(values(whole), field), "%s is there without a policy", field)
			assert.False(t, has(values(e), field), "%s under %q", field, c.patterns)
		}
		for _, field := range c.stays {
			assert.True(t, has(values(e), field), "%s under %q", field, c.patterns)
		}
	}
}

// has says whether a map has a field; names of fields may have dots in them.
func has(m map[string]any, field string) bool {
	for k, v := range m {
		if k == field {
			return true
		}
		below, _ := v.(map[string]any)
		if rest, ok := strings.CutPrefix(field, k+"."); ok && has(below, rest) {
			return true
		}
	}
	return false
}

func TestOnlySomeFieldsAreKept(t *testing.T) {
	dir := t.TempDir()
	e, _ := mapped(t, full(t, dir), dir, func(c *Capture) {
		c.Policy.KeepFields = []string{"used.layers", "generated.*loss"}
	})
	assert.Equal(t, map[string]any{"layers": int64(2)}, e.Used)
	one := map[string]any{"first": 0.5, "first_step": int64(1), "last": 0.5, "last_step": int64(1), "count": int64(1), "min": 0.5, "max": 0.5}
	assert.Equal(t, map[string]any{
		"loss": 0.5, "val/loss": 0.5, "metrics_history": map[string]any{"loss": one, "val/loss": one},
	}, e.Generated)
	assert.Empty(t, e.Paths)
}

func TestNumbersOnlyOrNoValues(t *testing.T) {
	dir := t.TempDir()
	x := full(t, dir)
	e, out := mapped(t, x, dir, func(c *Capture) { c.Policy.Values = capture.Numbers })
	assert.Equal(t, int64(2), e.Used["layers"])
	assert.Equal(t, map[string]any{"$object": map[string]any{"type": "str"}}, e.Used["patient"])
	assert.Equal(t, 0.5, e.Generated["loss"])
	text := task.JSON([]any{e.Used, e.Generated, e.Custom})
	for _, secret := range []string{"seen by ada", "train\"", "example.org", "cells", dir} {
		assert.NotContains(t, text, secret)
	}
	assert.Empty(t, e.Paths)
	assert.Positive(t, out.Left)

	e, _ = mapped(t, x, dir, func(c *Capture) { c.Policy.Values = capture.None })
	assert.Empty(t, e.Used)
	assert.Empty(t, e.Generated)
	assert.NotContains(t, e.Custom, "tags")
	assert.NotContains(t, e.Custom, "description")
	assert.Equal(t, task.StatusFinished, e.Status)
}

func TestSecretsDoNotLeave(t *testing.T) {
	dir := t.TempDir()
	e, out := mapped(t, full(t, dir), dir, func(c *Capture) { c.Redact = []string{"pat*"} })
	text := task.JSON([]any{e.Wire(), e.Resource})
	assert.NotContains(t, text, "hunter2")
	assert.Equal(t, map[string]any{"$redacted": true}, e.Used["patient"])
	assert.Equal(t, 5, out.Redacted, "patient, two URLs, name and path of a file")
	assert.Equal(t, map[string]any{"$cut": map[string]any{"type": "str", "length": int64(9000), "head": strings.Repeat("y", 1024)}}, e.Used["long"])
	for path := range e.Paths {
		assert.NotContains(t, path, "hunter2")
	}
	assert.Contains(t, e.Paths, filepath.Join(dir, "artifacts", "net", "MLmodel"))
}

func TestRunsOfAnActivityAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	v := newView()
	r := start(t, filepath.Join(dir, "absent.db"), v, func(c *Config) { c.Capture.Policy.KeepActivities = []string{"t*"} }, nil)
	r.cancel()
	r.wg.Wait()
	_, m := r.parts(&sqliteFile{path: filepath.Join(dir, "absent.db")}, dir)
	callback := r.callback(m)
	x := full(t, dir)
	take := func(source string) int {
		x.sourceName = source
		events, err := callback(x)
		require.NoError(t, err)
		r.keeper.put(x.id, seen{content: x.content})
		return len(events)
	}
	assert.Equal(t, 1, take("train.py"))
	assert.Equal(t, 0, take("evaluate.py"))
	assert.Equal(t, 0, take("evaluate.py"))
	assert.Equal(t, int64(1), r.leftOut(t, "activity"), "counted once, however often it is read")
	assert.Equal(t, 1, take("train.py"), "wanted again")
	assert.Equal(t, 0, take("train.py"))
}
