package elastic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
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
// the tasks alone; of-all that to one that sends the claims, too. The store writes its observers besides. cpu-of-tasks and
// cpu-of-all are the same ratios of the CPU time of this process and the server, which others on the machine disturb less.
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
				var storeCPU, bareCPU, bareAllCPU time.Duration
				for range b.N {
					start := cpuTime(b, o)
					bare += bareLoop(b, o, onlyTasks, best)
					bareCPU, start = bareCPU+cpuTime(b, o)-start, cpuTime(b, o)
					store += writeAll(b, o, with.batches)
					storeCPU, start = storeCPU+cpuTime(b, o)-start, cpuTime(b, o)
					if len(all) > len(onlyTasks) {
						bareAll += bareLoop(b, o, all, best)
						bareAllCPU += cpuTime(b, o) - start
					}
				}
				n := float64(benchTasks() * b.N)
				b.ReportMetric(n/store.Seconds(), "tasks/s")
				b.ReportMetric(n/bare.Seconds(), "bare/s")
				b.ReportMetric(bare.Seconds()/store.Seconds(), "of-tasks")
				b.ReportMetric(bareCPU.Seconds()/storeCPU.Seconds(), "cpu-of-tasks")
				if bareAll > 0 {
					b.ReportMetric(bareAllCPU.Seconds()/storeCPU.Seconds(), "cpu-of-all")
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

// cpuTime is the CPU time of this process and of the server.
func cpuTime(b *testing.B, o Options) time.Duration {
	s := openStore(b, o)
	var answer struct {
		Nodes map[string]struct {
			Process struct {
				CPU struct {
					Millis int64 `json:"total_in_millis"`
				}
			}
		}
	}
	// Servers look at it once a second.
	time.Sleep(1100 * time.Millisecond)
	require.NoError(b, s.client.do(b.Context(), request{method: http.MethodGet, path: "/_nodes/stats/process"}, &answer))
	var own syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &own))
	total := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	for _, n := range answer.Nodes {
		total += time.Duration(n.Process.CPU.Millis) * time.Millisecond
	}
	return total
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

// BenchmarkPrepare is what the store itself does for a task: from the event to the document.
func BenchmarkPrepare(b *testing.B) {
	s := &Store{opts: Options{}.withDefaults()}
	s.fields.learn(indexMapping{})
	events := trainings(benchBatch)[0]
	for _, e := range events {
		state := &task.State{}
		state.Apply(e)
		for _, l := range makeRow(state).leaves {
			s.fields.known[l.field] = true
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		c := &call{batch: view.NewBatch()}
		for _, e := range events {
			require.NoError(b, c.batch.Add(&c.rejected, e))
		}
		require.NoError(b, s.prepare(b.Context(), c))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*benchBatch), "µs/task")
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

// BenchmarkQuery asks a view of benchTasks tasks; each way that a query may go is beside the stream of all that may match.
func BenchmarkQuery(b *testing.B) {
	for _, kind := range elastictest.Kinds {
		b.Run(kind, func(b *testing.B) {
			s, _ := fresh(b, Options{Endpoints: []string{servers.URL(b, kind)}})
			batches := claiming(trainings(benchTasks()))
			inParallel(benchCallers, batches, func(events []*task.Event) {
				if _, err := s.Write(context.Background(), events); err != nil {
					b.Error(err)
				}
			})
			for _, q := range []struct{ name, body string }{
				{"Listing1", `{"projection": ["used.layers", "generated.loss"], "aggregation": [["min", "generated.loss"]], "sort": [["used.layers", "ascending"]]}`},
				{"Listing1Filtered", `{"filter": {"campaign_id": "c1", "generated.accuracy": {"$gt": 0.5}}, "projection": ["used.layers", "generated.loss"], "aggregation": [["min", "generated.loss"]], "sort": [["used.layers", "ascending"]]}`},
				{"CountByStatusAndActivity", `{"projection": ["status", "activity_id"], "aggregation": [["count", "id"]]}`},
				{"LeafFilter", `{"filter": {"generated.loss": {"$lt": 0.001}}, "projection": ["task_id", "used.layers"], "limit": 10}`},
				{"Latest", `{"sort": [["ended_at", "descending"]], "limit": 100}`},
				{"Average", `{"projection": ["used.optimizer"], "aggregation": [["avg", "generated.loss"]]}`},
			} {
				parsed, err := query.ParseJSON([]byte(q.body))
				require.NoError(b, err)
				b.Run(q.name, func(b *testing.B) {
					for b.Loop() {
						_, err := s.Query(b.Context(), parsed)
						require.NoError(b, err)
					}
				})
				b.Run(q.name+"/streamed", func(b *testing.B) {
					for b.Loop() {
						streamed(b, s, parsed)
					}
				})
			}
			one := batches[len(batches)/2][0]
			for name, ask := range map[string]func() error{
				"Campaigns": func() error {
					_, err := s.Campaigns(b.Context())
					return err
				},
				"LineageOfOne": func() error {
					_, err1 := s.ClaimsOf(b.Context(), []string{one.ID()})
					_, err2 := s.ClaimsOn(b.Context(), []string{one.Claims[1].Entity}, "")
					_, err3 := s.ClaimsOn(b.Context(), []string{one.Claims[0].Entity}, task.Generated)
					_, err4 := s.Dependents(b.Context(), []string{one.ID()})
					_, err5 := s.Facts(b.Context(), []string{one.ID()})
					return errors.Join(err1, err2, err3, err4, err5)
				},
			} {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						require.NoError(b, ask())
					}
				})
			}
		})
	}
}

// streamed answers a query from the tasks themselves.
func streamed(b *testing.B, s *Store, q *query.Query) {
	p, err := s.snapshot(b.Context(), tasks)
	require.NoError(b, err)
	defer p.close()
	c := &compiler{}
	r := &reader{snapshot: p, q: q, compiler: c, where: c.filter(q.Filter)}
	stream, err := query.NewStream(q)
	require.NoError(b, err)
	require.NoError(b, r.addFlat(b.Context(), stream))
	_, err = stream.Answer()
	require.NoError(b, err)
}
