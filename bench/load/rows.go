package main

import (
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite"
)

// rows writes what a database of the collector holds into a new one: the same tables and indexes, rows, values and order,
// as durable, in transactions of the given numbers of tasks, from memory.
func rows(args []string) error {
	f := flag.NewFlagSet("rows", flag.ContinueOnError)
	path := f.String("db", "", "database of a collector that has ended")
	per := f.String("per", "1000,10000", "tasks a transaction")
	if err := f.Parse(args); err != nil {
		return err
	}
	c, err := read(*path)
	if err != nil {
		return err
	}
	for _, p := range strings.Split(*per, ",") {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 {
			return fmt.Errorf("per: %q is not a number of tasks", p)
		}
		took, err := c.write(filepath.Join(filepath.Dir(*path), "bare"), n)
		if err != nil {
			return err
		}
		say(map[string]any{"batch": p, "tasks": len(c.rows["tasks"]), "seconds": took.Seconds()})
	}
	return nil
}

// content is all that a database holds; the tables of ofTask have rows by the number of the task, their first column.
type content struct {
	schema []string
	tables []string
	rows   map[string][][]any
}

var ofTask = []string{"tasks", "leaves", "states", "edges", "claims"}

func read(path string) (*content, error) {
	db, err := sql.Open("sqlite", path+"?_pragma=query_only(1)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	c := &content{rows: map[string][][]any{}}
	found, err := query(db, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		c.schema = append(c.schema, r[2].(string))
		if r[0] == "table" {
			c.tables = append(c.tables, r[1].(string))
		}
	}
	for _, t := range c.tables {
		order := ""
		if isOfTask(t) {
			order = " ORDER BY n, rowid"
		}
		if c.rows[t], err = query(db, "SELECT * FROM "+t+order); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func isOfTask(table string) bool {
	for _, t := range ofTask {
		if t == table {
			return true
		}
	}
	return false
}

func query(db *sql.DB, text string) (out [][]any, err error) {
	rows, err := db.Query(text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		out = append(out, values)
	}
	return out, rows.Err()
}

func (c *content) write(path string, per int) (time.Duration, error) {
	defer func() {
		for _, end := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + end)
		}
	}()
	// The settings of the store.
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(full)"+
		"&_pragma=cache_size(-32768)&_pragma=wal_autocheckpoint(4000)&_pragma=journal_size_limit(67108864)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range c.schema {
		if _, err := db.Exec(s); err != nil {
			return 0, fmt.Errorf("%s: %w", s, err)
		}
	}
	insert := map[string]*sql.Stmt{}
	for t, r := range c.rows {
		if len(r) == 0 {
			continue
		}
		if insert[t], err = db.Prepare("INSERT INTO " + t + " VALUES (?" + strings.Repeat(",?", len(r[0])-1) + ")"); err != nil {
			return 0, err
		}
		defer insert[t].Close()
	}
	started := time.Now()
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		return 0, err
	}
	next := map[string]int{}
	for i, row := range c.rows["tasks"] {
		if i > 0 && i%per == 0 {
			if _, err := db.Exec("COMMIT; BEGIN IMMEDIATE"); err != nil {
				return 0, err
			}
		}
		for _, t := range ofTask {
			all, at := c.rows[t], next[t]
			for ; at < len(all) && all[at][0] == row[0]; at++ {
				if _, err := insert[t].Exec(all[at]...); err != nil {
					return 0, fmt.Errorf("%s: %w", t, err)
				}
			}
			next[t] = at
		}
	}
	for _, t := range c.tables {
		for _, row := range c.rows[t][next[t]:] {
			if _, err := insert[t].Exec(row...); err != nil {
				return 0, fmt.Errorf("%s: %w", t, err)
			}
		}
	}
	if _, err := db.Exec("COMMIT"); err != nil {
		return 0, err
	}
	return time.Since(started), nil
}
