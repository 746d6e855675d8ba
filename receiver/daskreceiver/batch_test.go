package daskreceiver

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelcol-mida/otelcol-mida/internal/journal"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver/internal/metadatatest"
)

// What a journal holds goes on in requests of at most max_events, and the present values are metrics.
func TestBatchBoundsRequestsAndIsMeasured(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "journal")
	w, err := journal.NewWriter(journal.WriterOptions{Directory: directory, Observer: "test-1"})
	require.NoError(t, err)
	defer w.Close()
	for i := range 25 {
		require.NoError(t, w.Write(map[string]any{
			"event": "mida.task.finished", "time": time.Now().UnixNano(), "seq": i + 1, "kind": "dask", "scope": "s",
			"key": fmt.Sprintf("k-%d", i), "attempt": 1, "facet": "worker", "status": "FINISHED",
		}))
	}
	var mu sync.Mutex
	var requests []int
	next, err := consumer.NewLogs(func(_ context.Context, l plog.Logs) error {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, l.LogRecordCount())
		return nil
	})
	require.NoError(t, err)
	r := startReceiverTo(t, next, func(c *Config) {
		c.Journal.Directory = directory
		c.Batch = observer.Batch{MinInterval: time.Minute, MaxInterval: time.Minute, MaxEvents: 10}
	})
	require.Eventually(t, func() bool { return r.rcv.(*daskReceiver).sender.LastRequest() == 5 }, patience, 5*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, []int{10, 10, 5}, requests)
	metadatatest.AssertEqualReceiverDaskBatchEvents(t, r.tel, []metricdata.DataPoint[int64]{{Value: 5}}, metricdatatest.IgnoreTimestamp())
	got, err := r.tel.GetMetric("otelcol_receiver_dask_batch_interval")
	require.NoError(t, err)
	points := got.Data.(metricdata.Gauge[float64]).DataPoints
	require.Len(t, points, 1)
	assert.InDelta(t, time.Minute.Seconds(), points[0].Value, 30, "a minute, less what the delivery took")
}
