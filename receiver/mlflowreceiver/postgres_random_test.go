package mlflowreceiver

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomWriter is a connection that writes in transactions.
type randomWriter struct {
	db    *sql.DB
	tx    *sql.Tx
	inner bool // a savepoint is set
}

// anyOrder lets several writers do what they like, in an order that a seed decides, with polls between: transactions that
// stay open, savepoints, what is rolled back, deleted runs whose places are used again. In the end every run has what is
// in the database, each point once. MIDA_SEED repeats a case.
func anyOrder(t *testing.T, s *server) {
	seed := rand.Uint64()
	if n, err := strconv.ParseUint(os.Getenv("MIDA_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("MIDA_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const runs = 400
	f := follow(t, s, runs)
	gone, n := 0, 0
	writers := make([]*randomWriter, 5)
	for i := range writers {
		writers[i] = &randomWriter{db: connect(t, f.uri)}
	}
	exec := func(w *randomWriter, query string, args ...any) {
		_, err := w.tx.Exec(forDriver(w.db, query), args...)
		require.NoError(t, err, query)
	}
	write := func(w *randomWriter) {
		id := runID(300 + r.IntN(runs-300) + 1)
		for range 1 + r.IntN(200) {
			n++
			exec(w, aPoint, "any", id, n)
		}
		n++
		exec(w, "INSERT INTO params VALUES (?, '1', ?)", "p"+strconv.Itoa(n), id)
	}
	for range 400 {
		w := writers[r.IntN(len(writers))]
		if w.tx == nil {
			var err error
			w.tx, err = w.db.Begin()
			require.NoError(t, err)
		}
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			write(w)
		case 4:
			if w.inner {
				exec(w, []string{"ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a"}[r.IntN(2)])
			} else {
				exec(w, "SAVEPOINT a")
			}
			w.inner = !w.inner
			write(w)
		case 5, 6:
			require.NoError(t, w.tx.Commit())
			w.tx, w.inner = nil, false
		case 7:
			require.NoError(t, w.tx.Rollback())
			w.tx, w.inner = nil, false
		case 8:
			if gone < 290 && r.IntN(3) == 0 {
				for range 10 {
					gone++
					for _, table := range []string{"params", "metrics", "latest_metrics", "tags", "runs"} {
						do(t, f.db, "DELETE FROM "+table+" WHERE run_uuid = ?", runID(gone))
					}
				}
				do(t, f.db, "VACUUM metrics")
				do(t, f.db, "VACUUM params")
			}
		default:
			f.poll()
		}
	}
	for _, w := range writers {
		if w.tx != nil {
			require.NoError(t, w.tx.Commit())
		}
	}
	eventually(t, "an end of all scans", func() bool {
		f.settle()
		return !f.source.pending() && !f.sweep.busy
	})
	rows, err := f.db.Query(`SELECT r.run_uuid, (SELECT count(*) FROM metrics AS m WHERE m.run_uuid = r.run_uuid AND "key" = 'any'),
		(SELECT count(*) FROM params AS p WHERE p.run_uuid = r.run_uuid) FROM runs AS r`)
	require.NoError(t, err)
	defer rows.Close()
	checked := 0
	for rows.Next() {
		var id string
		var points int64
		var params int
		require.NoError(t, rows.Scan(&id, &points, &params))
		got := f.delivered[id]
		require.Equal(t, fmt.Sprint(points, " ", params), fmt.Sprint(got.history["any"].count, " ", len(got.params)), "run %s", id)
		checked++
	}
	require.NoError(t, rows.Err())
	require.Equal(t, runs-gone, checked)
}
