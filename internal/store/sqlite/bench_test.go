package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// benchTasks is the size of the view that queries are measured on; MIDA_BENCH_TASKS changes it.
func benchTasks() int {
	if n, err := strconv.Atoi(os.Getenv("MIDA_BENCH_TASKS")); err == nil && n > 0 {
		return n
	}
	return 100_000
}

func training(i int, rng *rand.Rand) *task.Event {
	return &task.Event{
		Name: task.EventFinished, Time: int64(i + 1), Kind: "dask", Scope: "Scheduler-1", Key: fmt.Sprintf("train-%d", i),
		Attempt: 1, Facet: "worker", Status: task.StatusFinished, Campaign: fmt.Sprintf("c%d", i%4), WorkflowID: fmt.Sprintf("w%d", i%40),
		Activity: "train", StartedAt: int64(i) * 1e6, EndedAt: int64(i)*1e6 + rng.Int64N(1e9),
		Used:      map[string]any{"layers": rng.Int64N(8), "learning_rate": rng.Float64(), "optimizer": []string{"sgd", "adam"}[i%2], "max_epochs": int64(10)},
		Generated: map[string]any{"loss": rng.Float64(), "accuracy": rng.Float64()},
		Resource:  map[string]any{"host.name": fmt.Sprintf("node-%d", i%16)},
	}
}

func BenchmarkQuery(b *testing.B) {
	s, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "mida.db"), Synchronous: Normal})
	require.NoError(b, err)
	defer s.Close(context.Background())
	rng := rand.New(rand.NewPCG(1, 1))
	n := benchTasks()
	var events []*task.Event
	for i := range n {
		if events = append(events, training(i, rng)); len(events) == 10_000 || i == n-1 {
			_, err := s.Write(b.Context(), events)
			require.NoError(b, err)
			events = events[:0]
		}
	}
	for _, q := range []struct{ name, body string }{
		{"Listing1", `{"projection": ["used.layers", "generated.loss"], "aggregation": [["min", "generated.loss"]], "sort": [["used.layers", "ascending"]]}`},
		{"Listing1OfOneCampaign", `{"filter": {"campaign_id": "c1"}, "projection": ["used.layers"], "aggregation": [["min", "generated.loss"]]}`},
		{"LeafFilter", `{"filter": {"generated.loss": {"$lt": 0.001}}, "projection": ["task_id", "used.layers"], "limit": 10}`},
		{"LeafFilterMany", `{"filter": {"used.layers": {"$lt": 6}}, "projection": ["task_id"], "limit": 100}`},
		{"BestLoss", `{"sort": [["generated.loss", "ascending"]], "projection": ["task_id", "generated.loss"], "limit": 10}`},
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
}
