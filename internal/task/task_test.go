package task

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"pgregory.net/rapid"
)

func TestIDVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/ids.json")
	require.NoError(t, err)
	var vectors []struct{ Kind, Scope, Execution, Key, ID, Span, Trace string }
	require.NoError(t, json.Unmarshal(data, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		ref := Ref{Kind: v.Kind, Scope: v.Scope, Key: v.Key}
		span, trace := ref.SpanID(), TraceID(v.Kind, v.Execution)
		assert.Equal(t, v.ID, ref.ID())
		assert.Equal(t, v.Span, hex.EncodeToString(span[:]))
		assert.Equal(t, v.Trace, hex.EncodeToString(trace[:]))
	}
}

func TestIDPartsAreSeparated(t *testing.T) {
	assert.NotEqual(t, Ref{"a", "bc", "d"}.ID(), Ref{"a", "b", "cd"}.ID())
	assert.NotEqual(t, Ref{"a", "", "bc"}.ID(), Ref{"a", "b", "c"}.ID())
}

// The golden file holds values in a neutral description beside their encoding, so that every language builds them from
// its own types: {"int": "…"}, {"float": "<repr>"}, {"str": …}, {"text": "<hex of what should be
// UTF-8>"}, {"bytes": "<hex>"}, {"list": […]}, {"map": [[key, value], …]}; a key is a plain string or described too.
func TestEncodingGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/encoding_golden.json")
	require.NoError(t, err)
	var cases []struct {
		Name  string
		Value any
		JSON  string
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	require.Greater(t, len(cases), 20)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			v := build(t, c.Value)
			require.Equal(t, c.JSON, JSON(v))
			require.Equal(t, c.JSON, JSON(Normalize(build(t, c.Value))))
			back, err := DecodeJSON([]byte(c.JSON))
			require.NoError(t, err)
			assert.Equal(t, c.JSON, JSON(back))
		})
	}
}

func build(t *testing.T, d any) any {
	switch d := d.(type) {
	case nil, bool:
		return d
	case map[string]any:
		require.Len(t, d, 1)
		for k, v := range d {
			switch k {
			case "int":
				var n any
				n, err := numberFromJSON(v.(string))
				require.NoError(t, err)
				return n
			case "float":
				return map[string]float64{
					"nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1), "-0.0": math.Copysign(0, -1),
				}[v.(string)] + parseOrZero(v.(string))
			case "str":
				return v.(string)
			case "bytes", "text":
				b, err := hex.DecodeString(v.(string))
				require.NoError(t, err)
				if k == "text" {
					return string(b)
				}
				return b
			case "list":
				out := []any{}
				for _, e := range v.([]any) {
					out = append(out, build(t, e))
				}
				return out
			case "map":
				out, mixed := map[string]any{}, map[any]any{}
				for _, e := range v.([]any) {
					pair := e.([]any)
					key := pair[0]
					if _, plain := key.(string); !plain {
						key = build(t, key)
					}
					mixed[key] = build(t, pair[1])
					if s, ok := key.(string); ok {
						out[s] = mixed[key]
					}
				}
				if len(out) < len(mixed) {
					return mixed
				}
				return out
			}
		}
	}
	t.Fatalf("golden value %v: want null, a boolean, or one of int, float, str, text, bytes, list, map", d)
	return nil
}

func parseOrZero(s string) float64 {
	var f float64
	if s == "-0.0" {
		return math.Copysign(0, -1)
	}
	if err := json.Unmarshal([]byte(s), &f); err != nil {
		return 0
	}
	return f
}

func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		n := 8
		if depth <= 0 {
			n = 6
		}
		switch rapid.IntRange(0, n-1).Draw(t, "type") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Int64().Draw(t, "int")
		case 3:
			return rapid.SampledFrom([]float64{0, 1, 0.1, -1e-5, 1e16, 1e300, math.Inf(-1), math.MaxFloat64}).Draw(t, "float")
		case 4:
			return rapid.String().Draw(t, "string")
		case 5:
			return rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "bytes")
		case 6:
			l := rapid.SliceOfN(values(depth-1), 0, 3).Draw(t, "list")
			if l == nil {
				l = []any{}
			}
			return l
		default:
			return valueMap(depth-1).Draw(t, "map")
		}
	})
}

func valueMap(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			k := rapid.SampledFrom([]string{"a", "b", "a.b", "", "é", "x y"}).Draw(t, "key")
			m[k] = values(depth).Draw(t, "value")
		}
		return m
	})
}

func TestEncodingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(3).Draw(t, "value")
		text := JSON(v)
		if !json.Valid([]byte(text)) {
			t.Fatalf("not JSON: %s", text)
		}
		back, err := DecodeJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		assert.Equal(t, v, back)
	})
}

// events draws snapshots of one task: 3 attempts and the task itself, several facets, few stamps so that they collide.
func events() *rapid.Generator[*Event] {
	return rapid.Custom(func(t *rapid.T) *Event {
		e := &Event{
			Name: EventFinished, Kind: "dask", Scope: "Scheduler-1", Key: "incr-0",
			Time:    rapid.Int64Range(1, 4).Draw(t, "time"),
			Seq:     rapid.Int64Range(0, 3).Draw(t, "seq"),
			Attempt: rapid.SampledFrom([]int64{NoAttempt, 3, 7, 12}).Draw(t, "attempt"),
			Facet:   rapid.SampledFrom([]string{"worker", "scheduler", FacetPeople}).Draw(t, "facet"),
			Status:  Status(rapid.IntRange(0, 5).Draw(t, "status")),
		}
		if rapid.Bool().Draw(t, "has used") {
			e.Used = valueMap(2).Draw(t, "used")
		}
		if rapid.Bool().Draw(t, "has generated") {
			e.Generated = map[string]any{"list": []any{int64(1), int64(1)}, "loss": values(1).Draw(t, "loss")}
		}
		if rapid.Bool().Draw(t, "has campaign") {
			e.Campaign = rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "campaign")
		}
		e.StartedAt = rapid.Int64Range(0, 5).Draw(t, "started")
		e.EndedAt = rapid.Int64Range(0, 5).Draw(t, "ended")
		return e
	})
}

func stateOf(events []*Event) *State {
	s := &State{}
	for _, e := range events {
		s.Apply(e)
	}
	return s
}

func TestMergeIsOrderFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(events(), 1, 8).Draw(t, "events")
		want := stateOf(list)
		shuffled := rapid.Permutation(list).Draw(t, "order")
		replay := append(append([]*Event{}, shuffled...), list[:rapid.IntRange(0, len(list)).Draw(t, "replayed")]...)
		got := stateOf(replay)
		assert.Equal(t, string(want.Encode()), string(got.Encode()), "commutative and idempotent")
		cut := rapid.IntRange(0, len(shuffled)).Draw(t, "cut")
		left, right := stateOf(shuffled[:cut]), stateOf(shuffled[cut:])
		right.Merge(left)
		assert.True(t, want.Equal(right), "associative")
		assert.False(t, right.Merge(left), "merging what is known changes nothing")
		assert.Equal(t, Project(want).Map(), Project(right).Map())
	})
}

func TestMergeAllOrders(t *testing.T) {
	list := []*Event{
		{Name: EventSubmitted, Time: 1, Seq: 1, Attempt: NoAttempt, Facet: "scheduler", Status: StatusSubmitted, SubmittedAt: 1},
		{Name: EventStarted, Time: 2, Seq: 2, Attempt: 5, Facet: "worker", Status: StatusRunning, StartedAt: 2, Used: map[string]any{"x": int64(1), "gone": true}},
		{Name: EventFailed, Time: 3, Seq: 3, Attempt: 5, Facet: "worker", Status: StatusFailed, StartedAt: 2, EndedAt: 3, Used: map[string]any{"x": int64(1)}, Attributes: map[string]any{"exception.type": "ValueError"}},
		{Name: EventFinished, Time: 5, Seq: 4, Attempt: 9, Facet: "worker", Status: StatusFinished, StartedAt: 4, EndedAt: 5, Used: map[string]any{"x": map[string]any{"y": 2.0}}, Generated: map[string]any{"value": 0.5}},
		{Name: EventFinished, Time: 5, Seq: 9, Attempt: NoAttempt, Facet: "scheduler", Status: StatusFinished, SubmittedAt: 1},
	}
	for _, e := range list {
		e.Kind, e.Scope, e.Key = "dask", "Scheduler-1", "incr-0"
	}
	want := ""
	permute(list, func(order []*Event) {
		s := stateOf(order)
		got := string(s.Encode())
		if want == "" {
			want = got
		}
		require.Equal(t, want, got)
		d := Project(s)
		require.Equal(t, StatusFinished, d.Status)
		require.Equal(t, int64(2), d.Attempt)
		require.Equal(t, int64(1), d.SubmittedAt)
		require.Equal(t, int64(4), d.StartedAt)
		require.Equal(t, map[string]any{"x": map[string]any{"y": 2.0}}, d.Used)
		require.Len(t, d.Attempts, 1)
		require.Equal(t, StatusFailed, d.Attempts[0].Status)
		require.Equal(t, map[string]any{"type": "ValueError"}, d.Attempts[0].Error)
	})
	decoded, err := DecodeState([]byte(want))
	require.NoError(t, err)
	require.Equal(t, want, string(decoded.Encode()))
}

func permute(list []*Event, visit func([]*Event)) {
	var rec func(int)
	rec = func(i int) {
		if i == len(list) {
			visit(list)
			return
		}
		for j := i; j < len(list); j++ {
			list[i], list[j] = list[j], list[i]
			rec(i + 1)
			list[i], list[j] = list[j], list[i]
		}
	}
	rec(0)
}

func TestNewerSnapshotRemovesKeys(t *testing.T) {
	s := stateOf([]*Event{
		{Kind: "k", Key: "1", Time: 2, Attempt: NoAttempt, Facet: "run", Used: map[string]any{"a": int64(1)}},
		{Kind: "k", Key: "1", Time: 1, Attempt: NoAttempt, Facet: "run", Used: map[string]any{"a": int64(1), "b": int64(2)}},
	})
	assert.Equal(t, map[string]any{"a": int64(1)}, Project(s).Used)
}

func TestStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stateOf(rapid.SliceOfN(events(), 1, 6).Draw(t, "events"))
		back, err := DecodeState(s.Encode())
		if err != nil {
			t.Fatal(err)
		}
		assert.Equal(t, string(s.Encode()), string(back.Encode()))
		assert.Equal(t, JSON(Project(s).Map()), JSON(Project(back).Map()))
	})
}

func fullEvent() *Event {
	return &Event{
		Name: EventFinished, Time: 10, Observed: 11, Kind: "dask", Scope: "Scheduler-1", Key: "incr-0",
		Execution: "Scheduler-1", Attempt: 0, Facet: "worker", Status: StatusFinished,
		Campaign: "c", WorkflowID: "w", WorkflowName: "search", WorkflowParentID: "p", Activity: "train",
		SubmittedAt: 1, StartedAt: 2, EndedAt: 3,
		Parent: &Ref{"mlflow", "", "r"}, Dependencies: []Ref{{"dask", "Scheduler-1", "a"}, {"log", "s", "b"}},
		Used:      map[string]any{"x": 1.0, "cfg": map[string]any{"l": []any{int64(1), nil, "s"}}},
		Generated: map[string]any{"b": []byte{1, 2}, "nan": map[string]any{}},
		Refs:      map[string]string{"x": "a"}, Paths: map[string]PathInfo{"p": {Real: "/p", FS: "nfs:a:/b", Rel: "/c", ModTime: 4, Size: 0}, "q": {Real: "/q", Size: -1}},
		TelemetryStart: map[string]any{"process.cpu.time": 0.5}, TelemetryEnd: map[string]any{}, TelemetryPeak: map[string]any{"m": int64(3)},
		TelemetryDelta: map[string]any{"process.cpu.time": 0.25}, TelemetryCoverage: map[string]any{"process.cpu.time": "exclusive"},
		Environment: "digest", Record: map[string]any{"k": "v"}, Stdout: "out", Stderr: "err", Tags: []string{"t"},
		Custom:     map[string]any{"c": true},
		Claims:     []Claim{{Role: Used, Entity: "file:x", Time: 5, TimeSource: "mtime", Evidence: "path", Confidence: 0.95, Field: "used.x", Label: "x"}},
		ObserverID: "o", Seq: 7,
		Attributes: map[string]any{"process.pid": int64(1), "exception.type": "E"}, Resource: map[string]any{"host.name": "h"},
		TraceID: [16]byte{1}, SpanID: [8]byte{2},
	}
}

func TestWireAndLogsRoundTrip(t *testing.T) {
	full := fullEvent()
	back, err := FromWire(full.Wire())
	require.NoError(t, err)
	require.Equal(t, full, back)

	second := &Event{Name: EventStarted, Kind: "log", Scope: "s", Key: "1", Attempt: NoAttempt, Resource: map[string]any{"host.name": "other"}}
	logs := ToLogs([]*Event{full, second, fullEvent()})
	require.Equal(t, 2, logs.ResourceLogs().Len())
	events, rejected := FromLogs(logs)
	require.Empty(t, rejected)
	require.Equal(t, []*Event{full, fullEvent(), second}, events)

	marshaled, err := (&plog.ProtoMarshaler{}).MarshalLogs(logs)
	require.NoError(t, err)
	logs, err = (&plog.ProtoUnmarshaler{}).UnmarshalLogs(marshaled)
	require.NoError(t, err)
	events, rejected = FromLogs(logs)
	require.Empty(t, rejected)
	require.Equal(t, full, events[0], "through OTLP")
}

func TestWireRoundTripProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := fullEvents().Draw(t, "event")
		before := JSON(e.Wire())
		back, err := FromWire(e.Wire())
		if err != nil {
			t.Fatal(err)
		}
		assert.Equal(t, e, back)
		back, err = FromDecoded(e.Wire(), map[string]any{"event": "not used"})
		if err != nil {
			t.Fatal(err)
		}
		assert.Equal(t, e, back)
		logs := ToLogs([]*Event{e})
		got, rejected := FromLogs(logs)
		if len(rejected) > 0 {
			t.Fatal(rejected[0].Err)
		}
		assert.Equal(t, e, got[0])
		data, err := (&plog.ProtoMarshaler{}).MarshalLogs(logs)
		if err != nil {
			t.Fatal(err)
		}
		logs, err = (&plog.ProtoUnmarshaler{}).UnmarshalLogs(data)
		if err != nil {
			t.Fatal(err)
		}
		got, _ = FromLogs(logs)
		assert.Equal(t, []*Event{e}, got, "through OTLP")
		assert.Equal(t, before, JSON(e.Wire()), "the event is not changed")
	})
}

func TestFromWireNamesKeyAndValue(t *testing.T) {
	for _, c := range []struct {
		m    map[string]any
		want string
	}{
		{map[string]any{}, "event: missing"},
		{map[string]any{"event": EventStarted, "time": "soon"}, `time: "soon" is not an integer`},
		{map[string]any{"event": EventStarted, "status": "DONE"}, `status "DONE": want one of UNKNOWN, SUBMITTED`},
		{map[string]any{"event": EventStarted, "used": []any{}}, `used: [] is not a map`},
		{map[string]any{"event": EventStarted, "dependencies": []any{int64(3)}}, `dependencies[0]: 3 is not a key`},
		{map[string]any{"event": EventStarted, "paths": map[string]any{"p": map[string]any{"size": "big"}}}, `paths.p.size: "big"`},
		{map[string]any{"event": EventStarted, "claims": []any{map[string]any{"role": "made"}}}, `claims[0]`},
		{map[string]any{"event": EventStarted, "trace_id": "xyz"}, `trace_id: "xyz" is not 32 hex digits`},
	} {
		_, err := FromWire(c.m)
		require.ErrorContains(t, err, c.want)
	}
}

func TestForeignRecordsAreRejectedAlone(t *testing.T) {
	logs := ToLogs([]*Event{fullEvent()})
	sl := logs.ResourceLogs().At(0).ScopeLogs().At(0)
	sl.LogRecords().AppendEmpty().Body().SetStr("an ordinary log line")
	broken := sl.LogRecords().AppendEmpty()
	broken.SetEventName(EventStarted)
	broken.Attributes().PutStr(AttrUsed, "not a map")
	events, rejected := FromLogs(logs)
	require.Len(t, events, 1)
	require.Len(t, rejected, 2)
	require.ErrorIs(t, rejected[0].Err, ErrNotTaskEvent)
	require.ErrorContains(t, rejected[1].Err, `used: "not a map" is not a map`)
}

func TestNormalize(t *testing.T) {
	deep := any("x")
	for range 1000 {
		deep = []any{deep}
	}
	assert.Contains(t, JSON(Normalize(deep)), KeyCut)
	assert.Equal(t, map[string]any{"1": "a", "true": "b", "k": int64(2)}, Normalize(map[any]any{1: "a", true: "b", "k": uint8(2)}))
	assert.Equal(t, `{"$int":"18446744073709551615"}`, JSON(Normalize(uint64(math.MaxUint64))))
	assert.Equal(t, "a\uFFFDb", Normalize("a\xffb"))
	assert.Equal(t, `{"$object":{"type":"chan int"}}`, JSON(make(chan int)))
	_, err := DecodeJSON([]byte(strings.Repeat("[", 500) + strings.Repeat("]", 500)))
	require.ErrorContains(t, err, "nested deeper")
}

func TestLeaves(t *testing.T) {
	got := Leaves(map[string]any{
		"m":    int64(1),
		"a":    map[string]any{"b": 2.0, "e": map[string]any{}},
		"a.b":  3.0,
		"list": []any{int64(1), "x"},
		"objs": []any{map[string]any{"k": int64(1)}, map[string]any{"k": int64(2), "j": nil}},
		"cut":  map[string]any{KeyCut: map[string]any{"length": int64(5)}},
		"esc":  map[string]any{KeyMap: map[string]any{"$x": int64(4)}},
		"none": []any{},
	})
	assert.Equal(t, map[string]any{
		"a.b": []any{2.0, 3.0}, "m": int64(1), "a.e": map[string]any{}, "list": []any{int64(1), "x"}, "objs.k": []any{int64(1), int64(2)},
		"objs.j": []any{nil}, "cut": map[string]any{KeyCut: map[string]any{"length": int64(5)}}, "esc.$x": int64(4), "none": []any{},
	}, got)
}

// TestCanonicalIsTheWireForm: the encoder that makes no wire form must follow it to the byte.
func TestCanonicalIsTheWireForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, e := range []*Event{fullEvents().Draw(t, "full"), events().Draw(t, "event")} {
			require.Equal(t, JSON(e.Wire()), string(e.canonical()))
		}
	})
}
