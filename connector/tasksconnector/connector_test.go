package tasksconnector

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelcol-mida/otelcol-mida/connector/tasksconnector/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/connector/tasksconnector/internal/metadatatest"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func finished(key string) *task.Event {
	return &task.Event{
		Name: task.EventFinished, Kind: "dask", Scope: "S", Key: key, Attempt: 1, Facet: "worker", Status: task.StatusFinished,
		StartedAt: 10, EndedAt: 20, Time: 20, Activity: "train", Used: map[string]any{"x": int64(1)},
		Dependencies: []task.Ref{{Kind: "dask", Scope: "S", Key: "source"}}, Resource: map[string]any{"host.name": "h"},
	}
}

func TestFinishedTasksBecomeSpansOnce(t *testing.T) {
	sink := new(consumertest.TracesSink)
	set := connectortest.NewNopSettings(metadata.Type)
	c, err := NewFactory().CreateLogsToTraces(t.Context(), set, createDefaultConfig(), sink)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	running := finished("b")
	running.Name, running.Status, running.EndedAt = task.EventStarted, task.StatusRunning, 0
	never := finished("c")
	never.Status, never.StartedAt = task.StatusFailed, 0
	batch := task.ToLogs([]*task.Event{finished("a"), running, never, finished("a"), finished("d")})
	require.NoError(t, c.ConsumeLogs(t.Context(), batch))
	require.NoError(t, c.ConsumeLogs(t.Context(), batch))
	require.Equal(t, 2, sink.SpanCount())
	rs := sink.AllTraces()[0].ResourceSpans()
	require.Equal(t, 1, rs.Len())
	span := rs.At(0).ScopeSpans().At(0).Spans().At(0)
	assert.Equal(t, "train", span.Name())
	assert.Equal(t, ptrace.SpanKindInternal, span.Kind())
	assert.EqualValues(t, 10, span.StartTimestamp())
	require.Equal(t, 1, span.Links().Len())
	assert.Equal(t, task.Ref{Kind: "dask", Scope: "S", Key: "source"}.SpanID(), [8]byte(span.Links().At(0).SpanID()))
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestWhatWasNotAcceptedIsSentAgain(t *testing.T) {
	c, err := NewFactory().CreateLogsToTraces(t.Context(), connectortest.NewNopSettings(metadata.Type), createDefaultConfig(),
		consumertest.NewErr(errors.New("backend is away")))
	require.NoError(t, err)
	batch := task.ToLogs([]*task.Event{finished("a")})
	require.Error(t, c.ConsumeLogs(t.Context(), batch))
	require.Error(t, c.ConsumeLogs(t.Context(), batch), "it was not remembered as sent")
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestForeignSpansBecomeTasks(t *testing.T) {
	sink := new(consumertest.LogsSink)
	cfg := createDefaultConfig().(*Config)
	cfg.DefaultCampaign = "c1"
	c, err := NewFactory().CreateTracesToLogs(context.Background(), connectortest.NewNopSettings(metadata.Type), cfg, sink)
	require.NoError(t, err)
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "simulation")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for i, kind := range []ptrace.SpanKind{ptrace.SpanKindInternal, ptrace.SpanKindServer} {
		s := spans.AppendEmpty()
		s.SetKind(kind)
		s.SetTraceID([16]byte{1})
		s.SetSpanID([8]byte{byte(i + 1)})
		s.SetName("step")
	}
	spans.AppendEmpty().SetKind(ptrace.SpanKindInternal) // no ids
	require.NoError(t, c.ConsumeTraces(t.Context(), traces))
	require.Equal(t, 1, sink.LogRecordCount())
	events, rejected := task.FromLogs(sink.AllLogs()[0])
	require.Empty(t, rejected)
	assert.Equal(t, "c1", events[0].Campaign)
	assert.Equal(t, "simulation", events[0].WorkflowName)
	assert.Equal(t, "01000000000000000000000000000000", events[0].WorkflowID)
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestSecretsInForeignSpansAreTakenOut(t *testing.T) {
	sink := new(consumertest.LogsSink)
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(t.Context())) }()
	set := connectortest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	cfg := createDefaultConfig().(*Config)
	cfg.Capture.DropActivities = []string{"health*"}
	c, err := NewFactory().CreateTracesToLogs(t.Context(), set, cfg, sink)
	require.NoError(t, err)
	traces := ptrace.NewTraces()
	spans := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for i, name := range []string{"step https://ada:hunter2@host/x", "health check"} {
		s := spans.AppendEmpty()
		s.SetTraceID([16]byte{1})
		s.SetSpanID([8]byte{byte(i + 1)})
		s.SetName(name)
		s.Attributes().PutStr("mida.used.dsn", "postgres://ada:hunter2@db/x")
		s.Attributes().PutStr("mida.used.models/best", "/data/m.pkl")
		s.Attributes().PutStr("http.request.header.authorization", "Bearer hunter2hunter2")
		s.Attributes().PutStr("gen_ai.request.prompt", strings.Repeat("x", 10_000))
		event := s.Events().AppendEmpty()
		event.SetName("exception")
		event.Attributes().PutStr("exception.message", "login(password='hunter2')")
	}
	require.NoError(t, c.ConsumeTraces(t.Context(), traces))
	require.NoError(t, c.Shutdown(t.Context()))
	require.Equal(t, 1, sink.LogRecordCount())
	events, rejected := task.FromLogs(sink.AllLogs()[0])
	require.Empty(t, rejected)
	assert.NotContains(t, task.JSON(events[0].Wire()), "hunter2")
	assert.Equal(t, "/data/m.pkl", events[0].Used["models/best"], "* spans a slash")
	assert.Contains(t, events[0].Used["prompt"], task.KeyCut)
	metadatatest.AssertEqualConnectorTasksRedacted(t, tel, []metricdata.DataPoint[int64]{{Value: 4}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualConnectorTasksLeftOut(t, tel, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.String("reason", "activity"))},
		{Value: 1, Attributes: attribute.NewSet(attribute.String("reason", "size"))},
	}, metricdatatest.IgnoreTimestamp())
}

func TestValidate(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, cfg.Validate())
	cfg.SpanKinds = []string{"http"}
	cfg.UsedAttributes = []string{"[a"}
	cfg.Remember = 0
	err := cfg.Validate()
	require.ErrorContains(t, err, `span_kinds: "http" is no span kind; want internal`)
	require.ErrorContains(t, err, `used_attributes: "[a" is no pattern`)
	require.ErrorContains(t, err, `remember: 0; want at least 1`)
}
