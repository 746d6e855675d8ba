package tasktelemetryprocessor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcol-mida/otelcol-mida/internal/gpu"
	"github.com/otelcol-mida/otelcol-mida/internal/samples"
	"github.com/otelcol-mida/otelcol-mida/processor/tasktelemetryprocessor/internal/metadata"
)

// A processor that is in two pipelines samples once, and a task of one knows of those of the other.
func TestPipelinesShareOneSampler(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	set := processortest.NewNopSettings(metadata.Type)
	var both []*pipeline
	for range 2 {
		out := &consumertest.LogsSink{}
		p, err := NewFactory().CreateLogs(t.Context(), set, cfg, out)
		require.NoError(t, err)
		require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
		both = append(both, &pipeline{t: t, p: p, out: out})
	}
	source := samples.Of(set.ID)
	require.NotNil(t, source)
	cmd := run(t, `sleep 600`)
	at := time.Now()
	both[0].send(checkpoint(t, cmd.Process.Pid))
	both[0].send(started("a", at))
	got := both[1].send(finished("b", at, time.Now()))
	require.Len(t, got, 1)
	assert.Contains(t, got[0].TelemetryCoverage["process.memory.usage"], "shared_by=2")

	ctx := context.WithoutCancel(t.Context())
	require.NoError(t, both[0].p.Shutdown(ctx))
	assert.NotNil(t, samples.Of(set.ID), "the other one goes on")
	assert.Len(t, both[1].send(finished("c", at, time.Now())), 1)
	require.NoError(t, both[1].p.Shutdown(ctx))
	assert.Nil(t, samples.Of(component.NewID(metadata.Type)))
}

func TestMetrics(t *testing.T) {
	p := startPipeline(t, nil)
	cmd := run(t, `sleep 600`)
	p.send(checkpoint(t, cmd.Process.Pid))
	names := map[string]pmetric.Metric{}
	require.Eventually(t, func() bool {
		source := samples.Of(component.NewID(metadata.Type))
		require.NotNil(t, source)
		for _, rm := range source.Metrics(time.Now()).ResourceMetrics().All() {
			pid, ofProcess := rm.Resource().Attributes().Get("process.pid")
			if ofProcess {
				assert.Equal(t, int64(cmd.Process.Pid), pid.Int())
			}
			assert.NotEmpty(t, textOf(rm.Resource().Attributes(), "host.name"))
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				names[m.Name()] = m
			}
		}
		return names["system.cpu.utilization"] != (pmetric.Metric{})
	}, patience, 50*time.Millisecond)
	for name, of := range map[string]pmetric.MetricType{
		"system.cpu.utilization": pmetric.MetricTypeGauge, "system.memory.usage": pmetric.MetricTypeSum, "system.memory.limit": pmetric.MetricTypeSum,
		"process.cpu.time": pmetric.MetricTypeSum, "process.memory.usage": pmetric.MetricTypeSum,
	} {
		require.Contains(t, names, name)
		assert.Equal(t, of, names[name].Type(), name)
	}
	assert.True(t, names["process.cpu.time"].Sum().IsMonotonic())
	assert.False(t, names["process.memory.usage"].Sum().IsMonotonic())
	assert.Positive(t, names["process.memory.usage"].Sum().DataPoints().At(0).DoubleValue())
	assert.NotZero(t, names["process.memory.usage"].Sum().DataPoints().At(0).Timestamp())
}

// A GPU's metrics say which it is; what it cannot tell is left out.
func TestMetricsOfAGPU(t *testing.T) {
	n := newNode(t)
	one := aGPU("a", 300, 1000)
	one.Name = "NVIDIA H100"
	n.at = time.Now().UnixNano()
	n.read([]gpu.Device{one})
	m := &metrics{out: pmetric.NewMetrics(), now: pcommon.NewTimestampFromTime(time.Now())}
	m.resource()
	n.cards.metrics(m)
	assert.InDelta(t, 300, m.byName["hw.power"].Gauge().DataPoints().At(0).DoubleValue(), 0)
	assert.Equal(t, map[string]any{"hw.type": "gpu", "hw.id": "a", "hw.name": "NVIDIA H100", "hw.vendor": "nvidia"},
		m.byName["hw.energy"].Sum().DataPoints().At(0).Attributes().AsRaw())
	assert.NotContains(t, m.byName, "hw.temperature")
	assert.Contains(t, m.byName, "hw.gpu.memory.limit")
}
