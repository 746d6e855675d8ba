package task

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"pgregory.net/rapid"
)

func TestSpanRoundTrip(t *testing.T) {
	for _, status := range []Status{StatusFinished, StatusFailed, StatusCancelled} {
		e := fullEvent()
		e.Name, e.Status = EventForStatus(status), status
		e.TraceID, e.SpanID = [16]byte{}, [8]byte{}
		e.Time, e.Observed = e.EndedAt, 0
		require.True(t, e.HasSpan())
		span := ptrace.NewSpan()
		e.ToSpan(span, e.DeclaredLinks())
		require.Equal(t, "train", span.Name())
		require.Equal(t, e.Trace(), [16]byte(span.TraceID()))
		require.Equal(t, 1, span.Links().Len(), "only edges of the same execution have a known trace")
		got, err := FromSpan(span, e.Resource, SpanRules{})
		require.NoError(t, err)
		// What a span does not carry.
		e.Parent, e.Dependencies, e.Refs, e.Paths, e.Claims, e.Tags, e.Record = nil, nil, nil, nil, nil, nil, nil
		e.TelemetryStart, e.TelemetryEnd, e.TelemetryPeak = nil, nil, nil
		e.TelemetryDelta, e.TelemetryCoverage = nil, nil
		e.Stdout, e.Stderr, e.ObserverID, e.Seq = "", "", "", 0
		require.Equal(t, e, got)
	}
}

// TestSpanRoundTripProperty: a task that ended comes back from its span with its identity and its ids.
func TestSpanRoundTripProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := endedTasks().Draw(t, "task")
		if !e.HasSpan() {
			t.Fatal("no span")
		}
		span := ptrace.NewSpan()
		e.ToSpan(span, e.DeclaredLinks())
		assert.Equal(t, e.Trace(), [16]byte(span.TraceID()))
		assert.Equal(t, e.AttemptSpan(), [8]byte(span.SpanID()))
		got, err := FromSpan(span, e.Resource, SpanRules{DefaultCampaign: "default", Used: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		assert.Equal(t, e.ID(), got.ID())
		assert.Equal(t, e.Trace(), got.Trace())
		assert.Equal(t, e.AttemptSpan(), got.AttemptSpan())
		e.Time, e.Observed = e.EndedAt, 0
		// What a span does not carry.
		e.Parent, e.Dependencies, e.Refs, e.Paths, e.Claims, e.Tags, e.Record = nil, nil, nil, nil, nil, nil, nil
		e.TelemetryStart, e.TelemetryEnd, e.TelemetryPeak = nil, nil, nil
		e.TelemetryDelta, e.TelemetryCoverage = nil, nil
		e.Stdout, e.Stderr, e.ObserverID, e.Seq = "", "", "", 0
		assert.Equal(t, e, got)
	})
}

func TestSpansOfOneEventHaveTheSameBytes(t *testing.T) {
	e := fullEvent()
	e.Attributes = map[string]any{"exception.type": "E", "exception.message": "m", "exception.stacktrace": "s", "exception.note": "n"}
	bytes := func() []byte {
		traces := ptrace.NewTraces()
		e.ToSpan(traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty(), nil)
		data, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
		require.NoError(t, err)
		return data
	}
	want := bytes()
	for range 20 {
		require.Equal(t, want, bytes())
	}
}

func TestReferencesAreDeclaredLinks(t *testing.T) {
	e := &Event{Kind: "dask", Scope: "s", Key: "publish", Refs: map[string]string{"best": "train", "again": "train"}}
	want := []Link{{TraceID: e.Trace(), SpanID: Ref{Kind: "dask", Scope: "s", Key: "train"}.SpanID(), Evidence: "declared"}}
	assert.Equal(t, want, e.DeclaredLinks())
	e.Dependencies = []Ref{{Kind: "dask", Scope: "s", Key: "train"}}
	assert.Equal(t, want, e.DeclaredLinks(), "and once if both facets say so")
}

func TestAttemptsHaveTheirOwnSpans(t *testing.T) {
	failed := &Event{Kind: "dask", Scope: "s", Key: "k", Attempt: 3, Status: StatusFailed}
	again := &Event{Kind: "dask", Scope: "s", Key: "k", Attempt: 4, Status: StatusFailed}
	finished := &Event{Kind: "dask", Scope: "s", Key: "k", Attempt: 5, Status: StatusFinished}
	assert.NotEqual(t, failed.AttemptSpan(), again.AttemptSpan())
	assert.Equal(t, finished.Ref().SpanID(), finished.AttemptSpan())
}

func TestForeignSpanKeepsItsIDs(t *testing.T) {
	span := ptrace.NewSpan()
	span.SetName("simulate")
	span.SetTraceID([16]byte{1, 2})
	span.SetSpanID([8]byte{3})
	span.SetParentSpanID([8]byte{4})
	span.SetStartTimestamp(5)
	span.SetEndTimestamp(9)
	span.Status().SetCode(ptrace.StatusCodeError)
	span.Attributes().PutInt("mida.used.layers", 2)
	span.Attributes().PutStr("http.route", "/x")
	link := span.Links().AppendEmpty()
	link.SetTraceID([16]byte{7})
	link.SetSpanID([8]byte{8})
	ev := span.Events().AppendEmpty()
	ev.SetName("exception")
	ev.Attributes().PutStr("exception.type", "ValueError")
	e, err := FromSpan(span, map[string]any{"service.name": "sim"}, SpanRules{DefaultCampaign: "c", Used: []string{"mida.used.*"}})
	require.NoError(t, err)
	assert.Equal(t, [16]byte{1, 2}, e.Trace())
	assert.Equal(t, [8]byte{3}, e.Span())
	assert.Equal(t, StatusFailed, e.Status)
	assert.Equal(t, "c", e.Campaign)
	assert.Equal(t, "sim", e.WorkflowName)
	assert.Equal(t, map[string]any{"layers": int64(2)}, e.Used)
	assert.Equal(t, map[string]any{"http.route": "/x", "exception.type": "ValueError"}, e.Attributes)
	assert.Equal(t, "0400000000000000", e.Parent.Key)
	assert.Equal(t, []Ref{{KindOTel, "07000000000000000000000000000000", "0800000000000000"}}, e.Dependencies)
	// and through a log record
	events, rejected := FromLogs(ToLogs([]*Event{e}))
	require.Empty(t, rejected)
	assert.Equal(t, e, events[0])

	empty := ptrace.NewSpan()
	_, err = FromSpan(empty, nil, SpanRules{})
	require.ErrorContains(t, err, "want both")
}
