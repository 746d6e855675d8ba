package taskstoreexporter

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/extension/taskstore"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic/elastictest"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// BenchmarkSenders sends requests of one event from many senders at once, each of which waits for its yes before it sends
// the next: what many small clients do. "requests/write" is how many of them shared a transaction or a bulk.
func BenchmarkSenders(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		for _, senders := range []int{1, 50, 500} {
			sc := taskstore.StoreConfig{SQLite: &taskstore.SQLiteConfig{Path: filepath.Join(b.TempDir(), "mida.db")}}
			smallRequests(b, sc, senders, min(10_000, 1_000*senders))
		}
	})
	b.Run(elastictest.OpenSearch, func(b *testing.B) {
		var servers elastictest.Servers
		b.Cleanup(servers.Stop)
		endpoints := []string{servers.URL(b, elastictest.OpenSearch)}
		for _, senders := range []int{1, 50, 500} {
			sc := taskstore.StoreConfig{Elasticsearch: &taskstore.ElasticsearchConfig{
				Endpoints: endpoints, IndexPrefix: fmt.Sprintf("bench-%d-%d", senders, time.Now().UnixNano()),
			}}
			smallRequests(b, sc, senders, min(5_000, 100*senders))
		}
	})
}

func smallRequests(b *testing.B, sc taskstore.StoreConfig, senders, requests int) {
	b.Run(fmt.Sprint("senders=", senders), func(b *testing.B) {
		h := hostWith(b, sc)
		e, s := newExporter(b, h), storeOf(b, h)
		first, err := s.Query(b.Context(), everything)
		require.NoError(b, err)
		counted := s.(store.Counted)
		var next atomic.Int64
		next.Store(first.Total)
		var mu sync.Mutex
		var waits []time.Duration
		send := func(end int64) {
			var own []time.Duration
			for i := next.Add(1) - 1; i < end; i = next.Add(1) - 1 {
				began := time.Now()
				if err := e.ConsumeLogs(context.Background(), task.ToLogs([]*task.Event{training(int(i))})); err != nil {
					b.Error(err)
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, own...)
		}
		before, started := counted.Counters().Transactions, time.Now()
		for range b.N {
			end := next.Load() + int64(requests)
			var wg sync.WaitGroup
			for range senders {
				wg.Go(func() { send(end) })
			}
			wg.Wait()
			next.Store(end)
		}
		took, done := time.Since(started), len(waits)
		writes := counted.Counters().Transactions - before
		require.EqualValues(b, first.Total+int64(done), total(b, s))
		slices.Sort(waits)
		b.ReportMetric(float64(done)/took.Seconds(), "requests/s")
		b.ReportMetric(float64(done)/float64(writes), "requests/write")
		b.ReportMetric(1e3*waits[done/2].Seconds(), "p50-ms")
		b.ReportMetric(1e3*waits[done*95/100].Seconds(), "p95-ms")
		b.ReportMetric(0, "ns/op")
	})
}
