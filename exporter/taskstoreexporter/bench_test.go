package taskstoreexporter

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	_ "modernc.org/sqlite"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	benchTasks   = 50_000
	benchRequest = 1_000
)

// BenchmarkExporter writes finished tasks through the whole exporter into SQLite, and, as the measure of what could be
// had, the same states as rows in a bare loop. "ratio" is the exporter's speed relative to the bare loop.
func BenchmarkExporter(b *testing.B) {
	requests := make([]plog.Logs, 0, benchTasks/benchRequest)
	states := make([][]byte, 0, benchTasks)
	ids := make([]string, 0, benchTasks)
	for first := 0; first < benchTasks; first += benchRequest {
		events := make([]*task.Event, benchRequest)
		for i := range events {
			events[i] = event(first + i)
			s := &task.State{}
			s.Apply(events[i])
			states, ids = append(states, s.Encode()), append(ids, events[i].ID())
		}
		requests = append(requests, task.ToLogs(events))
	}
	var exported, bare time.Duration
	for range b.N {
		exported += throughExporter(b, requests)
		bare += bareLoop(b, ids, states)
	}
	perSecond := func(d time.Duration) float64 { return float64(benchTasks*b.N) / d.Seconds() }
	b.ReportMetric(perSecond(exported), "tasks/s")
	b.ReportMetric(perSecond(bare), "bare-rows/s")
	b.ReportMetric(perSecond(exported)/perSecond(bare), "ratio")
	b.ReportMetric(0, "ns/op")
}

func throughExporter(b *testing.B, requests []plog.Logs) time.Duration {
	h, _ := newHost(b)
	e := newExporter(b, h)
	queue := make(chan plog.Logs, len(requests))
	for _, r := range requests {
		queue <- r
	}
	close(queue)
	started := time.Now()
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for r := range queue {
				if err := e.ConsumeLogs(context.Background(), r); err != nil {
					b.Error(err)
				}
			}
		})
	}
	senders.Wait()
	took := time.Since(started)
	require.EqualValues(b, benchTasks, total(b, storeOf(b, h)))
	return took
}

// bareLoop upserts (id, state) with a unique index on the id, in transactions of the same size, as durable as ours.
func bareLoop(b *testing.B, ids []string, states [][]byte) time.Duration {
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	require.NoError(b, err)
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE tasks (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL)`)
	require.NoError(b, err)
	started := time.Now()
	for first := 0; first < len(ids); first += benchRequest {
		tx, err := db.Begin()
		require.NoError(b, err)
		st, err := tx.Prepare(`INSERT INTO tasks (id, state) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state`)
		require.NoError(b, err)
		for i := first; i < first+benchRequest; i++ {
			if _, err := st.Exec(ids[i], states[i]); err != nil {
				b.Fatal(err)
			}
		}
		require.NoError(b, tx.Commit())
	}
	return time.Since(started)
}
