package mlflowreceiver

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// said is how often a message with this text is in the log.
func (x *running) said(text string) int { return x.logs.FilterMessageSnippet(text).Len() }

// silent makes sure that no message holds a password.
func (x *running) silent(t *testing.T, password string) {
	t.Helper()
	for _, entry := range x.logs.All() {
		assert.NotContains(t, entry.Message, password)
		for key, value := range entry.ContextMap() {
			assert.NotContains(t, task.JSON(value), password, key)
		}
	}
}

// serverGone stops the server while we look on, and starts it again.
func (l *logged) serverGone(t *testing.T) {
	s := l.store.(*server)
	uri, db := l.copyTo(t)
	v := newView()
	x := start(t, uri, v, nil, nil)
	l.complete(t, v)
	n := v.count()

	do(t, db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'otelcol-mida'")
	eventually(t, "the broken connection is told", func() bool { return x.said("cannot be reached") == 1 })
	eventually(t, "its end is told", func() bool { return x.said("can be read again") == 1 })

	require.NoError(t, db.Close())
	s.stop()
	failed := x.sum(t, "otelcol_receiver_mlflow_errors")
	eventually(t, "more tries", func() bool { return x.sum(t, "otelcol_receiver_mlflow_errors") > failed+5 })
	assert.Equal(t, 2, x.said("cannot be reached"))
	require.NoError(t, s.start(t))
	db = connect(t, uri)
	do(t, db, `INSERT INTO params ("key", value, run_uuid) VALUES ('afterwards', '1', ?)`, l.id(t, "late"))
	eventually(t, "what came after the restart", func() bool { return v.doc(l.id(t, "late")).Used["afterwards"] == int64(1) })
	assert.Equal(t, n+1, v.count(), "nothing is sent twice")
	assert.Zero(t, x.said("read again, and"))
}

// access goes from no database to one that may be read, each state told once.
func (l *logged) access(t *testing.T) {
	s := l.store.(*server)
	admin := connect(t, s.uri)
	hba := filepath.Join(s.dir, "data", "pg_hba.conf")
	rules, err := os.ReadFile(hba)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(hba, append([]byte("host all observer 127.0.0.1/32 scram-sha-256\n"), rules...), 0o600))
	do(t, admin, "SELECT pg_reload_conf()")
	do(t, admin, "CREATE ROLE observer LOGIN PASSWORD 'Richtig#7'")

	v := newView()
	x := start(t, s.as(url.UserPassword("observer", "wrong-secret"), "elsewhere"), v, nil, nil)
	eventually(t, "a wrong password is told", func() bool { return x.said("cannot be read; trying on") == 1 })
	failed := x.sum(t, "otelcol_receiver_mlflow_errors")
	eventually(t, "more tries", func() bool { return x.sum(t, "otelcol_receiver_mlflow_errors") > failed+3 })
	assert.Equal(t, 1, x.said("cannot be read; trying on"))
	x.stop()
	x.silent(t, "wrong-secret")

	x = start(t, s.as(url.User("observer"), "elsewhere"), v, func(c *Config) { c.Password = "Richtig#7" }, nil)
	eventually(t, "the wait for the database is told", func() bool { return x.said("does not exist yet") == 1 })
	do(t, admin, "CREATE DATABASE elsewhere")
	eventually(t, "the wait for MLflow is told", func() bool { return x.said("no MLflow tracking database yet") == 1 })
	do(t, admin, "DROP DATABASE elsewhere WITH (FORCE)")
	do(t, admin, "CREATE DATABASE elsewhere TEMPLATE "+l.db[strings.LastIndexByte(l.db, '/')+1:])
	eventually(t, "missing grants are told", func() bool {
		return x.logs.FilterMessageSnippet("cannot be read; trying on").FilterMessageSnippet("GRANT").Len() == 1
	})
	assert.Empty(t, v.docs())
	db := connect(t, s.of("elsewhere"))
	do(t, db, "GRANT SELECT ON experiments, runs, params, metrics, latest_metrics, tags, inputs, input_tags, datasets, "+
		"logged_models, model_versions, registered_model_aliases TO observer") // as in docs/mlflow.md
	l.complete(t, v)
	var readOnly string
	require.NoError(t, db.QueryRow("SELECT count(*) || '/' || count(*) FILTER (WHERE backend_xid IS NULL) FROM pg_stat_activity WHERE usename = 'observer'").Scan(&readOnly))
	assert.Equal(t, "1/1", readOnly, "one connection, and it writes nothing")
	x.stop()
	x.silent(t, "Richtig#7")
	require.NoError(t, db.Close())
}

// tableLocked is what a migration of MLflow, or a VACUUM FULL, does.
func (l *logged) tableLocked(t *testing.T) {
	uri, db := l.copyTo(t)
	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	v := newView()
	x := start(t, uri, v, func(c *Config) { c.BusyTimeout = time.Second }, nil)
	eventually(t, "the lock is told", func() bool { return x.said("stays locked") == 1 })
	require.NoError(t, tx.Rollback())
	l.complete(t, v)
	eventually(t, "its end", func() bool { return x.said("can be read again") == 1 })
}
