package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// BenchmarkTrickle writes what observers of short tasks send: small batches, a task submitted in one and finished in a
// later one.
func BenchmarkTrickle(b *testing.B) {
	const tasks, size = 4000, 40
	for b.Loop() {
		b.StopTimer()
		s, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "mida.db")})
		require.NoError(b, err)
		b.StartTimer()
		for _, facet := range []string{"scheduler", "worker"} {
			for first := 0; first < tasks; first += size {
				batch := make([]*task.Event, size)
				for i := range batch {
					batch[i] = trickled(facet, first+i)
				}
				rejected, err := s.Write(b.Context(), batch)
				require.NoError(b, err)
				require.Empty(b, rejected)
			}
		}
		b.StopTimer()
		require.NoError(b, s.Close(b.Context()))
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)*2*tasks/b.Elapsed().Seconds(), "events/s")
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
	}
	return e
}
