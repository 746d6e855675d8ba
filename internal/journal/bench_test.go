package journal

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// BenchmarkReader reads what 8 workers wrote in batches, decoded and with defaults.
func BenchmarkReader(b *testing.B) {
	const workers, batches, batch = 8, 50, 100
	total := 0
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		for w := range workers {
			writer, err := NewWriter(WriterOptions{Directory: dir, Host: testHost, Observer: fmt.Sprint("w.", w), Defaults: map[string]any{
				"kind": "dask", "scope": "Scheduler-1", "resource": map[string]any{"host.name": testHost},
			}})
			require.NoError(b, err)
			for i := range batches {
				events := make([]map[string]any, batch)
				for k := range events {
					events[k] = finished(fmt.Sprint("incr-", w, "-", i, "-", k), i*batch+k+1)
				}
				require.NoError(b, writer.Write(events...))
			}
			require.NoError(b, writer.Close())
		}
		r, err := NewReader(Options{Directory: dir, Host: testHost})
		require.NoError(b, err)
		n := 0
		b.StartTimer()
		err = r.Drain(b.Context(), func(_ context.Context, events []*task.Event) error {
			n += len(events)
			return nil
		})
		require.NoError(b, err)
		require.Equal(b, workers*batches*batch, n)
		total += n
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
}
