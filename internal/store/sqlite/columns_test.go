package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

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
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db"), ColumnsBytes: 30_000})
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

// An aggregation that waits for a connection keeps no writer waiting.
func TestWriterDoesNotWaitForReaders(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db"), Readers: 2})
	s.columns.from = 0
	_, err := s.Write(t.Context(), []*task.Event{event("0")})
	require.NoError(t, err)
	sumOf(t, s, sumA)
	busy, free := make(chan struct{}), make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			err := s.snapshot(context.Background(), func(*sql.Tx) error {
				busy <- struct{}{}
				<-free
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	<-busy
	<-busy
	waiting := s.read.Stats().WaitCount
	q, err := query.ParseJSON([]byte(sumA))
	require.NoError(t, err)
	var answer *query.Answer
	readers.Go(func() {
		var err error
		if answer, err = s.Query(context.Background(), q); err != nil {
			t.Error(err)
		}
	})
	require.Eventually(t, func() bool { return s.read.Stats().WaitCount > waiting }, waitTime, waitTick)
	// One that is not let in gives up at its deadline.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = s.Query(ctx, q)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	written := make(chan error, 1)
	go func() {
		_, err := s.Write(context.Background(), []*task.Event{event("1")})
		written <- err
	}()
	select {
	case err := <-written:
		require.NoError(t, err)
	case <-time.After(waitTime):
		t.Error("the writer waits for the readers")
	}
	close(free)
	readers.Wait()
	require.Equal(t, int64(2), answer.Rows[0]["count"])
}

// expiring is a context whose deadline passes at the n-th look.
type expiring struct {
	context.Context
	looks int
}

func (e *expiring) Err() error {
	if e.looks--; e.looks < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestColumnsKeepTheDeadline(t *testing.T) {
	c := newColumns(1 << 20)
	c.alive = &vector{}
	for i := range int64(10 * rowsBetweenLooks) {
		c.alive.set(i, int64(1))
	}
	q, err := query.ParseJSON([]byte(`{"aggregation": [["count", "id"]]}`))
	require.NoError(t, err)
	c.vectors = map[string]*vector{"?id": c.alive}
	_, err = c.answer(&expiring{t.Context(), 9}, q, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	a, err := c.answer(&expiring{t.Context(), 10}, q, nil)
	require.NoError(t, err)
	require.EqualValues(t, 10*rowsBetweenLooks, a.Rows[0]["count"])
}

// A set answers as a look at each element would.
func TestValueSet(t *testing.T) {
	big := func(digits string) any { return map[string]any{"$int": digits} }
	values := []any{
		nil, true, false, "", "a", "1", int64(0), int64(1), int64(math.MaxInt64), int64(math.MinInt64), 0.0, math.Copysign(0, -1),
		1.0, 1.5, 1e19, 1e300, math.Inf(1), math.Inf(-1), math.NaN(), float64(1 << 63), -float64(1 << 63), []byte("a"), []byte{},
		big("10000000000000000000"), big("9223372036854775808"), big("-9223372036854775809"), big("1"), map[string]any{"$x": "y"},
	}
	for i, e := range values {
		for j, other := range values {
			list := []any{e, other}
			s := newValueSet(list)
			for k, v := range values {
				require.Equal(t, among(list, v), s.contains(v), "%d in {%d, %d}: %v in %v", k, i, j, v, list)
			}
		}
	}
}
