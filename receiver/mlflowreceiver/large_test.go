package mlflowreceiver

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// byHand is a watcher whose polls the test makes, and what it delivered.
func byHand(t *testing.T, path string) (w *watcher, delivered map[string]*run, poll func()) {
	t.Helper()
	r := start(t, path, newView(), nil, nil)
	r.cancel()
	r.wg.Wait()
	r.keeper.forgetRuns() // the receiver may have polled before
	r.keeper.cursor.Marks, r.keeper.cursor.Sweep = map[string]mark{}, ""
	source, err := r.cfg.source()
	require.NoError(t, err)
	w, _ = r.parts(source, t.TempDir())
	t.Cleanup(w.closeDatabase)
	delivered = map[string]*run{}
	emit := func(_ context.Context, runs []*run) error {
		for _, x := range runs {
			delivered[x.id] = x
		}
		return nil
	}
	return w, delivered, func() { require.NoError(t, w.poll(t.Context(), emit)) }
}

// The first reading of many runs keeps the points of some of them in memory, not of all.
func TestMemoryOfTheFirstReadingIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mlflow.db")
	runs := keptHistories + 3*runsAtOnce
	fill(t, path, runs)
	w, delivered, poll := byHand(t, path)
	for poll(); w.behind || len(w.touched) > 0; poll() {
		require.LessOrEqual(t, len(w.reader.histories), keptHistories)
	}
	assert.Len(t, delivered, runs)
	assert.Equal(t, int64(1), delivered[runID(1)].history["key_0"].count)
}

// A run that mlflow gc removed before it ended is not asked for any more.
func TestOpenRunsThatAreGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mlflow.db")
	db := fill(t, path, listOpenAtMost+1)
	do(t, db, "UPDATE runs SET status = 'RUNNING', end_time = NULL")
	w, _, poll := byHand(t, path)
	for poll(); w.behind || len(w.touched) > 0; poll() {
	}
	require.Len(t, w.keeper.open, listOpenAtMost+1)
	do(t, db, "DELETE FROM runs WHERE run_uuid = ?", runID(5))
	poll()
	assert.Len(t, w.keeper.open, listOpenAtMost)
	assert.NotContains(t, w.keeper.runs, runID(5))
}

// Runs may log a model at each step: more of them than one query of SQLite can name.
func TestRunWithVeryManyModels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mlflow.db")
	db := fill(t, path, 1)
	const models = 33_000
	do(t, db, "CREATE TABLE logged_models (model_id VARCHAR(500) PRIMARY KEY, name VARCHAR(500), status INTEGER, source_run_id VARCHAR(32))")
	do(t, db, "CREATE TABLE model_versions (name VARCHAR(256), version INTEGER, run_id VARCHAR(32), PRIMARY KEY (name, version))")
	numbers := fmt.Sprintf("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) ", models)
	do(t, db, "INSERT INTO logged_models "+numbers+"SELECT 'm-' || i, 'net', 2, ? FROM c", runID(1))
	do(t, db, "INSERT INTO model_versions "+numbers+"SELECT 'net', i, ? FROM c", runID(1))
	w, delivered, poll := byHand(t, path)
	for poll(); w.behind || len(w.touched) > 0; poll() {
	}
	x := delivered[runID(1)]
	require.NotNil(t, x)
	assert.Len(t, x.models, models)
	require.Len(t, x.versions, models)
	for i, v := range x.versions {
		require.Equal(t, int64(i+1), v.version)
	}
}

// A change of one of many models is found though nothing else is committed after it.
func TestChangeAmongManyModels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mlflow.db")
	db := fill(t, path, 1)
	do(t, db, "CREATE TABLE logged_models (model_id VARCHAR(500) PRIMARY KEY, name VARCHAR(500), status INTEGER, source_run_id VARCHAR(32))")
	do(t, db, "WITH RECURSIVE c(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM c WHERE i < 199) INSERT INTO logged_models SELECT 'm-' || i, 'net', 1, ? FROM c", runID(1))
	w, delivered, poll := byHand(t, path)
	w.cfg.SweepSize = 30
	for poll(); w.behind || len(w.touched) > 0; poll() {
	}
	require.Len(t, delivered[runID(1)].models, 100)
	do(t, db, "UPDATE logged_models SET status = 2 WHERE model_id = 'm-199'")
	eventually(t, "the new status", func() bool {
		poll()
		return delivered[runID(1)].models[99].status == "READY"
	})
	do(t, db, "DELETE FROM logged_models WHERE model_id = 'm-150'")
	eventually(t, "a model that is gone", func() bool {
		poll()
		return len(delivered[runID(1)].models) == 99
	})
}
