package mlflowreceiver

import (
	"database/sql"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// logged is what testdata/runs.py says it did.
type logged struct {
	Truth map[string]struct {
		ID          string            `json:"id"`
		Params      map[string]string `json:"params"`
		Path        string            `json:"path"`
		Digest      string            `json:"digest"`
		ArtifactURI string            `json:"artifact_uri"`
		ModelID     string            `json:"model_id"`
		Version     string            `json:"version"`
	} `json:"truth"`
	Experiment string `json:"experiment"`

	db    string // its URI
	store store
}

func (l *logged) id(t testing.TB, name string) string {
	t.Helper()
	require.Contains(t, l.Truth, name)
	return l.Truth[name].ID
}

// TestRealMLflow logs with the real MLflow once into each kind of database; each part then observes a copy of it.
func TestRealMLflow(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		real := logWithMLflow(t, sqliteStore{})
		real.everywhere(t)
		t.Run("rows that take the place of deleted ones", real.rowsReused)
		t.Run("another file in its place", real.replaced)
		t.Run("locked", real.locked)
		t.Run("index of the history", real.plan)
		for _, mode := range []string{"delete", "wal"} {
			t.Run("writers see no error in "+mode, func(t *testing.T) { real.writers(t, mode) })
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		real := logWithMLflow(t, startServer(t))
		real.everywhere(t)
		t.Run("writer at full speed", real.writerOnServer)
		t.Run("locked", real.tableLocked)
		t.Run("who may read", real.access)
		t.Run("server that goes and comes", real.serverGone)
	})
}

// everywhere are the parts that every kind of database must pass.
func (l *logged) everywhere(t *testing.T) {
	t.Run("every run as it was logged", l.everyRun)
	t.Run("capture and experiments", l.chosen)
	t.Run("changes without new rows", l.changes)
	t.Run("restart and kill", l.restart)
	t.Run("store that refuses", l.refused)
	t.Run("tables of older versions", l.older)
}

func logWithMLflow(t *testing.T, s store) *logged {
	t.Helper()
	l := &logged{db: s.fresh(t), store: s}
	dir := t.TempDir()
	require.NoError(t, json.Unmarshal([]byte(lastLine(script(t, dir, "runs.py", l.db, filepath.Join(dir, "artifacts")))), l))
	return l
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// copyTo makes a copy of the database that a test may change, and opens it as a writer.
func (l *logged) copyTo(t testing.TB) (string, *sql.DB) {
	t.Helper()
	return l.store.copyOf(t, l.db)
}

func (l *logged) onServer() bool { return strings.HasPrefix(l.db, "postgresql") }

// complete waits until every run of the database is in the view.
func (l *logged) complete(t testing.TB, v *view) {
	t.Helper()
	eventually(t, "every run arrives", func() bool {
		docs := v.docs()
		for _, x := range l.Truth {
			if docs[x.ID] == nil {
				return false
			}
		}
		return true
	})
}

func (l *logged) everyRun(t *testing.T) {
	v := newView()
	local := true
	r := start(t, l.db, v, func(c *Config) { c.RunsAreLocal = &local }, nil)
	l.complete(t, v)
	require.Len(t, v.docs(), len(l.Truth), "nothing extra")
	eventually(t, "the witness counts what the view holds", func() bool {
		var used, generated int64
		for _, d := range v.docs() {
			used += int64(len(task.Leaves(d.Used)))
			generated += int64(len(task.Leaves(d.Generated)))
		}
		w, _ := r.witness.get()["mlflow"].(map[string]any)
		n := int64(len(l.Truth))
		return w["counted"] == n && w["read"] == n && w["runs"] == n && w["used"] == used && w["generated"] == generated
	})
	for name, status := range map[string]task.Status{
		"outer": task.StatusFinished, "inner": task.StatusFinished, "fails": task.StatusFailed, "killed": task.StatusCancelled,
		"open": task.StatusRunning, "scheduled": task.StatusSubmitted, "deleted": task.StatusRunning, "late": task.StatusFinished,
	} {
		d := v.doc(l.id(t, name))
		assert.Equal(t, status, d.Status, name)
		assert.Equal(t, "mlflow", d.Kind)
		assert.Equal(t, "test", d.CampaignID)
		assert.Equal(t, name, d.Custom["run_name"])
		assert.Equal(t, status.Ended(), d.EndedAt != 0, name)
		assert.Equal(t, status == task.StatusSubmitted, d.StartedAt == 0, name)
	}
	assert.Equal(t, "deleted", v.doc(l.id(t, "deleted")).Custom["lifecycle_stage"])
	assert.Equal(t, "active", v.doc(l.id(t, "restored")).Custom["lifecycle_stage"])

	t.Run("params are values of their type", func(t *testing.T) {
		used := v.doc(l.id(t, "inner")).Used
		for key, text := range l.Truth["inner"].Params {
			require.Contains(t, used, key)
			assert.Equal(t, text, pythonText(used[key]), key)
		}
		assert.Equal(t, int64(2), used["layers"])
		assert.Equal(t, 0.01, used["learning_rate"])
		assert.Equal(t, true, used["batch_norm"])
		assert.Equal(t, map[string]any{"$int": "12345678901234567890"}, used["big"])
		assert.Equal(t, "1.10", used["version"])
		assert.Len(t, used, len(l.Truth["inner"].Params)+2) // model_path and inputs
	})
	t.Run("metrics and their history", func(t *testing.T) {
		gen := v.doc(l.id(t, "inner")).Generated
		assert.Equal(t, 0.75, gen["loss"])
		assert.Equal(t, math.Inf(1), gen["up"])
		assert.Equal(t, math.Inf(-1), gen["down"])
		assert.True(t, math.IsNaN(gen["only_nan"].(float64)))
		history := gen["metrics_history"].(map[string]any)
		assert.Equal(t, map[string]any{
			"first": 0.5, "last": 0.75, "min": 0.25, "max": 0.75, "count": int64(4), "nan": int64(1), "first_step": int64(0), "last_step": int64(3),
		}, history["loss"])
		assert.NotContains(t, history["only_nan"], "min")
		assert.Equal(t, 3.0, gen["models"], "a metric keeps its name")

		back := v.doc(l.id(t, "back_dated")).Generated["metrics_history"].(map[string]any)["m"].(map[string]any)
		assert.Equal(t, 2.0, back["first"])
		assert.Equal(t, 1.0, back["last"], "the highest step, whatever the clock said")
		assert.Equal(t, 1.0, v.doc(l.id(t, "back_dated")).Generated["m"])

		if l.onServer() {
			return // its columns are whole numbers
		}
		parts := v.doc(l.id(t, "fractions"))
		assert.Equal(t, map[string]any{
			"first": 1.5, "last": 0.5, "min": 0.5, "max": 1.5, "count": int64(3), "first_step": 0.5, "last_step": 1.5,
		}, parts.Generated["metrics_history"].(map[string]any)["loss"])
		assert.Equal(t, 0.5, parts.Generated["loss"])
		assert.Equal(t, []int64{1500e6, 2500e6}, []int64{parts.StartedAt, parts.EndedAt})
	})
	t.Run("nested runs", func(t *testing.T) {
		outer, middle, inner := l.id(t, "outer"), l.id(t, "middle"), l.id(t, "inner")
		d := v.doc(inner)
		assert.Equal(t, outer, d.WorkflowID)
		assert.Equal(t, "outer", d.WorkflowName)
		assert.Equal(t, v.doc(outer).WorkflowID, d.WorkflowParentID)
		assert.Equal(t, (task.Ref{Kind: "mlflow", Key: middle}).ID(), d.Parent)
		assert.Equal(t, outer, d.Execution)
		assert.Equal(t, v.doc(outer).TraceID, d.TraceID)
		assert.Equal(t, "runs.nested", d.ActivityID)
		assert.Equal(t, "runs", v.doc(outer).ActivityID)
		assert.Equal(t, "demo runs", v.doc(outer).WorkflowName)
		assert.True(t, strings.HasPrefix(v.doc(outer).WorkflowID, l.Experiment+"-"))
	})
	t.Run("inputs, artifacts and where they lie", func(t *testing.T) {
		e := v.of(l.id(t, "inner"))[0]
		in := e.Used["inputs"].([]any)[0].(map[string]any)
		path := l.Truth["inner"].Path
		assert.Equal(t, map[string]any{
			"name": "lattice", "digest": l.Truth["inner"].Digest, "source": path, "source_type": "local", "context": "training",
			"id": "digest:mlflow:lattice:" + l.Truth["inner"].Digest,
		}, in)
		require.Contains(t, e.Paths, path)
		assert.NotZero(t, e.Paths[path].ModTime)
		file := e.Generated["artifacts"].([]any)[0].(map[string]any)
		assert.Equal(t, "notes/hello.txt", file["artifact"])
		assert.Equal(t, int64(5), file["bytes"])
		full := filepath.Join(l.Truth["inner"].ArtifactURI, "notes/hello.txt")
		assert.Equal(t, full, file["path"])
		assert.NotZero(t, e.Paths[full].ModTime)
		assert.Equal(t, path, e.Used["model_path"])
		if l.onServer() {
			assert.Nil(t, e.Resource, "runs may come from any host")
			return
		}
		hostname, err := os.Hostname()
		require.NoError(t, err)
		assert.Equal(t, hostname, e.Resource["host.name"])
	})
	t.Run("models", func(t *testing.T) {
		x := l.Truth["model"]
		models := v.doc(x.ID).Generated["models"].([]any)
		require.Len(t, models, 2)
		made, registered := models[0].(map[string]any), models[1].(map[string]any)
		assert.Equal(t, x.ModelID, made["model_id"])
		assert.Equal(t, "READY", made["status"])
		assert.Equal(t, "models:/lattice-net/"+x.Version, registered["uri"])
		assert.Equal(t, []any{"champion"}, registered["aliases"])
	})
	t.Run("who and what", func(t *testing.T) {
		d := v.doc(l.id(t, "inner"))
		assert.NotEmpty(t, d.User)
		assert.True(t, strings.HasSuffix(d.Attributes["code.file.path"].(string), "runs.py"))
		assert.Equal(t, map[string]any{"stage": "train"}, d.Custom["tags"])
		assert.Equal(t, "a remark", d.Custom["description"])
	})
	t.Run("secrets", func(t *testing.T) {
		d := v.doc(l.id(t, "secret"))
		assert.NotContains(t, task.JSON(d.Map()), "hunter2")
		assert.Equal(t, int64(512), d.Used["max_tokens"])
		assert.Equal(t, map[string]any{"$redacted": true}, d.Used["db_password"])
		assert.Equal(t, "postgresql://[redacted]@db.example.org/runs", d.Used["url"])
	})
}

// pythonText is str() of a param, from its value.
func pythonText(v any) string {
	switch v := v.(type) {
	case bool:
		return map[bool]string{true: "True", false: "False"}[v]
	case string:
		return v
	case map[string]any:
		return v["$int"].(string)
	}
	return task.JSON(v)
}

func (l *logged) chosen(t *testing.T) {
	path, db := l.copyTo(t)
	do(t, db, "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (77, 'scratch', 'active')")
	do(t, db, "UPDATE runs SET experiment_id = 77 WHERE run_uuid = ?", l.id(t, "late"))
	v := newView()
	x := start(t, path, v, func(c *Config) {
		c.Experiments.Exclude = []string{"scr*"}
		c.Capture.Policy.DropFields = []string{"used.layers", "used.inputs", "generated.u*", "custom.tags.st*", "custom.description"}
		c.Capture.Policy.DropActivities = []string{"test"}
		c.Capture.Redact, c.Capture.History = []string{"optimizer"}, false
		c.ActivityTag = "stage"
		c.RunsAreLocal = new(bool)
	}, nil)
	eventually(t, "the inner run", func() bool { return v.doc(l.id(t, "inner")) != nil })
	d := v.doc(l.id(t, "inner"))
	assert.NotContains(t, d.Used, "layers")
	assert.NotContains(t, d.Generated, "up")
	assert.Contains(t, d.Generated, "down")
	assert.NotContains(t, d.Generated, "metrics_history")
	assert.NotContains(t, d.Generated, "artifacts")
	assert.NotContains(t, d.Custom, "tags")
	assert.NotContains(t, d.Custom, "description")
	assert.NotContains(t, d.Used, "inputs")
	assert.Equal(t, "train", d.ActivityID)
	assert.Empty(t, d.Host)
	assert.Equal(t, map[string]any{"$redacted": true}, d.Used["optimizer"])

	// Renamed, the experiment is wanted.
	eventually(t, "the others", func() bool { return len(v.docs()) == len(l.Truth)-1 })
	assert.Nil(t, v.doc(l.id(t, "late")))
	do(t, db, "UPDATE experiments SET name = 'kept' WHERE experiment_id = 77")
	eventually(t, "the run of the renamed experiment", func() bool { return v.doc(l.id(t, "late")) != nil })

	// An activity that is not wanted: what is known of the run stays as it is, until it is another activity again.
	do(t, db, `UPDATE tags SET value = 'test' WHERE "key" = 'stage'`)
	eventually(t, "the run is left out", func() bool { return x.leftOut(t, "activity") == 1 })
	do(t, db, `UPDATE tags SET value = 'final' WHERE "key" = 'stage'`)
	eventually(t, "the run is wanted again", func() bool { return v.doc(l.id(t, "inner")).ActivityID == "final" })
	for _, e := range v.of(l.id(t, "inner")) {
		assert.NotEqual(t, "test", e.Activity)
	}
}

func (l *logged) changes(t *testing.T) {
	path, db := l.copyTo(t)
	v := newView()
	x := start(t, path, v, nil, nil)
	l.complete(t, v)
	becomes := func(what, name string, ok func(*task.Document) bool) {
		t.Helper()
		eventually(t, what, func() bool { return ok(v.doc(l.id(t, name))) })
	}
	inner, late, open := l.id(t, "inner"), l.id(t, "late"), l.id(t, "open")

	do(t, db, `INSERT INTO params ("key", value, run_uuid) VALUES ('later', '7', ?)`, late)
	becomes("a param after the end", "late", func(d *task.Document) bool { return d.Used["later"] == int64(7) })

	do(t, db, `INSERT INTO metrics ("key", value, timestamp, run_uuid, step, is_nan) VALUES ('late_metric', 9, 0, ?, 1, false)`, late)
	do(t, db, `UPDATE latest_metrics SET value = 9, step = 1 WHERE run_uuid = ?`, late)
	becomes("a point with the time 0", "late", func(d *task.Document) bool {
		h, _ := d.Generated["metrics_history"].(map[string]any)["late_metric"].(map[string]any)
		return d.Generated["late_metric"] == 9.0 && h["count"] == int64(2)
	})

	do(t, db, "UPDATE runs SET status = 'FINISHED', end_time = 1 WHERE run_uuid = ?", open)
	becomes("an end", "open", func(d *task.Document) bool { return d.Status == task.StatusFinished && d.EndedAt == 1e6 })
	do(t, db, "UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = ?", open)
	becomes("a run that is opened again", "open", func(d *task.Document) bool { return d.Status == task.StatusRunning && d.EndedAt == 0 })

	do(t, db, "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = 5 WHERE run_uuid = ?", inner)
	becomes("a deletion", "inner", func(d *task.Document) bool {
		return d.Custom["lifecycle_stage"] == "deleted" && d.Status == task.StatusFinished
	})
	do(t, db, "UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE run_uuid = ?", inner)
	becomes("a restoration", "inner", func(d *task.Document) bool { return d.Custom["lifecycle_stage"] == "active" })

	do(t, db, `UPDATE tags SET value = 'test' WHERE "key" = 'stage' AND run_uuid = ?`, inner)
	becomes("a tag that is set anew", "inner", func(d *task.Document) bool {
		tags, _ := d.Custom["tags"].(map[string]any)
		return tags["stage"] == "test"
	})
	do(t, db, `DELETE FROM tags WHERE "key" = 'stage' AND run_uuid = ?`, inner)
	becomes("a tag that is deleted", "inner", func(d *task.Document) bool { return d.Custom["tags"] == nil })

	do(t, db, "UPDATE runs SET name = 'outermost' WHERE run_uuid = ?", l.id(t, "outer"))
	becomes("the new name of the root", "inner", func(d *task.Document) bool { return d.WorkflowName == "outermost" })

	// Parents in a circle, by hand: nothing hangs, and each still has one.
	for child, parent := range map[string]string{"late": "back_dated", "back_dated": "late"} {
		do(t, db, `INSERT INTO tags ("key", value, run_uuid) VALUES ('mlflow.parentRunId', ?, ?)`, l.id(t, parent), l.id(t, child))
	}
	becomes("a parent in a circle", "late", func(d *task.Document) bool { return d.Parent != "" && d.WorkflowID == l.id(t, "back_dated") })

	before := v.doc(l.id(t, "outer")).WorkflowID
	do(t, db, "UPDATE experiments SET name = 'renamed' WHERE experiment_id = ?", l.Experiment)
	becomes("the new name of the experiment", "outer", func(d *task.Document) bool { return d.WorkflowName == "renamed" })
	assert.Equal(t, before, v.doc(l.id(t, "outer")).WorkflowID)

	do(t, db, "DELETE FROM registered_model_aliases")
	becomes("an alias that is gone", "model", func(d *task.Document) bool {
		return d.Generated["models"].([]any)[1].(map[string]any)["aliases"] == nil
	})

	// The last tag row goes away and its number comes back: no reason to read everything again.
	if !l.onServer() {
		do(t, db, "DELETE FROM tags WHERE rowid = (SELECT max(rowid) FROM tags)")
	}
	do(t, db, `INSERT INTO tags ("key", value, run_uuid) VALUES ('fresh', 'yes', ?)`, late)
	becomes("a tag in the place of another", "late", func(d *task.Document) bool {
		tags, _ := d.Custom["tags"].(map[string]any)
		return tags["fresh"] == "yes"
	})
	assert.Zero(t, x.logs.FilterMessageSnippet("read again").Len())

	// Quiet again: the gate stays shut and nothing is sent.
	n := v.count()
	polls := x.sum(t, "otelcol_receiver_mlflow_unchanged_polls")
	eventually(t, "polls that end at the gate", func() bool { return x.sum(t, "otelcol_receiver_mlflow_unchanged_polls") > polls+10 })
	assert.Equal(t, n, v.count())
	for _, e := range v.of(open) {
		assert.NotZero(t, e.Seq)
	}
}
