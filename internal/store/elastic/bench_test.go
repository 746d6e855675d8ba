package elastic

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
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
	host := fmt.Sprintf("node-%d", i%16)
	return &task.Event{
		Name: task.EventFinished, Time: int64(i + 1), Kind: "dask", Scope: "Scheduler-1", Key: fmt.Sprintf("train-%d", i),
		Attempt: 1, Facet: "worker", Status: task.StatusFinished, Campaign: fmt.Sprintf("c%d", i%4), WorkflowID: fmt.Sprintf("w%d", i%40),
		Activity: "train", StartedAt: 1.7e18 + int64(i)*1e6, EndedAt: 1.7e18 + int64(i)*1e6 + rng.Int64N(1e9),
		Used:       map[string]any{"layers": rng.Int64N(8), "learning_rate": rng.Float64(), "optimizer": []string{"sgd", "adam"}[i%2], "max_epochs": int64(10)},
		Generated:  map[string]any{"loss": rng.Float64(), "accuracy": rng.Float64()},
		Resource:   map[string]any{"host.name": host},
		ObserverID: host, Seq: int64(i/16 + 1),
	}
}

// claiming gives every task a dataset that it used and a model that it generated.
func claiming(batches [][]*task.Event) [][]*task.Event {
	for _, events := range batches {
		for _, e := range events {
			e.Claims = []task.Claim{
				{Role: task.Used, Entity: "file:/data/train.parquet", Evidence: "path", Confidence: 1, Field: "data"},
				{Role: task.Generated, Entity: "file:/models/" + e.Key, Evidence: "path", Confidence: 1, Field: "model"},
			}
		}
	}
	return batches
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

// BenchmarkWrite compares the store with a bare loop that sends ready-made documents to indices with the same mappings, in
// requests of the best size, the best number of them at a time. of-tasks is the ratio to a loop that sends the documents of
// the tasks alone; of-all that to one that sends the claims, too. The store writes its observers besides.
func BenchmarkWrite(b *testing.B) {
	for _, with := range []struct {
		name    string
		batches [][]*task.Event
	}{{"tasks", trainings(benchTasks())}, {"claims", claiming(trainings(benchTasks()))}} {
		for _, kind := range elastictest.Kinds {
			b.Run(with.name+"/"+kind, func(b *testing.B) {
				o := Options{Endpoints: []string{servers.URL(b, kind)}}
				writeAll(b, o, with.batches[:min(5, len(with.batches))]) // warm
				onlyTasks, all := documents(b, o, with.batches)
				best := bestShape(b, o, onlyTasks)
				var store, bare, bareAll time.Duration
				for range b.N {
					bare += bareLoop(b, o, onlyTasks, best)
					store += writeAll(b, o, with.batches)
					if len(all) > len(onlyTasks) {
						bareAll += bareLoop(b, o, all, best)
					}
				}
				n := float64(benchTasks() * b.N)
				b.ReportMetric(n/store.Seconds(), "tasks/s")
				b.ReportMetric(n/bare.Seconds(), "bare/s")
				b.ReportMetric(bare.Seconds()/store.Seconds(), "of-tasks")
				if bareAll > 0 {
					b.ReportMetric(bareAll.Seconds()/store.Seconds(), "of-all")
				}
			})
		}
	}
}

func writeAll(b *testing.B, o Options, batches [][]*task.Event) time.Duration {
	s, _ := fresh(b, o)
	require.NoError(b, s.ready(b.Context()))
	start := time.Now()
	inParallel(benchCallers, batches, func(events []*task.Event) {
		if _, err := s.Write(context.Background(), events); err != nil {
			b.Error(err)
		}
	})
	took := time.Since(start)
	requests, bytes := s.pace.now()
	b.Logf("%s: %s, at last %d requests of %d KiB", b.Name(), took, requests, bytes>>10)
	return took
}

func inParallel[T any](callers int, list []T, f func(T)) {
	work := make(chan T)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for e := range work {
				f(e)
			}
		})
	}
	for _, e := range list {
		work <- e
	}
	close(work)
	wg.Wait()
}

// documents are what the store makes of the events, by the middle of their index's name.
func documents(b *testing.B, o Options, batches [][]*task.Event) (onlyTasks, all []operation) {
	s, _ := fresh(b, o)
	require.NoError(b, s.ready(b.Context()))
	for _, events := range batches {
		c := &call{batch: view.NewBatch()}
		for _, e := range events {
			require.NoError(b, c.batch.Add(&c.rejected, e))
		}
		require.NoError(b, s.prepare(b.Context(), c))
		for _, id := range c.batch.Order {
			p := c.ready[id]
			doc, _ := p.row.body(&s.fields, p.encoded, false)
			op := operation{verb: "create", index: tasks, id: id, body: doc}
			onlyTasks, all = append(onlyTasks, op), append(all, op)
			for _, e := range s.claimEntries(id, c.batch.Tasks[id]) {
				doc, err := e.body(false)
				require.NoError(b, err)
				all = append(all, operation{verb: "create", index: claims, id: e.id, body: doc})
			}
		}
	}
	return onlyTasks, all
}

// shape is how a bare loop sends its documents.
type shape struct{ documents, requests int }

func bestShape(b *testing.B, o Options, docs []operation) (best shape) {
	least := time.Duration(math.MaxInt64)
	for _, try := range []shape{{500, 4}, {1000, 2}, {1000, 4}, {2000, 2}, {4000, 2}} {
		if took := bareLoop(b, o, docs, try); took < least {
			least, best = took, try
		}
	}
	b.Logf("%s: the bare loop is the fastest with %+v", b.Name(), best)
	return best
}

// bareLoop sends documents to fresh indices. The requests are made before.
func bareLoop(b *testing.B, o Options, docs []operation, how shape) time.Duration {
	s, _ := fresh(b, o)
	require.NoError(b, s.ready(b.Context()))
	names := map[string]bool{}
	for _, events := range trainings(min(100, benchTasks())) {
		for _, e := range events {
			state := &task.State{}
			state.Apply(e)
			makeRow(state).newFields(names)
		}
	}
	require.NoError(b, s.fields.admit(b.Context(), s, names))
	var bodies [][]byte
	for part := range slices.Chunk(docs, how.documents) {
		var body []byte
		for _, op := range part {
			op.index = s.index(op.index)
			body = op.append(body)
		}
		bodies = append(bodies, body)
	}
	query := url.Values{"filter_path": {"errors"}}
	start := time.Now()
	inParallel(how.requests, bodies, func(body []byte) {
		var answer struct{ Errors bool }
		err := s.client.do(context.Background(), request{method: http.MethodPost, path: "/_bulk", query: query, body: ndjson(body)}, &answer)
		if err != nil || answer.Errors {
			b.Error(err, answer.Errors)
		}
	})
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
