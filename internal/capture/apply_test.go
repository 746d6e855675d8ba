package capture

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func event() *task.Event {
	return &task.Event{
		Name: task.EventFailed, Kind: "log", Scope: "h:/a.log#password=hunter2", Key: "train/token=hunter2", Activity: "train",
		WorkflowID: "password=hunter2", WorkflowName: "run password=hunter2",
		Used: map[string]any{
			"lr": 0.1, "dsn": "postgres://ada:hunter2@db/x", "data": "/data/x.npz", "odd": "/data/token=hunter2/y.npz",
			"opts": map[string]any{"api_key": "hunter2", "list": []any{"Bearer hunter2hunter2"}},
		},
		Generated:  map[string]any{"model": "/data/m.pkl"},
		Custom:     map[string]any{"note": "password=hunter2"},
		Attributes: map[string]any{"exception.message": "login(password='hunter2')", "exception.stacktrace": "x\nAPI_KEY=hunter2\ny"},
		Tags:       []string{"a", "token=hunter2"},
		Resource:   map[string]any{"host.name": "h", "process.command_line": "run --password=hunter2"},
		Stdout:     "sk-hunter2hunter2hunter2", Stderr: "https://hunter2hunter2@h/x",
		Paths: map[string]task.PathInfo{
			"/data/x.npz": {Real: "/data/x.npz"}, "/data/m.pkl": {Real: "/secret=hunter2/m.pkl"},
			"/data/token=hunter2/y.npz": {Real: "/data/token=hunter2/y.npz"},
		},
	}
}

func TestApplyTakesSecretsOutAndKeepsIdentity(t *testing.T) {
	e, before := event(), event()
	used := task.JSON(e.Used)
	shared := e.Used
	keep, n := New(NewDefaultConfig()).Apply(e)
	require.True(t, keep)
	assert.Equal(t, Counts{Redacted: 12}, n)
	assert.Equal(t, before.ID(), e.ID())
	assert.Equal(t, before.Trace(), e.Trace())
	assert.Equal(t, before.WorkflowID, e.WorkflowID)
	assert.Equal(t, used, task.JSON(shared), "changed in place")
	e.Scope, e.Key, e.WorkflowID = "", "", ""
	assert.NotContains(t, task.JSON(e.Wire()), "hunter2")
	assert.Equal(t, map[string]task.PathInfo{"/data/x.npz": {Real: "/data/x.npz"}}, e.Paths)
	assert.Equal(t, "h", e.Resource["host.name"])
	_, n = New(NewDefaultConfig()).Apply(e)
	assert.Zero(t, n)
}

func TestApplyPolicy(t *testing.T) {
	p := New(Config{DropActivities: []string{"train"}})
	keep, _ := p.Apply(event())
	assert.False(t, keep)
	run := &task.Event{Name: task.EventWorkflowStarted, Used: map[string]any{"a": "b"}}
	keep, _ = New(Config{KeepActivities: []string{"x"}}).Apply(run)
	assert.True(t, keep, "a run has no activity")

	e := event()
	_, n := New(Config{DropFields: []string{"used.opts.*", "used.data", "custom", "attributes.exception.*", "tags", "std*"}}).Apply(e)
	assert.Equal(t, []string{"dsn", "lr", "odd"}, keys(e.Used))
	assert.Empty(t, e.Custom)
	assert.Empty(t, e.Attributes)
	assert.Empty(t, e.Tags)
	assert.Empty(t, e.Stdout+e.Stderr)
	assert.NotContains(t, e.Paths, "/data/x.npz", "the path of a field that was dropped")
	assert.Equal(t, 2+1+1+2+2+2, n.Left)

	e = event()
	used, generated := e.Used, e.Generated
	_, n = New(Config{DropFields: []string{"used", "generated", "attributes"}}).Apply(e)
	assert.Empty(t, e.Used)
	assert.Empty(t, e.Generated)
	assert.Empty(t, e.Attributes)
	assert.Equal(t, leaves(used)+leaves(generated)+2, n.Left)

	for _, values := range []string{Numbers, None} {
		e = event()
		_, n = New(Config{Values: values}).Apply(e)
		assert.Empty(t, e.Stdout+e.Stderr)
		assert.Empty(t, e.Attributes, "a message quotes values")
		assert.Empty(t, e.Paths)
		assert.NotContains(t, task.JSON([]any{e.Used, e.Generated}), "/data")
		assert.Positive(t, n.Left)
	}
}

// An event may come by two policies, one in the observed process and one in the collector: the second finds nothing to do.
func TestApplyTwiceIsApplyOnce(t *testing.T) {
	long := strings.Repeat("Bearer hunter2hunter2 ü", 500)
	for _, cfg := range []Config{
		{}, {Values: Numbers}, {Values: None}, {MaxString: 64}, {MaxEvent: minEvent}, {KeepFields: []string{"used.opts", "generated.*"}},
		{DropFields: []string{"used.opts.list", "attributes.*"}},
	} {
		e := event()
		e.Used["long"], e.Used["raw"], e.Used["n"] = long, []byte(long), []any{long, int64(1)}
		e.Attributes["exception.stacktrace"], e.WorkflowName, e.Stdout = long+long, long, strings.Repeat("ü", 70_000)
		e.Tags = append(e.Tags, long)
		p := New(cfg)
		_, n := p.Apply(e)
		assert.Positive(t, n.Redacted)
		once := task.JSON(e.Wire())
		_, n = p.Apply(e)
		assert.Equal(t, once, task.JSON(e.Wire()), "%+v", cfg)
		assert.Zero(t, n, "%+v", cfg)
	}
}

func TestTheValueOfAnEntityIsAResult(t *testing.T) {
	entity := func(cfg Config) map[string]any {
		record := map[string]any{"id": "dask:s:k", "type": "dict", "value": map[string]any{"a": int64(1), "b": "text"}}
		e := &task.Event{Name: task.EventEntity, Kind: "dask", Scope: "s", Key: "k", Record: record}
		New(cfg).Apply(e)
		assert.Equal(t, map[string]any{"a": int64(1), "b": "text"}, record["value"], "changed in place")
		return e.Record.(map[string]any)
	}
	assert.Equal(t, map[string]any{"a": int64(1), "b": "text"}, entity(Config{})["value"])
	assert.Equal(t, map[string]any{"a": int64(1), "b": map[string]any{"$object": map[string]any{"type": "str"}}}, entity(Config{Values: Numbers})["value"])
	assert.Nil(t, entity(Config{Values: None})["value"])
	assert.NotContains(t, entity(Config{DropFields: []string{"generated.value.b"}})["value"], "b")
	assert.Equal(t, "dask:s:k", entity(Config{DropFields: []string{"generated.*"}})["id"])
}

func keys(m map[string]any) []string {
	var out []string
	for _, k := range []string{"data", "dsn", "lr", "odd", "opts"} {
		if _, ok := m[k]; ok {
			out = append(out, k)
		}
	}
	return out
}

func TestLongTextsAreCutVisibly(t *testing.T) {
	long := "é password=hunter2 " + strings.Repeat("ü", 9000)
	e := &task.Event{
		Name: task.EventFailed, Used: map[string]any{"t": long, "b": []byte(long), "ok": strings.Repeat("ü", 8192)},
		Attributes: map[string]any{"exception.stacktrace": "begin " + strings.Repeat("x", 20000) + " end"},
	}
	_, n := New(Config{}).Apply(e)
	assert.Equal(t, Counts{Redacted: 2, Cut: 3}, n)
	cut := e.Used["t"].(map[string]any)[task.KeyCut].(map[string]any)
	assert.Equal(t, "str", cut["type"])
	assert.Equal(t, int64(9019), cut["length"])
	assert.Equal(t, "é password=[redacted] "+strings.Repeat("ü", 1024-22), cut["head"])
	assert.Equal(t, "bytes", e.Used["b"].(map[string]any)[task.KeyCut].(map[string]any)["type"])
	assert.IsType(t, "", e.Used["ok"])
	trace := e.Attributes["exception.stacktrace"].(string)
	assert.True(t, strings.HasPrefix(trace, "begin ") && strings.HasSuffix(trace, " end"))
	assert.Contains(t, trace, "\n[3626 characters cut]\n")
}

// The size of an event is bounded, the small values stay, and the result is the same each time.
func TestSizeOfAnEvent(t *testing.T) {
	make := func() *task.Event {
		many := map[string]any{}
		for i := range 50_000 {
			many["k"+task.JSON(int64(i))] = "value"
		}
		list := make([]any, 100_000)
		for i := range list {
			list[i] = 0.5
		}
		return &task.Event{
			Name: task.EventFinished, Used: map[string]any{"lr": 0.1, "big": map[string]any{"n": int64(1), "list": list}, "path": "/data/x.npz"},
			Generated: map[string]any{"many": many, "loss": 0.5, "raw": make([]byte, 8000)}, Stdout: strings.Repeat("x", 60_000),
			Paths: map[string]task.PathInfo{"/data/x.npz": {Real: "/data/x.npz"}},
		}
	}
	for _, limit := range []int{minEvent, 100_000, defaultMaxEvent} {
		a, b := make(), make()
		_, n := New(Config{MaxEvent: limit}).Apply(a)
		New(Config{MaxEvent: limit}).Apply(b)
		text := task.JSON(a.Wire())
		assert.Equal(t, text, task.JSON(b.Wire()), "not the same each time")
		assert.LessOrEqual(t, len(text), limit+1024)
		assert.Positive(t, n.Cut)
		assert.Equal(t, 0.1, a.Used["lr"])
		assert.Equal(t, 0.5, a.Generated["loss"])
		assert.Equal(t, int64(1), a.Used["big"].(map[string]any)["n"])
		assert.Contains(t, a.Paths, "/data/x.npz")
		assert.Contains(t, text, sizeReason)
	}
}

func TestValidate(t *testing.T) {
	require.NoError(t, NewDefaultConfig().Validate())
	require.NoError(t, Config{}.Validate())
	err := Config{
		KeepActivities: []string{"ok", ""}, KeepFields: []string{"stdout"}, DropFields: []string{"layers", "*.path", ""}, Values: "some", MaxString: 3, MaxEvent: -1,
	}.Validate()
	for _, want := range []string{
		`keep_activities[1]: empty; want a glob such as "train*"`,
		`keep_fields[0]: "stdout" names no field; want a full name, or a glob, that begins with used, generated, annotations`,
		`drop_fields[0]: "layers" names no field`, `for example "used.layers"`,
		`drop_fields[2]: empty`, `values: "some"; want values, numbers or none`, `max_string: 3; want 64 to`, `max_event: -1; want 4096 to`,
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "drop_fields[1]")
}

// The hints are an optimisation: no pattern may find what they do not see.
func FuzzHints(f *testing.F) {
	for _, s := range []string{"a://b:c@d", "?sig=x", "AKIAHUNTER2HUNTER2AB", "ghp_hunter2hunter2hunter2", "AUTHORIZATION: Basic aaaaaaa=", "--x-token abcd", "sK-x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, n := Text(s)
		all := s
		for i := range secretValues {
			all, _ = replace(secretValues[i].pattern, all)
		}
		// Letters beyond ASCII that fold to ASCII ones (K, ſ) are in no secret.
		if all != out && !strings.ContainsAny(s, "\u212a\u017f") {
			t.Fatalf("%q: with hints %q, without %q", s, out, all)
		}
		if n == 0 && out != s {
			t.Fatalf("%q became %q uncounted", s, out)
		}
	})
}

func typical() *task.Event {
	return &task.Event{
		Name: task.EventFinished, Activity: "acquire_image", WorkflowName: "acquire",
		Used: map[string]any{
			"number": int64(101), "position": []any{0.0, 5.0}, "round": int64(1), "seed": int64(7), "sample": "MoS2-17",
			"parameters": map[string]any{"beam_energy_kV": int64(80), "defocus_nm": 12.0, "mode": "annular dark field"},
		},
		Generated: map[string]any{"path": "images/img_101.npz", "defects": int64(23), "drift": 0.196},
		Paths:     map[string]task.PathInfo{"images/img_101.npz": {Real: "/data/campaign/images/img_101.npz"}},
	}
}

func BenchmarkApply(b *testing.B) {
	p := New(NewDefaultConfig())
	e := typical()
	b.ReportAllocs()
	for b.Loop() {
		if _, n := p.Apply(e); n.Redacted != 0 {
			b.Fatal("a secret in a typical event")
		}
	}
}
