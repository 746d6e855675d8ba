package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func sumOf(t *testing.T, s *Store, body string) map[string]any {
	t.Helper()
	q, err := query.ParseJSON([]byte(body))
	require.NoError(t, err)
	a, err := s.Query(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, a.Rows, 1)
	return a.Rows[0]
}

const sumA = `{"aggregation": [["sum", "used.a"]]}`

func TestColumnsFollowEveryChange(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db")})
	s.columns.from = 0
	require.Equal(t, map[string]any{"count": int64(0)}, sumOf(t, s, sumA))
	for i := range 10 {
		_, err := s.Write(t.Context(), []*task.Event{event(fmt.Sprint(i))})
		require.NoError(t, err)
		require.Equal(t, map[string]any{"sum(used.a)": int64(i + 1), "count": int64(i + 1)}, sumOf(t, s, sumA))
	}
	require.Contains(t, s.columns.vectors, "used.a")
	changed := event("3")
	changed.Time, changed.Used, changed.Campaign = 2, map[string]any{"a": int64(100)}, "d"
	_, err := s.Write(t.Context(), []*task.Event{changed})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"sum(used.a)": int64(109), "count": int64(10)}, sumOf(t, s, sumA))
	_, err = s.DeleteCampaign(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, map[string]any{"sum(used.a)": int64(100), "count": int64(1)}, sumOf(t, s, sumA))
}

func TestColumnsKeepTheirLimit(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db"), CacheBytes: 30_000})
	s.columns.from = 0
	var events []*task.Event
	for i := range 1_000 {
		e := event(fmt.Sprint(i))
		e.Used = map[string]any{"a": int64(1), "b": int64(2), "text": fmt.Sprintf("a text of its own for task %d", i)}
		events = append(events, e)
	}
	_, err := s.Write(t.Context(), events)
	require.NoError(t, err)
	for range 2 {
		require.Equal(t, int64(1_000), sumOf(t, s, sumA)["sum(used.a)"])
		require.Contains(t, s.columns.vectors, "used.a")
		require.Equal(t, int64(2_000), sumOf(t, s, `{"aggregation": [["sum", "used.b"]]}`)["sum(used.b)"])
		require.Contains(t, s.columns.vectors, "used.b")
		// Too large for any vector: SQLite answers.
		require.Equal(t, int64(1_000), sumOf(t, s, `{"aggregation": [["count", "used.text"]]}`)["count(used.text)"])
	}
}

// While tasks are written, every answer is that of one moment: each write brings two tasks whose values cancel.
func TestColumnsAreConsistent(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db"), Synchronous: Normal})
	s.columns.from = 0
	ctx, stop := context.WithCancel(context.Background())
	var writer sync.WaitGroup
	defer func() {
		stop()
		writer.Wait()
	}()
	writer.Go(func() {
		for i := int64(1); ctx.Err() == nil; i++ {
			plus, minus := event(fmt.Sprint("plus", i%50)), event(fmt.Sprint("minus", i%50))
			plus.Time, minus.Time = i, i
			plus.Used, minus.Used = map[string]any{"a": i, "b": -i}, map[string]any{"a": -i, "b": i}
			if _, err := s.Write(context.Background(), []*task.Event{plus, minus}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 200 {
		field := string("ab"[i%2])
		row := sumOf(t, s, `{"aggregation": [["sum", "used.`+field+`"]], "filter": {"used.a": {"$exists": true}}}`)
		if row["count"] != int64(0) {
			require.Equal(t, int64(0), row["sum(used."+field+")"])
		}
	}
}
