package taskstoreexporter

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/processor/provenanceprocessor"
)

const (
	benchTasks   = 50_000
	benchRequest = 1_000
	benchSenders = 4
)

// BenchmarkExporter sends finished tasks that read and write files through the provenance processor and the exporter into
// SQLite. Beside it, as the measure of what could be had, two loops on a bare database that is as durable:
//
//   - "same rows" writes exactly what the store wrote: the same tables and indexes, rows, values and order, in transactions
//     of the same size. "ratio" is our speed relative to it: 1 means that to observe, identify, merge and derive is free.
//   - "one row" writes no more than (id, state) with a unique index on the id.
func BenchmarkExporter(b *testing.B) {
	var ours, same, simple time.Duration
	for range b.N {
		took, content := throughPipeline(b)
		ours += took
		same += content.sameRows(b)
		simple += content.oneRow(b)
	}
	perSecond := func(d time.Duration) float64 { return float64(benchTasks*b.N) / d.Seconds() }
	b.ReportMetric(perSecond(ours), "events/s")
	b.ReportMetric(perSecond(same), "same-rows-events/s")
	b.ReportMetric(perSecond(simple), "one-row-events/s")
	b.ReportMetric(perSecond(ours)/perSecond(same), "ratio")
	b.ReportMetric(perSecond(ours)/perSecond(simple), "one-row-ratio")
	b.ReportMetric(0, "ns/op")
}

// training is a finished task whose files make claims.
func training(i int) *task.Event {
	e := event(i)
	image, model := fmt.Sprintf("/data/in/lattice_%05d.npz", i%5_000), fmt.Sprintf("/data/out/model_%d.pkl", i)
	e.Used["image"], e.Generated["model_path"] = image, model
	e.Paths = map[string]task.PathInfo{
		image: {Real: image, ModTime: 500_000_000, Size: 1 << 20}, model: {Real: model, ModTime: 2_500_000_000, Size: 1 << 10},
	}
	e.WorkflowID, e.WorkflowName = fmt.Sprint("w", i%40), "search"
	e.ObserverID, e.Seq = "dask-worker@node-1", int64(i+1)
	return e
}

// throughPipeline returns how long our way took, and what is in the database after it.
func throughPipeline(b *testing.B) (time.Duration, *contents) {
	h, dir := newHost(b)
	p := newProvenance(b, newExporter(b, h))
	queue := make(chan plog.Logs, benchTasks/benchRequest)
	for first := 0; first < benchTasks; first += benchRequest {
		events := make([]*task.Event, benchRequest)
		for i := range events {
			events[i] = training(first + i)
		}
		queue <- task.ToLogs(events)
	}
	close(queue)
	started := time.Now()
	var senders sync.WaitGroup
	for range benchSenders {
		senders.Go(func() {
			for r := range queue {
				if err := p.ConsumeLogs(context.Background(), r); err != nil {
					b.Error(err)
				}
			}
		})
	}
	senders.Wait()
	took := time.Since(started)
	s := storeOf(b, h)
	require.EqualValues(b, benchTasks, total(b, s))
	counted, ok := s.(store.Counted)
	require.True(b, ok)
	c := readContents(b, filepath.Join(dir, "mida.db"))
	c.perTransaction = benchTasks / int(counted.Counters().Transactions)
	require.Len(b, c.rows["claims"], 2*benchTasks, "every task used a file and wrote one")
	return took, c
}

func newProvenance(b *testing.B, next consumer.Logs) consumer.Logs {
	factory := provenanceprocessor.NewFactory()
	p, err := factory.CreateLogs(b.Context(), processortest.NewNopSettings(factory.Type()), factory.CreateDefaultConfig(), next)
	require.NoError(b, err)
	require.NoError(b, p.Start(b.Context(), componenttest.NewNopHost()))
	b.Cleanup(func() { require.NoError(b, p.Shutdown(context.Background())) })
	return p
}
