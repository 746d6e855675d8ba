package mlflowreceiver

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fillServer makes a database with MLflow's tables and indexes, each run with 20 params, 20 metrics and 5 tags.
func fillServer(t testing.TB, s *server, runs int) (string, *sql.DB) {
	t.Helper()
	uri := s.fresh(t)
	db := connect(t, uri)
	schema, err := os.ReadFile(filepath.Join("testdata", "schema.sql"))
	require.NoError(t, err)
	do(t, db, string(schema))
	of := fmt.Sprintf(" FROM generate_series(1, %d) AS i", runs)
	keys := of + ", generate_series(0, 19) AS k"
	do(t, db, "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id) "+
		"SELECT lpad(to_hex(i), 32, '0'), 'run', 'FINISHED', 1790000000000 + i, 1790000000500 + i, 'active', '', 1"+of)
	do(t, db, "INSERT INTO params SELECT 'key_' || k, '0.25', lpad(to_hex(i), 32, '0')"+keys)
	do(t, db, "INSERT INTO metrics SELECT 'key_' || k, 0.5, i, lpad(to_hex(i), 32, '0'), 1, false"+keys)
	do(t, db, "INSERT INTO latest_metrics SELECT 'key_' || k, 0.5, i, 1, false, lpad(to_hex(i), 32, '0')"+keys)
	do(t, db, "INSERT INTO tags SELECT 'key_' || k, 'value', lpad(to_hex(i), 32, '0')"+of+", generate_series(0, 4) AS k")
	do(t, db, "VACUUM ANALYZE")
	return uri, db
}

// followed is a database whose polls the test makes.
type followed struct {
	*watcher
	db        *sql.DB
	uri       string
	delivered map[string]*run
	times     map[string]int // how often each run was delivered
	poll      func()
}

func follow(t *testing.T, s *server, runs int) *followed {
	t.Helper()
	f := &followed{times: map[string]int{}, delivered: map[string]*run{}}
	f.uri, f.db = fillServer(t, s, runs)
	f.watcher, _, _ = byHand(t, f.uri)
	emit := func(_ context.Context, runs []*run) error {
		for _, x := range runs {
			f.delivered[x.id] = x
			f.times[x.id]++
		}
		return nil
	}
	f.poll = func() { require.NoError(t, f.watcher.poll(t.Context(), emit)) }
	f.settle()
	require.Len(t, f.delivered, runs)
	return f
}

// settle polls until nothing is left to do.
func (f *followed) settle() {
	for f.poll(); f.behind || len(f.touched) > 0; f.poll() {
	}
}

// points are how many of a metric the last delivery of a run counted.
func (f *followed) points(i int, key string) int64 {
	x := f.delivered[runID(i)]
	if x == nil {
		return 0
	}
	return x.history[key].count
}

const aPoint = `INSERT INTO metrics ("key", value, timestamp, run_uuid, step, is_nan) VALUES (?, 1, 1, ?, ?, false)`

// manyPoints fills pages of the table at its end.
func (f *followed) manyPoints(t *testing.T, i int, key string, n int) {
	t.Helper()
	do(t, f.db, `INSERT INTO metrics ("key", value, timestamp, run_uuid, step, is_nan) SELECT ?::text, g, g, ?::text, g, false FROM generate_series(1, ?::int) AS g`,
		key, runID(i), n)
}

func TestPostgreSQL(t *testing.T) {
	s := startServer(t)
	t.Run("a transaction that is open across polls", func(t *testing.T) { lateCommit(t, s, "") })
	t.Run("and one within it", func(t *testing.T) { lateCommit(t, s, "SAVEPOINT a") })
	t.Run("rolled back", func(t *testing.T) { rolledBack(t, s) })
	t.Run("places that became free", func(t *testing.T) { freePlaces(t, s) })
	t.Run("a rewritten table", func(t *testing.T) { rewritten(t, s) })
	t.Run("restart during an open transaction", func(t *testing.T) { restartWhileOpen(t, s) })
	t.Run("any order", func(t *testing.T) { anyOrder(t, s) })
	t.Run("only the end of a table is read", func(t *testing.T) { onlyTheEnd(t, s) })
	t.Run("numbers of transactions go round", numbersGoRound)
}

// lateCommit writes a row long before it becomes visible; thousands of rows of others come behind it meanwhile.
func lateCommit(t *testing.T, s *server, before string) {
	f := follow(t, s, 500)
	late := connect(t, f.uri)
	tx, err := late.Begin()
	require.NoError(t, err)
	defer tx.Rollback() // after the commit there is nothing to roll back
	// The first number belongs to the transaction itself, so that the rows have a later one.
	_, err = tx.Exec("UPDATE experiments SET last_update_time = 7")
	require.NoError(t, err)
	if before != "" {
		_, err = tx.Exec(before)
		require.NoError(t, err)
	}
	_, err = tx.Exec(forDriver(late, aPoint), "late", runID(1), 1)
	require.NoError(t, err)
	_, err = tx.Exec(forDriver(late, `INSERT INTO params VALUES ('late', '1', ?)`), runID(2))
	require.NoError(t, err)
	for i := range 5 {
		f.manyPoints(t, 3, fmt.Sprint("others", i), 4000)
		f.settle()
		assert.Equal(t, int64(4000), f.points(3, fmt.Sprint("others", i)))
	}
	assert.Zero(t, f.points(1, "late"))
	n := f.times[runID(3)]
	// One more point of the run whose late one is not yet visible: its history was read before.
	do(t, f.db, aPoint, "early", runID(1), 1)
	f.settle()
	assert.Equal(t, int64(1), f.points(1, "early"))
	_, err = tx.Exec(forDriver(late, aPoint), "late", runID(1), 2)
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	f.settle()
	assert.Equal(t, int64(2), f.points(1, "late"))
	assert.Equal(t, int64(1), f.points(1, "early"))
	assert.Contains(t, f.delivered[runID(2)].params, pair{"late", "1"})
	assert.Equal(t, n, f.times[runID(3)], "what was known is not read again")
	assert.Equal(t, int64(4000), f.points(3, "others0"), "no point counts twice")
	do(t, f.db, aPoint, "more", runID(3), 1)
	f.settle()
	assert.Equal(t, int64(4000), f.points(3, "others4"))
	assert.Equal(t, int64(1), f.points(3, "more"))
}

func rolledBack(t *testing.T, s *server) {
	f := follow(t, s, 50)
	tx, err := f.db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec(forDriver(f.db, aPoint), "never", runID(1), 1)
	require.NoError(t, err)
	f.settle()
	require.NoError(t, tx.Rollback())
	do(t, f.db, aPoint, "then", runID(1), 1)
	f.settle()
	assert.Equal(t, int64(1), f.points(1, "then"))
	assert.Zero(t, f.points(1, "never"))
	assert.Equal(t, 2, f.times[runID(1)])
}

// freePlaces has rows deleted and the table cleaned up, so that new rows lie far from its end, where only a pass finds
// them.
func freePlaces(t *testing.T, s *server) {
	f := follow(t, s, 2000)
	f.manyPoints(t, 7, "before", 10)
	f.settle()
	for i := 1; i <= 5; i++ {
		for _, table := range []string{"params", "metrics", "latest_metrics", "tags", "runs"} {
			do(t, f.db, "DELETE FROM "+table+" WHERE run_uuid = ?", runID(i))
		}
	}
	do(t, f.db, "VACUUM")
	f.settle()
	var place string
	require.NoError(t, f.db.QueryRow(`INSERT INTO metrics ("key", value, timestamp, run_uuid, step, is_nan) VALUES ('reuse', 1, 1, $1, 1, false) RETURNING ctid::text`,
		runID(7)).Scan(&place))
	at, err := parseTID(place)
	require.NoError(t, err)
	h := f.source.(*postgres).heaps["metrics"]
	require.Less(t, at>>16, h.first(), "the test needs a row before the end")
	fresh := strings.Repeat("a", 32)
	do(t, f.db, "INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, experiment_id) VALUES (?, 'fresh', 'FINISHED', 5, 'active', 1)", fresh)
	do(t, f.db, `INSERT INTO params ("key", value, run_uuid) VALUES ('a', '1', ?)`, fresh)
	f.settle()
	eventually(t, "the point and the run", func() bool {
		f.settle()
		return f.points(7, "reuse") == 1 && f.delivered[fresh] != nil && len(f.delivered[fresh].params) == 1
	})
	assert.Equal(t, int64(10), f.points(7, "before"))
	eventually(t, "the end of the passes", func() bool {
		f.settle()
		return !f.source.pending()
	})
	// At a slow pace only the server's count of inserted rows makes a pass hurry.
	f.cfg.PollInterval = time.Hour
	f.source.(*postgres).calm = time.Time{} // whatever hurried before
	f.manyPoints(t, 7, "after", 3)
	require.NoError(t, f.db.Close()) // a session that goes on may count up to 10 s later
	eventually(t, "points in more of the free places", func() bool {
		f.settle()
		return f.points(7, "after") == 3
	})
	assert.Equal(t, int64(1), f.points(7, "reuse"))
}

func rewritten(t *testing.T, s *server) {
	f := follow(t, s, 300)
	f.manyPoints(t, 7, "before", 10)
	f.settle()
	do(t, f.db, "DELETE FROM metrics WHERE run_uuid = ?", runID(1))
	do(t, f.db, "VACUUM FULL metrics")
	do(t, f.db, aPoint, "then", runID(7), 1)
	f.settle()
	assert.Equal(t, int64(10), f.points(7, "before"))
	assert.Equal(t, int64(1), f.points(7, "then"))
	assert.Zero(t, f.points(1, "key_0"))
}

// restartWhileOpen is a new process that begins with the position of the old one.
func restartWhileOpen(t *testing.T, s *server) {
	f := follow(t, s, 500)
	tx, err := connect(t, f.uri).Begin()
	require.NoError(t, err)
	_, err = tx.Exec(forDriver(f.db, `INSERT INTO params VALUES ('late', '1', ?)`), runID(2))
	require.NoError(t, err)
	f.manyPoints(t, 3, "others", 9000)
	f.settle()
	saved := f.keeper.cursor.Marks
	f.closeDatabase()
	fresh, err := f.cfg.source()
	require.NoError(t, err)
	f.source, f.reader.histories, f.reader.registry = fresh, histories{}, newRegistry()
	f.keeper.cursor.Marks = saved
	f.manyPoints(t, 3, "away", 5)
	f.settle()
	require.NoError(t, tx.Commit())
	f.settle()
	assert.Contains(t, f.delivered[runID(2)].params, pair{"late", "1"})
	assert.Equal(t, int64(9000), f.points(3, "others"))
	assert.Equal(t, int64(5), f.points(3, "away"))
	assert.Equal(t, 1, f.times[runID(4)], "a position makes it unnecessary to read the others again")
}

func onlyTheEnd(t *testing.T, s *server) {
	f := follow(t, s, 500)
	h := f.source.(*postgres).heaps["metrics"]
	query := (&postgres{}).placeholders("EXPLAIN " + h.query())
	var plan string
	require.NoError(t, f.db.QueryRow(query, int64(1), tid(5), tid(9), int64(2), int64(0), "{}").Scan(&plan))
	assert.Contains(t, plan, "Tid Range Scan")
}

func numbersGoRound(t *testing.T) {
	h := &heap{tail: tails[0]}
	const round = 1 << 32
	for xid, want := range map[string]uint64{"4294967290": 3*round - 6, "3": 3*round + 3, "2147483660": 3*round - 2147483636} {
		a, err := h.arrival(func(dest ...any) error {
			*dest[0].(*string), *dest[1].(*string) = "(70000,3)", xid
			return nil
		}, 3*round+5)
		require.NoError(t, err)
		assert.Equal(t, want, a.xid)
		assert.Equal(t, int64(70000<<16|3), a.place)
	}
}
