package taskstoreexporter

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"
)

// contents is all that a database holds.
type contents struct {
	schema         []string           // statements that make its tables and indexes
	rows           map[string][][]any // by table, in the order in which they were written
	perTransaction int                // tasks
}

// perTask are the tables that have rows of a task, each by the number n of the task, in the order in which they are written.
var perTask = []string{"tasks", "leaves", "states", "edges", "claims"}

// perStore are the others that a benchmark fills.
var perStore = []string{"observers", "seqs"}

func readContents(b *testing.B, path string) *contents {
	db, err := sql.Open("sqlite", path+"?_pragma=query_only(1)")
	require.NoError(b, err)
	defer db.Close()
	c := &contents{rows: map[string][][]any{}}
	for _, r := range readRows(b, db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid") {
		c.schema = append(c.schema, r[0].(string))
	}
	for _, table := range perTask {
		c.rows[table] = readRows(b, db, "SELECT * FROM "+table+" ORDER BY n, rowid")
	}
	for _, table := range perStore {
		c.rows[table] = readRows(b, db, "SELECT * FROM "+table)
	}
	return c
}

func readRows(b *testing.B, db *sql.DB, query string) (out [][]any) {
	rows, err := db.Query(query)
	require.NoError(b, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(b, err)
	for rows.Next() {
		values, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		require.NoError(b, rows.Scan(dest...))
		out = append(out, values)
	}
	require.NoError(b, rows.Err())
	return out
}

// bare opens a new database with the settings of the store.
func bare(b *testing.B, schema ...string) *sql.DB {
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(full)"+
		"&_pragma=cache_size(-32768)&_pragma=wal_autocheckpoint(4000)&_pragma=journal_size_limit(67108864)")
	require.NoError(b, err)
	db.SetMaxOpenConns(1)
	for _, s := range schema {
		_, err = db.Exec(s)
		require.NoError(b, err)
	}
	return db
}

func insertInto(b *testing.B, db *sql.DB, table string, columns int) *sql.Stmt {
	st, err := db.Prepare("INSERT INTO " + table + " VALUES (?" + strings.Repeat(",?", columns-1) + ")")
	require.NoError(b, err)
	return st
}

// sameRows writes the rows that the store wrote.
func (c *contents) sameRows(b *testing.B) time.Duration {
	db := bare(b, c.schema...)
	defer db.Close()
	statements := map[string]*sql.Stmt{}
	for table, rows := range c.rows {
		if len(rows) > 0 {
			statements[table] = insertInto(b, db, table, len(rows[0]))
			defer statements[table].Close()
		}
	}
	insert := func(table string, values []any) {
		if _, err := statements[table].Exec(values...); err != nil {
			b.Fatal(table, err)
		}
	}
	exec := func(statement string) {
		if _, err := db.Exec(statement); err != nil {
			b.Fatal(statement, err)
		}
	}
	started := time.Now()
	next := map[string]int{}
	exec("BEGIN IMMEDIATE")
	for i, row := range c.rows["tasks"] {
		if i > 0 && i%c.perTransaction == 0 {
			exec("COMMIT")
			exec("BEGIN IMMEDIATE")
		}
		insert("tasks", row)
		for _, table := range perTask[1:] { // whose first column is n
			rows, at := c.rows[table], next[table]
			for ; at < len(rows) && rows[at][0] == row[0]; at++ {
				insert(table, rows[at])
			}
			next[table] = at
		}
	}
	for _, table := range perStore {
		for _, row := range c.rows[table] {
			insert(table, row)
		}
	}
	exec("COMMIT")
	took := time.Since(started)
	for table := range c.rows {
		var n int
		require.NoError(b, db.QueryRow("SELECT count(*) FROM "+table).Scan(&n))
		require.Len(b, c.rows[table], n, table)
	}
	return took
}

// oneRow upserts (id, state), in transactions of one request each.
func (c *contents) oneRow(b *testing.B) time.Duration {
	db := bare(b, `CREATE TABLE tasks (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state BLOB NOT NULL)`)
	defer db.Close()
	tasks, states := c.rows["tasks"], c.rows["states"]
	started := time.Now()
	for first := 0; first < len(tasks); first += benchRequest {
		tx, err := db.Begin()
		require.NoError(b, err)
		st, err := tx.Prepare(`INSERT INTO tasks (id, state) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state`)
		require.NoError(b, err)
		for i := first; i < min(first+benchRequest, len(tasks)); i++ {
			if _, err := st.Exec(tasks[i][1], states[i][1]); err != nil {
				b.Fatal(err)
			}
		}
		require.NoError(b, tx.Commit())
	}
	return time.Since(started)
}
