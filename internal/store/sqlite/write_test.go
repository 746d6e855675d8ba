package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// How long a test waits for what must come, and how often it looks.
const (
	waitTime = 60 * time.Second
	waitTick = time.Millisecond
)

func event(key string) *task.Event {
	return &task.Event{
		Name: task.EventFinished, Time: 1, Kind: "k", Scope: "s", Key: key, Attempt: task.NoAttempt, Status: task.StatusFinished,
		Campaign: "c", Used: map[string]any{"a": int64(1)},
	}
}

func total(t *testing.T, s *Store) int64 {
	t.Helper()
	a, err := s.Query(t.Context(), &query.Query{Limit: 1})
	require.NoError(t, err)
	return a.Total
}

func TestConcurrentWritesShareTransactions(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db")})
	// While the writer is held up, calls gather.
	hold, held := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.between(context.Background(), func(*session) error {
			close(held)
			<-hold
			return nil
		})
	})
	<-held
	before := s.Counters().Transactions
	const calls = 40
	for i := range calls {
		wg.Go(func() {
			_, err := s.Write(context.Background(), []*task.Event{event(fmt.Sprint(i))})
			if err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return len(s.queue) == calls }, waitTime, waitTick)
	close(hold)
	wg.Wait()
	require.EqualValues(t, calls, total(t, s))
	require.EqualValues(t, before+2, s.Counters().Transactions) // that which held up, and one for all
}

func TestTooLargeATaskIsRejectedAlone(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db"), MaxTaskBytes: 10_000})
	big := event("big")
	big.Used = map[string]any{"text": strings.Repeat("x", 20_000)}
	list := []*task.Event{event("1"), big, event("2")}
	for i, e := range list {
		e.ObserverID, e.Seq = "o", int64(i+1)
	}
	rejected, err := s.Write(t.Context(), list)
	require.NoError(t, err)
	require.Len(t, rejected, 1)
	require.Same(t, big, rejected[0].Event)
	require.ErrorContains(t, rejected[0].Err, "max_task_bytes is 10000")
	require.EqualValues(t, 2, total(t, s))
	c, err := s.Checkpoints(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, [][2]int64{{2, 2}}, c[0].Gaps, "what is rejected has not arrived")

	// A task that is stored already keeps what it has.
	grown := event("1")
	grown.Facet, grown.Used = "more", big.Used
	rejected, err = s.Write(t.Context(), []*task.Event{grown})
	require.NoError(t, err)
	require.Len(t, rejected, 1)
	docs, err := s.Tasks(t.Context(), []string{grown.ID()})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": int64(1)}, docs[grown.ID()]["used"])
}

func TestDamagedStateIsNotWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	s, err := Open(t.Context(), Options{Path: path})
	require.NoError(t, err)
	_, err = s.Write(t.Context(), []*task.Event{event("1"), event("2")})
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	edit(t, path, `UPDATE states SET state = '{"damaged' WHERE n = 1`)
	s = mustOpen(t, Options{Path: path})
	newer := event("1")
	newer.Time = 2
	rejected, err := s.Write(t.Context(), []*task.Event{newer, event("3")})
	require.NoError(t, err)
	require.Len(t, rejected, 1)
	require.ErrorContains(t, rejected[0].Err, "damaged")
	require.EqualValues(t, 3, total(t, s))

	// It hides no other task, and is seen itself.
	a, err := s.Query(t.Context(), &query.Query{})
	require.NoError(t, err)
	require.Len(t, a.Rows, 3)
	require.True(t, a.Partial)
	require.Len(t, a.Warnings, 1)
	require.Contains(t, a.Warnings[0], "task "+newer.ID()+": its stored state is damaged")
	docs, err := s.Tasks(t.Context(), []string{newer.ID(), event("2").ID()})
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"id": newer.ID(), "task_id": "1", "kind": "k", "status": "FINISHED", "campaign_id": "c",
		"damaged": "the stored state of this task cannot be read; this is what is left",
	}, docs[newer.ID()])
	require.Contains(t, a.Rows, docs[newer.ID()])
	require.Equal(t, map[string]any{"a": int64(1)}, docs[event("2").ID()]["used"])
}

func TestDamagedWorkflowIsRejectedAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	s, err := Open(t.Context(), Options{Path: path})
	require.NoError(t, err)
	workflow := func(id string, time int64) *task.Event {
		return &task.Event{Name: task.EventWorkflowStarted, Time: time, Kind: "k", WorkflowID: id, Attempt: task.NoAttempt, Campaign: "c"}
	}
	_, err = s.Write(t.Context(), []*task.Event{workflow("w", 1)})
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	edit(t, path, `UPDATE workflows SET state = '{"damaged'`)
	s = mustOpen(t, Options{Path: path})
	rejected, err := s.Write(t.Context(), []*task.Event{event("1"), workflow("w", 2), workflow("v", 2)})
	require.NoError(t, err)
	require.Len(t, rejected, 1)
	require.Equal(t, "w", rejected[0].Event.WorkflowID)
	require.ErrorContains(t, rejected[0].Err, "damaged")
	require.EqualValues(t, 1, total(t, s))
	list, err := s.Workflows(t.Context(), "c")
	require.NoError(t, err)
	require.Len(t, list, 3, "both, and the tasks without one")
}

// A database that cannot be written gives an error, and takes the same events once it can.
func TestRefusedWriteIsRepeatable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	s := mustOpen(t, Options{Path: path})
	_, err := s.Write(t.Context(), []*task.Event{event("1")})
	require.NoError(t, err)
	limit := func(pages int) {
		_, err := s.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
		require.NoError(t, err)
	}
	limit(1) // as many as there are: the disk is full
	var many []*task.Event
	for i := range 500 {
		e := event(fmt.Sprint(i))
		e.Time, e.Used = 2, map[string]any{"text": strings.Repeat("x", 1000)}
		many = append(many, e)
	}
	_, err = s.Write(t.Context(), many)
	require.ErrorContains(t, err, "full")
	require.EqualValues(t, 1, total(t, s))
	limit(1 << 30)
	rejected, err := s.Write(t.Context(), many)
	require.NoError(t, err)
	require.Empty(t, rejected)
	require.EqualValues(t, 500, total(t, s))
	docs, err := s.Tasks(t.Context(), []string{event("1").ID()})
	require.NoError(t, err)
	require.Equal(t, many[1].Used, docs[event("1").ID()]["used"])
}

func TestCancelledWrite(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db")})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if _, err := s.Write(ctx, []*task.Event{event("1")}); err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	_, err := s.Query(ctx, &query.Query{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestReadersDoNotWaitForTheWriter(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db")})
	_, err := s.Write(t.Context(), []*task.Event{event("1")})
	require.NoError(t, err)
	require.NoError(t, s.between(t.Context(), func(ses *session) error {
		if _, err := ses.exec("DELETE FROM tasks"); err != nil {
			return err
		}
		require.EqualValues(t, 1, total(t, s), "a reader sees what was committed, while a transaction is open")
		return nil
	}))
	require.EqualValues(t, 0, total(t, s))
}
