package elastic

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic/elastictest"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// benchTasks is the number of tasks; MIDA_BENCH_TASKS changes it.
func benchTasks() int {
	if n, err := strconv.Atoi(os.Getenv("MIDA_BENCH_TASKS")); err == nil && n > 0 {
		return n
	}
	return 20_000
}

const (
	benchBatch   = 1_000 // events of one Write, as receivers send them
	benchCallers = 8     // Writes at a time, as the exporter has them
)

func training(i int, rng *rand.Rand) *task.Event {
	return &task.Event{
		Name: task.EventFinished, Time: int64(i + 1), Kind: "dask", Scope: "Scheduler-1", Key: fmt.Sprintf("train-%d", i),
		Attempt: 1, Facet: "worker", Status: task.StatusFinished, Campaign: fmt.Sprintf("c%d", i%4), WorkflowID: fmt.Sprintf("w%d", i%40),
		Activity: "train", StartedAt: 1.7e18 + int64(i)*1e6, EndedAt: 1.7e18 + int64(i)*1e6 + rng.Int64N(1e9),
		Used:      map[string]any{"layers": rng.Int64N(8), "learning_rate": rng.Float64(), "optimizer": []string{"sgd", "adam"}[i%2], "max_epochs": int64(10)},
		Generated: map[string]any{"loss": rng.Float64(), "accuracy": rng.Float64()},
		Resource:  map[string]any{"host.name": fmt.Sprintf("node-%d", i%16)},
	}
}

func trainings(n int) (batches [][]*task.Event) {
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		if i%benchBatch == 0 {
			batches = append(batches, nil)
		}
		batches[len(batches)-1] = append(batches[len(batches)-1], training(i, rng))
	}
	return batches
}

// BenchmarkWrite compares the store with a bare loop that sends the same documents, made before, in bulk requests of the
// same size to an index with the same mapping.
func BenchmarkWrite(b *testing.B) {
	for _, kind := range elastictest.Kinds {
		batches := trainings(benchTasks())
		b.Run(kind, func(b *testing.B) {
			o := Options{Endpoints: []string{servers.URL(b, kind)}}
			writeAll(b, o, batches[:min(5, len(batches))]) // warm
			var store, bare time.Duration
			for range b.N {
				bare += bareLoop(b, o, batches)
				store += writeAll(b, o, batches)
			}
			n := float64(benchTasks() * b.N)
			b.ReportMetric(n/store.Seconds(), "tasks/s")
			b.ReportMetric(n/bare.Seconds(), "bare/s")
			b.ReportMetric(bare.Seconds()/store.Seconds(), "ratio")
		})
	}
}

func writeAll(b *testing.B, o Options, batches [][]*task.Event) time.Duration {
	s, _ := fresh(b, o)
	require.NoError(b, s.ready(b.Context()))
	start := time.Now()
	work := make(chan []*task.Event)
	var wg sync.WaitGroup
	for range benchCallers {
		wg.Go(func() {
			for events := range work {
				if _, err := s.Write(context.Background(), events); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, events := range batches {
		work <- events
	}
	close(work)
	wg.Wait()
	return time.Since(start)
}

func bareLoop(b *testing.B, o Options, batches [][]*task.Event) time.Duration {
	s, _ := fresh(b, o)
	require.NoError(b, s.ready(b.Context()))
	var bodies [][]byte
	for _, events := range batches {
		c := &call{batch: view.NewBatch()}
		for _, e := range events {
			require.NoError(b, c.batch.Add(&c.rejected, e))
		}
		require.NoError(b, s.prepare(b.Context(), c))
		var body bytes.Buffer
		for id, p := range c.ready {
			doc, _ := p.row.body(&s.fields, p.encoded, false)
			op := operation{verb: "create", index: s.index(tasks), id: id, body: doc}
			body.Write(op.append(nil))
		}
		bodies = append(bodies, body.Bytes())
	}
	start := time.Now()
	work := make(chan []byte)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for body := range work {
				err := s.client.do(context.Background(), request{method: http.MethodPost, path: "/_bulk", body: ndjson(body)}, nil)
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, body := range bodies {
		work <- body
	}
	close(work)
	wg.Wait()
	return time.Since(start)
}

func BenchmarkQuery(b *testing.B) {
	for _, kind := range elastictest.Kinds {
		b.Run(kind, func(b *testing.B) {
			s, _ := fresh(b, Options{Endpoints: []string{servers.URL(b, kind)}})
			for _, events := range trainings(benchTasks()) {
				write(b, s, events...)
			}
			for _, q := range []struct{ name, body string }{
				{"Listing1", `{"projection": ["used.layers", "generated.loss"], "aggregation": [["min", "generated.loss"]], "sort": [["used.layers", "ascending"]]}`},
				{"LeafFilter", `{"filter": {"generated.loss": {"$lt": 0.001}}, "projection": ["task_id", "used.layers"], "limit": 10}`},
				{"CountByStatus", `{"projection": ["status"], "aggregation": [["count", "id"]]}`},
				{"FirstPage", `{"limit": 100}`},
				{"Latest", `{"sort": [["ended_at", "descending"]], "limit": 10}`},
			} {
				parsed, err := query.ParseJSON([]byte(q.body))
				require.NoError(b, err)
				b.Run(q.name, func(b *testing.B) {
					for range b.N {
						_, err := s.Query(b.Context(), parsed)
						require.NoError(b, err)
					}
				})
			}
			b.Run("Campaigns", func(b *testing.B) {
				for range b.N {
					_, err := s.Campaigns(b.Context())
					require.NoError(b, err)
				}
			})
		})
	}
}
