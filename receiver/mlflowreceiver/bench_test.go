package mlflowreceiver

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// benchRuns is how many ended runs the database of the benchmark holds, each with 20 params, 20 metrics and 5 tags.
func benchRuns() int {
	if n, err := strconv.Atoi(os.Getenv("MIDA_BENCH_RUNS")); err == nil {
		return n
	}
	return 5000
}

// BenchmarkPoll measures what one poll costs beside many runs that have ended. MIDA_BENCH_RUNS says
// how many they are.
func BenchmarkPoll(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "mlflow.db")
		db := fill(b, path, benchRuns())
		benchmarkPoll(b, "sqlite:///"+path, db)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		uri, db := fillServer(b, startServer(b), benchRuns())
		benchmarkPoll(b, uri, db)
	})
}

func benchmarkPoll(b *testing.B, uri string, db *sql.DB) {
	runs := benchRuns()
	cfg := createDefaultConfig().(*Config)
	cfg.TrackingURI = uri
	r, err := newReceiver(receivertest.NewNopSettings(NewFactory().Type()), cfg, consumertest.NewNop())
	require.NoError(b, err)
	cfg.PollInterval = time.Hour // the benchmark polls by itself
	require.NoError(b, r.Start(b.Context(), componenttest.NewNopHost()))
	r.cancel()
	r.wg.Wait()
	defer func() { require.NoError(b, r.Shutdown(context.Background())) }()
	source, err := cfg.source()
	require.NoError(b, err)
	w, m := r.parts(source, b.TempDir())
	callback := r.callback(m)
	emit := func(_ context.Context, changes []*run) error {
		for _, x := range changes {
			if _, err := callback(x); err != nil {
				return err
			}
		}
		return nil
	}
	defer w.closeDatabase()
	poll := func() { require.NoError(b, w.poll(b.Context(), emit)) }
	begin := time.Now()
	for poll(); w.behind || len(w.touched) > 0; poll() {
	}
	b.Logf("%d runs: first reading %.1f s, locked %.1f s of it", runs, time.Since(begin).Seconds(), w.held.Seconds())
	cfg.PollInterval = time.Nanosecond
	w.held = 0
	polls := 0
	begin = time.Now()
	for ; w.sweep.busy || w.source.pending(); poll() {
		polls++
	}
	b.Logf("sweep over all: %d polls of %.1f ms", polls, float64(time.Since(begin).Milliseconds())/float64(max(polls, 1)))
	cfg.PollInterval = time.Hour

	b.Run("nothing new", func(b *testing.B) {
		for b.Loop() {
			poll()
		}
	})
	n := 0
	b.Run("1000 new metrics of one run", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			tx, err := db.Begin()
			require.NoError(b, err)
			for range 1000 {
				n++
				_, err := tx.Exec(forDriver(db, "INSERT INTO metrics VALUES ('bench', ?, ?, ?, ?, false)"), n, n, runID(1), n)
				require.NoError(b, err)
			}
			require.NoError(b, tx.Commit())
			b.StartTimer()
			poll()
		}
	})
	b.Run("one status", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			n++
			_, err := db.Exec(forDriver(db, "UPDATE runs SET end_time = ? WHERE run_uuid = ?"), n, runID(2))
			require.NoError(b, err)
			b.StartTimer()
			poll()
		}
	})
	b.Run("one status and a part of the sweep", func(b *testing.B) {
		cfg.PollInterval = time.Nanosecond
		for b.Loop() {
			b.StopTimer()
			n++
			_, err := db.Exec(forDriver(db, "UPDATE runs SET end_time = ? WHERE run_uuid = ?"), n, runID(2))
			require.NoError(b, err)
			b.StartTimer()
			poll()
		}
	})
}

func runID(i int) string { return fmt.Sprintf("%032x", i) }

// fill makes a database with MLflow's tables and indexes.
func fill(b testing.TB, path string, runs int) *sql.DB {
	b.Helper()
	require.NoError(b, os.WriteFile(path, nil, 0o600))
	db := writer(b, path)
	schema, err := os.ReadFile(filepath.Join("testdata", "schema.sql"))
	require.NoError(b, err)
	_, err = db.Exec(string(schema))
	require.NoError(b, err)
	tx, err := db.Begin()
	require.NoError(b, err)
	insert := func(query string, args ...any) {
		_, err := tx.Exec(query, args...)
		require.NoError(b, err)
	}
	for i := 1; i <= runs; i++ {
		id := runID(i)
		insert("INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'FINISHED', ?, ?, 'active', '', 1)",
			id, "run", 1790000000000+i, 1790000000500+i)
		for k := range 20 {
			key := "key_" + strconv.Itoa(k)
			insert("INSERT INTO params VALUES (?, ?, ?)", key, "0.25", id)
			insert("INSERT INTO metrics VALUES (?, 0.5, ?, ?, 1, 0)", key, i, id)
			insert("INSERT INTO latest_metrics VALUES (?, 0.5, ?, 1, 0, ?)", key, i, id)
			if k < 5 {
				insert("INSERT INTO tags VALUES (?, 'value', ?)", key, id)
			}
		}
	}
	require.NoError(b, tx.Commit())
	return db
}
