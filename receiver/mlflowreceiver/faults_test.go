package mlflowreceiver

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func (l *logged) rowsReused(t *testing.T) {
	path, db := l.copyTo(t)
	v := newView()
	x := start(t, path, v, nil, nil)
	l.complete(t, v)
	sent := v.count()
	// What `mlflow gc` does to the newest run, and then another takes its row numbers.
	gone := l.id(t, "model")
	tx, err := db.Begin()
	require.NoError(t, err)
	for _, table := range []string{"params", "metrics", "latest_metrics", "tags", "runs"} {
		_, err := tx.Exec("DELETE FROM "+table+" WHERE run_uuid = ?", gone)
		require.NoError(t, err)
	}
	fresh := strings.Repeat("a", 32)
	_, err = tx.Exec("INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, experiment_id) VALUES (?, 'fresh', 'FINISHED', 5, 'active', 0)", fresh)
	require.NoError(t, err)
	_, err = tx.Exec(`INSERT INTO params ("key", value, run_uuid) VALUES ('a', '1', ?)`, fresh)
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	eventually(t, "the run in the place of another", func() bool { return v.doc(fresh) != nil })
	eventually(t, "the deletion", func() bool { return x.logs.FilterMessageSnippet("rows were deleted").Len() == 1 })
	polls := x.sum(t, "otelcol_receiver_mlflow_unchanged_polls")
	eventually(t, "the end of the reading", func() bool { return x.sum(t, "otelcol_receiver_mlflow_unchanged_polls") > polls })
	assert.Equal(t, int64(1), v.doc(fresh).Used["a"])
	assert.NotNil(t, v.doc(gone), "what was seen stays in the view")
	assert.Equal(t, sent+1, v.count(), "nothing else is sent again")
	assert.Equal(t, 1, x.logs.FilterMessageSnippet("rows were deleted").Len())
}

func (l *logged) restart(t *testing.T) {
	path, db := l.copyTo(t)
	v, st := newView(), newMemory()
	first := start(t, path, v, stored, st.host())
	l.complete(t, v)
	eventually(t, "the position is kept", func() bool { return st.copy().data[cursorKey] != nil && len(st.copy().data) > 5 })
	killed := st.copy()
	first.stop()
	n := v.count()
	require.Equal(t, len(l.Truth), n)

	// What changes while nobody looks is found, and nothing else is sent again.
	do(t, db, `INSERT INTO params ("key", value, run_uuid) VALUES ('while_away', '1', ?)`, l.id(t, "late"))
	do(t, db, "UPDATE runs SET status = 'FAILED' WHERE run_uuid = ?", l.id(t, "killed"))
	second := start(t, path, v, stored, st.host())
	eventually(t, "both changes", func() bool {
		return v.doc(l.id(t, "late")).Used["while_away"] == int64(1) && v.doc(l.id(t, "killed")).Status == task.StatusFailed
	})
	second.stop()
	assert.Equal(t, n+2, v.count())
	last := v.of(l.id(t, "late"))
	assert.Equal(t, last[0].ObserverID, last[1].ObserverID)
	assert.Greater(t, last[1].Seq, last[0].Seq)
	assert.Greater(t, last[1].Time, last[0].Time)

	// A kill threw the position of the second away: its changes are sent again, the view is the same.
	before := map[string]string{}
	for id, d := range v.docs() {
		before[id] = task.JSON(d.Map())
	}
	third := start(t, path, v, stored, killed.host())
	eventually(t, "the changes again", func() bool { return v.count() >= n+4 })
	third.stop()
	for id, d := range v.docs() {
		assert.JSONEq(t, before[id], task.JSON(d.Map()))
	}

	// Without any position all is read again, and the newer content wins.
	fourth := start(t, path, v, nil, nil)
	eventually(t, "everything again", func() bool { return v.count() >= 2*n+4 })
	assert.Equal(t, 1, fourth.logs.FilterMessageSnippet("no storage is configured").Len())
	do(t, db, "UPDATE runs SET status = 'FINISHED', end_time = 9 WHERE run_uuid = ?", l.id(t, "open"))
	eventually(t, "the end", func() bool { return v.doc(l.id(t, "open")).Status == task.StatusFinished })
	fourth.stop()

	// Another campaign: every run is news, from a new observer.
	fifth := start(t, path, v, func(c *Config) { stored(c); c.Campaign = "other" }, st.host())
	eventually(t, "every run in the other campaign", func() bool {
		for _, x := range l.Truth {
			if v.doc(x.ID).CampaignID != "other" {
				return false
			}
		}
		return true
	})
	fifth.stop()
	assert.NotEqual(t, last[0].ObserverID, fifth.keeper.cursor.Observer)
}

func (l *logged) refused(t *testing.T) {
	path, db := l.copyTo(t)
	v, st := newView(), newMemory()
	v.setRefuse(errors.New("the store is full"))
	x := start(t, path, v, stored, st.host())
	eventually(t, "the first refusals", func() bool { return v.offers() > 2 })
	do(t, db, "UPDATE runs SET name = 'meanwhile' WHERE run_uuid = ?", l.id(t, "late"))
	assert.Nil(t, st.copy().data[cursorKey], "no position before acceptance")
	v.setRefuse(nil)
	l.complete(t, v)
	eventually(t, "what changed meanwhile", func() bool { return v.doc(l.id(t, "late")).Custom["run_name"] == "meanwhile" })
	st.mu.Lock()
	st.fail = errors.New("disk full")
	st.mu.Unlock()
	do(t, db, "UPDATE runs SET name = 'again' WHERE run_uuid = ?", l.id(t, "late"))
	eventually(t, "a change though the position cannot be kept", func() bool { return v.doc(l.id(t, "late")).Custom["run_name"] == "again" })
	// The trouble is said once, counted at each try, also while nothing changes, and is none of reading.
	polls := x.sum(t, "otelcol_receiver_mlflow_polls")
	failed := x.sum(t, "otelcol_receiver_mlflow_errors")
	eventually(t, "more tries", func() bool {
		return x.sum(t, "otelcol_receiver_mlflow_errors") >= failed+3 && x.sum(t, "otelcol_receiver_mlflow_polls") > polls+3
	})
	do(t, db, "UPDATE runs SET name = 'once more' WHERE run_uuid = ?", l.id(t, "late"))
	eventually(t, "another change", func() bool { return v.doc(l.id(t, "late")).Custom["run_name"] == "once more" })
	assert.Equal(t, 1, x.logs.FilterMessageSnippet("position cannot be saved").Len())
	assert.Zero(t, x.logs.FilterMessageSnippet("is saved again").Len())
	st.mu.Lock()
	st.fail = nil
	st.mu.Unlock()
	eventually(t, "its end is said", func() bool { return x.logs.FilterMessageSnippet("position is saved again").Len() == 1 })
	eventually(t, "the newest position is kept", func() bool {
		var c cursor
		require.NoError(t, json.Unmarshal(st.copy().data[cursorKey], &c))
		events := v.of(l.id(t, "late"))
		return c.Seq == events[len(events)-1].Seq
	})
	assert.Equal(t, 1, x.logs.FilterMessageSnippet("position cannot be saved").Len())
	assert.Zero(t, x.logs.FilterMessageSnippet("can be read again").Len())
}

func (l *logged) replaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mlflow.db")
	v := newView()
	x := start(t, path, v, nil, nil)
	eventually(t, "the wait is explained", func() bool { return x.logs.FilterMessageSnippet("does not exist yet").Len() == 1 })
	require.NoError(t, os.WriteFile(path, []byte("this is no database, but long enough to be one: "+strings.Repeat("x", 2000)), 0o600))
	eventually(t, "a wrong file is explained", func() bool { return x.logs.FilterMessageSnippet("no MLflow tracking database").Len() == 1 })
	other := path + ".new"
	copyFile(t, fileOf(l.db), other)
	require.NoError(t, os.Rename(other, path))
	l.complete(t, v)
	n := v.count()
	copyFile(t, fileOf(l.db), other)
	db := writer(t, other)
	fresh := strings.Repeat("b", 32)
	do(t, db, "INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, experiment_id) VALUES (?, 'fresh', 'FINISHED', 5, 'active', 0)", fresh)
	require.NoError(t, db.Close())
	require.NoError(t, os.Rename(other, path))
	eventually(t, "the run of the new file", func() bool { return v.doc(fresh) != nil })
	assert.Equal(t, n+1, v.count())
	require.NoError(t, os.Remove(path))
	eventually(t, "its absence", func() bool { return x.logs.FilterMessageSnippet("does not exist yet").Len() == 2 })
}

func (l *logged) older(t *testing.T) {
	path, db := l.copyTo(t)
	cascade := " CASCADE"
	if !l.onServer() {
		do(t, db, "PRAGMA foreign_keys = OFF")
		cascade = ""
	}
	for _, table := range []string{"logged_model_metrics", "logged_model_params", "logged_model_tags", "logged_models", "inputs", "input_tags",
		"datasets", "registered_model_aliases", "model_version_tags", "model_versions", "registered_models"} {
		do(t, db, "DROP TABLE "+table+cascade)
	}
	do(t, db, "ALTER TABLE runs DROP COLUMN deleted_time")
	do(t, db, "DROP INDEX IF EXISTS idx_experiments_workspace_creation_time")
	do(t, db, "ALTER TABLE experiments DROP COLUMN creation_time")
	v := newView()
	x := start(t, path, v, nil, nil)
	l.complete(t, v)
	assert.Equal(t, 0.75, v.doc(l.id(t, "inner")).Generated["loss"])
	// A migration while we look on.
	do(t, db, "ALTER TABLE runs ADD COLUMN deleted_time BIGINT")
	eventually(t, "the migration is seen", func() bool { return x.logs.FilterMessageSnippet("tables of the MLflow database changed").Len() == 1 })
}

func (l *logged) locked(t *testing.T) {
	path, db := l.copyTo(t)
	do(t, db, "BEGIN EXCLUSIVE")
	v := newView()
	x := start(t, path, v, func(c *Config) { c.BusyTimeout = time.Second }, nil)
	eventually(t, "the lock is explained", func() bool { return x.logs.FilterMessageSnippet("stays locked").Len() == 1 })
	do(t, db, "ROLLBACK")
	l.complete(t, v)
	eventually(t, "its end", func() bool { return x.logs.FilterMessageSnippet("can be read again").Len() == 1 })
}

// plan makes sure that a history is read by its index, however many points other runs have.
func (l *logged) plan(t *testing.T) {
	_, db := l.copyTo(t)
	var id, parent, unused int64
	var detail string
	require.NoError(t, db.QueryRow("EXPLAIN QUERY PLAN SELECT rowid, \"key\", value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? AND rowid > ? ORDER BY rowid LIMIT ?",
		"x", 0, 10).Scan(&id, &parent, &unused, &detail))
	assert.Contains(t, detail, "index_metrics_run_uuid (run_uuid=? AND rowid>?)")
}

// written is what testdata/writer.py says it did.
type written struct {
	Run     string   `json:"run"`
	Written int64    `json:"written"`
	Errors  []string `json:"errors"`
	Slowest float64  `json:"slowest"`
	Took    float64  `json:"took"`
}

// writeWhile polls as fast as allowed while another process writes at full speed: no writer sees an error, and afterwards
// nothing is missing.
func (l *logged) writeWhile(t *testing.T, how, database string) {
	v := newView()
	x := start(t, database, v, func(c *Config) { c.PollInterval = 10 * time.Millisecond }, nil)
	l.complete(t, v)
	var w written
	require.NoError(t, json.Unmarshal([]byte(lastLine(script(t, t.TempDir(), "writer.py", how, database, "3", "21"))), &w))
	assert.Empty(t, w.Errors)
	assert.Greater(t, w.Written, int64(20))
	eventually(t, "the last point", func() bool {
		d := v.doc(w.Run)
		if d == nil || d.Status != task.StatusFinished || d.Generated["x"] != float64(w.Written-1) {
			return false
		}
		h := d.Generated["metrics_history"].(map[string]any)["x"].(map[string]any)
		return h["count"] == w.Written && h["min"] == 0.0
	})
	t.Logf("%s: %d points in %.1f s, slowest %.3f s, %d snapshots, %d polls", how, w.Written, w.Took, w.Slowest,
		len(v.of(w.Run)), x.sum(t, "otelcol_receiver_mlflow_polls"))
}

func (l *logged) writerOnServer(t *testing.T) {
	uri, _ := l.copyTo(t)
	l.writeWhile(t, "mlflow", uri)
}

func (l *logged) writers(t *testing.T, mode string) {
	for _, how := range []string{"sqlite3", "mlflow"} {
		t.Run(how, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mlflow.db") // MLflow itself cannot open every name
			copyFile(t, fileOf(l.db), path)
			db := writer(t, path)
			var now string
			require.NoError(t, db.QueryRow("PRAGMA journal_mode = "+mode).Scan(&now))
			require.Equal(t, mode, now)
			require.NoError(t, db.Close())
			l.writeWhile(t, how, path)
			db = writer(t, path)
			require.NoError(t, db.QueryRow("PRAGMA journal_mode").Scan(&now))
			assert.Equal(t, mode, now, "the journal mode is the writer's")
		})
	}
}
