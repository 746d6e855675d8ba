//go:build unix

package sqlite

import (
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// BenchmarkTrickle writes what observers of short tasks send, into a store that has 100,000 tasks: small requests, a task
// submitted in one and finished in a later one. "cpu-µs/task" is what this process computed for one task.
func BenchmarkTrickle(b *testing.B) {
	const tasks, size, lag = 8_000, 20, 2_000
	s, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "mida.db")})
	require.NoError(b, err)
	defer s.Close(b.Context())
	put := func(facet string, first, n int) {
		batch := make([]*task.Event, n)
		for i := range batch {
			batch[i] = trickled(facet, first+i)
		}
		rejected, err := s.Write(b.Context(), batch)
		if err != nil || len(rejected) > 0 {
			b.Error(err, rejected)
		}
	}
	next := 0
	for ; next < benchTasks(); next += 5_000 {
		put("scheduler", next, 5_000)
		put("worker", next, 5_000)
	}
	measure := func(b *testing.B, round func()) {
		commits, cpu, started := s.Counters().Transactions, cpuTime(), time.Now()
		for range b.N {
			round()
			next += tasks
		}
		done := float64(b.N * tasks)
		b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/done, "cpu-µs/task")
		b.ReportMetric(2*done/time.Since(started).Seconds(), "events/s")
		b.ReportMetric(2*done/float64(s.Counters().Transactions-commits), "events/commit")
		b.ReportMetric(0, "ns/op")
	}
	// Two observers of the same tasks that look at the same time.
	b.Run("pairs", func(b *testing.B) {
		measure(b, func() {
			for first := next; first < next+tasks; first += size {
				var wg sync.WaitGroup
				wg.Go(func() { put("scheduler", first, size) })
				wg.Go(func() { put("worker", first, size) })
				wg.Wait()
			}
		})
	})
	for _, senders := range []int{1, 8} {
		b.Run(fmt.Sprint("senders=", senders), func(b *testing.B) {
			measure(b, func() {
				starts := make(chan int, senders)
				var wg sync.WaitGroup
				for range senders {
					wg.Go(func() {
						for first := range starts {
							put("scheduler", first, size)
							if first-lag >= next {
								put("worker", first-lag, size)
							}
						}
					})
				}
				for first := next; first < next+tasks; first += size {
					starts <- first
				}
				close(starts)
				wg.Wait()
				for first := next + tasks - lag; first < next+tasks; first += size {
					put("worker", first, size)
				}
			})
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for the process itself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func trickled(facet string, n int) *task.Event {
	e := &task.Event{
		Name: task.EventSubmitted, Time: int64(n + 1), Kind: "dask", Scope: "S", Execution: "S", Key: fmt.Sprintf("inc-%032d", n),
		Attempt: task.NoAttempt, Facet: facet, Status: task.StatusSubmitted, SubmittedAt: int64(n + 1), Campaign: "c",
		WorkflowID: "w", WorkflowName: "run", Activity: "inc", ObserverID: facet, Seq: int64(n + 1),
		Resource: map[string]any{"host.name": "h", "service.name": "dask"},
	}
	if facet == "worker" {
		e.Name, e.Status, e.Attempt = task.EventFinished, task.StatusFinished, int64(n)
		e.StartedAt, e.EndedAt = int64(n+2), int64(n+3)
		e.Used, e.Generated = map[string]any{"x": int64(n)}, map[string]any{"value": int64(n + 1)}
		e.Attributes = map[string]any{"process.pid": int64(1), "thread.id": int64(2), "code.function.name": "m.inc"}
		e.Claims = []task.Claim{
			{Role: task.Used, Entity: fmt.Sprintf("file:/data/in-%d", n), Evidence: "path", Confidence: 0.95, Field: "used.x", Label: "in"},
			{Role: task.Generated, Entity: fmt.Sprintf("file:/data/out-%d", n), Evidence: "path", Confidence: 0.95, Field: "generated.value", Label: "out"},
		}
	}
	return e
}
