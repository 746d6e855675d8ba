package mlflowreceiver

import (
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelcol-mida/otelcol-mida/receiver/mlflowreceiver/internal/metadatatest"
)

func TestPollIntervalReplacesTheBoundsOfBatch(t *testing.T) {
	x := start(t, filepath.Join(t.TempDir(), "absent.db"), consumertest.NewNop(), func(c *Config) { c.PollInterval = 2 * time.Second }, nil)
	metadatatest.AssertEqualReceiverMlflowBatchInterval(t, x.tel, []metricdata.DataPoint[float64]{{Value: 2}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualReceiverMlflowBatchEvents(t, x.tel, []metricdata.DataPoint[int64]{{Value: 0}}, metricdatatest.IgnoreTimestamp())
}
