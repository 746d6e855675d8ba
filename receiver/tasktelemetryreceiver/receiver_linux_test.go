package tasktelemetryreceiver

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/processor/tasktelemetryprocessor"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasktelemetryreceiver/internal/metadata"
)

const patience = time.Minute

func TestWhatTheProcessorSamples(t *testing.T) {
	factory := tasktelemetryprocessor.NewFactory()
	id := component.NewIDWithName(factory.Type(), "here")
	set := processortest.NewNopSettings(factory.Type())
	set.ID = id
	p, err := factory.CreateLogs(t.Context(), set, factory.CreateDefaultConfig(), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	ctx := context.WithoutCancel(t.Context())
	defer func() { assert.NoError(t, p.Shutdown(ctx)) }()

	cfg := createDefaultConfig().(*Config)
	cfg.Processor, cfg.CollectionInterval, cfg.InitialDelay = id, 20*time.Millisecond, 0
	out := &consumertest.MetricsSink{}
	r, err := NewFactory().CreateMetrics(t.Context(), receivertest.NewNopSettings(metadata.Type), cfg, out)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	defer func() { assert.NoError(t, r.Shutdown(ctx)) }()
	require.Eventually(t, func() bool {
		for _, m := range out.AllMetrics() {
			for _, rm := range m.ResourceMetrics().All() {
				for _, one := range rm.ScopeMetrics().At(0).Metrics().All() {
					if one.Name() == "system.memory.usage" {
						return one.Sum().DataPoints().At(0).DoubleValue() > 0
					}
				}
			}
		}
		return false
	}, patience, 20*time.Millisecond)
}

// Without its processor there is nothing to tell, and it says why.
func TestWithoutTheProcessor(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	set := receivertest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, cfg.Validate())
	r, err := NewFactory().CreateMetrics(t.Context(), set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, r.Shutdown(context.WithoutCancel(t.Context())))
	require.Equal(t, 1, logs.Len())
	assert.Contains(t, logs.All()[0].ContextMap()["error"], "processor: tasktelemetry is in no pipeline")
}
