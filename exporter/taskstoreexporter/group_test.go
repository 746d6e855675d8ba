package taskstoreexporter

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/otelcol-mida/otelcol-mida/extension/taskstore"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// watchedStore counts the writes and events that are in the store at a time.
type watchedStore struct {
	store.Store
	writes, events, most atomic.Int64
}

func (s *watchedStore) Write(ctx context.Context, events []*task.Event) ([]store.Rejected, error) {
	s.writes.Add(1)
	now := s.events.Add(int64(len(events)))
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	defer func() {
		s.writes.Add(-1)
		s.events.Add(-int64(len(events)))
	}()
	return s.Store.Write(ctx, events)
}

type watchedExtension struct {
	extension.Extension
	store.Provider
	store *watchedStore
}

func (w watchedExtension) Store(string) (store.Store, error) { return w.store, nil }

func watched(t *testing.T, real component.Host) (component.Host, *watchedStore) {
	w := watchedExtension{store: &watchedStore{Store: storeOf(t, real)}}
	for _, ext := range real.GetExtensions() {
		w.Extension, w.Provider = ext.(extension.Extension), ext.(store.Provider)
	}
	return host{map[component.ID]component.Component{component.MustNewID("taskstore"): w}}, w.store
}

// lockOut keeps the store from writing until the returned function is called.
func lockOut(t *testing.T, database string) (release func()) {
	db, err := sql.Open("sqlite", database)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	_, err = db.Exec("BEGIN IMMEDIATE")
	require.NoError(t, err)
	return sync.OnceFunc(func() {
		_, err := db.Exec("ROLLBACK")
		require.NoError(t, err)
		require.NoError(t, db.Close())
	})
}

// Requests that come while the store writes go together in its next write; who comes alone is written at once. What can
// never be stored of one of them is a dead letter, and the others hear nil.
func TestRequestsThatMeetShareAWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mida.db")
	h, w := watched(t, hostWith(t, taskstore.StoreConfig{SQLite: &taskstore.SQLiteConfig{Path: path, MaxTaskBytes: 64 << 10}}))
	e := newExporter(t, h)
	counted := w.Store.(store.Counted)
	require.NoError(t, e.ConsumeLogs(t.Context(), task.ToLogs([]*task.Event{event(0)})))
	batch, ok := counted.LastBatch()
	require.True(t, ok)
	require.EqualValues(t, 1, batch.Calls)

	before := counted.Counters().Transactions
	const senders = 200
	release := lockOut(t, path)
	defer release()
	done := make(chan error, senders)
	for i := range senders {
		one := event(i + 1)
		if i == 100 {
			one.Used["text"] = strings.Repeat("x", 100<<10)
		}
		go func() { done <- e.ConsumeLogs(context.Background(), task.ToLogs([]*task.Event{one})) }()
	}
	require.Eventually(t, func() bool { return w.writes.Load() == senders }, time.Minute, time.Millisecond)
	require.Empty(t, done, "no sender may hear nil before the commit")
	release()
	for range senders {
		require.NoError(t, <-done)
	}
	require.EqualValues(t, senders, total(t, w.Store), "all but one, and the first")
	require.Less(t, counted.Counters().Transactions-before, int64(senders/10))
	letters, err := os.ReadFile(filepath.Join(dir, "dead-letter.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(letters), "\n"))
	require.Contains(t, string(letters), `"key":"train-101"`)
}

// However many large requests come, no more than max_events are on their way, and one that is larger goes alone.
func TestEventsOnTheirWayAreBounded(t *testing.T) {
	real, _ := newHost(t)
	h, w := watched(t, real)
	e := newExporter(t, h, func(c *Config) { c.MaxEvents = 50 })
	const senders, size = 30, 20
	request := func(first, n int) error {
		events := make([]*task.Event, n)
		for i := range events {
			events[i] = event(first + i)
		}
		return e.ConsumeLogs(context.Background(), task.ToLogs(events))
	}
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			if err := request(i*size, size); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, w.most.Load(), int64(40))
	require.NoError(t, request(senders*size, 60))
	require.EqualValues(t, senders*size+60, total(t, w.Store))
}
