package mlflowreceiver

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
)

const (
	runsAtOnce = 100  // runs that are read whole in one transaction
	rowsAtOnce = 2000 // rows of one tail in one transaction
)

// tail reads what was inserted into a table. Nothing in MLflow's tables tells time: metric timestamps are the client's.
type tail struct {
	table string
	run   string // expression of the run that a row belongs to
	print string // expression of what makes a row that row
	limit int
}

var tails = []tail{
	{"runs", "t.run_uuid", "t.run_uuid", runsAtOnce},
	{"params", "t.run_uuid", `t.run_uuid || '/' || t."key"`, rowsAtOnce},
	{"metrics", "t.run_uuid", `t.run_uuid || '/' || t.step || '/' || t.timestamp || '/' || t."key"`, rowsAtOnce},
	{"tags", "t.run_uuid", `t.run_uuid || '/' || t."key"`, rowsAtOnce},
	{"inputs", "CASE WHEN t.destination_type = 'RUN' THEN t.destination_id ELSE t.source_id END", "t.input_uuid", rowsAtOnce},
}

// tailed is what one reading of all tails found.
type tailed struct {
	runs      []string
	marks     map[string]mark
	more      bool  // a tail was longer than its limit
	behind    int64 // inserted rows that were not read
	rewritten string
	tags      bool // rows of tags went away
}

// readTails reads all tails in one transaction. Tables without a mark begin at their end, except runs: whole runs are
// read anyway, and what they hold is in them.
func readTails(ctx context.Context, d *database, old map[string]mark, count func(string, int)) (tailed, error) {
	out := tailed{marks: map[string]mark{}}
	err := d.read(ctx, count, func(tx rows) error {
		touched := map[string]struct{}{}
		for _, t := range tails {
			if !d.schema.has(t.table) {
				continue
			}
			m, known := old[t.table]
			last, err := t.last(tx)
			if err != nil {
				return err
			}
			if !known {
				if t.table == "runs" {
					last = mark{}
				}
				m = last
			} else if m.Row > 0 {
				print, err := t.at(tx, m.Row)
				if err != nil {
					return err
				}
				if print != m.Print {
					if t.table != "tags" {
						out.rewritten = t.table
						return nil
					}
					// Tags are deleted every day. The sweep compares all of them, so only this mark moves.
					out.tags = true
					m = last
				}
			}
			n, err := t.read(tx, &m, touched)
			if err != nil {
				return err
			}
			out.marks[t.table] = m
			if n == t.limit {
				out.more = true
				if t.table == "runs" { // last was set aside above
					if last, err = t.last(tx); err != nil {
						return err
					}
				}
				out.behind += max(last.Row-m.Row, 0)
			}
		}
		for id := range touched {
			out.runs = append(out.runs, id)
		}
		return nil
	})
	return out, err
}

// read moves the mark over rows behind it.
func (t tail) read(tx rows, m *mark, touched map[string]struct{}) (int, error) {
	n := 0
	err := tx.each(t.table, "SELECT t.rowid, "+t.run+", "+t.print+" FROM "+t.table+" AS t WHERE t.rowid > ? ORDER BY t.rowid LIMIT ?",
		[]any{m.Row, t.limit}, func(scan func(...any) error) error {
			var run, print sql.NullString
			if err := scan(&m.Row, &run, &print); err != nil {
				return err
			}
			m.Print = fingerprint(print.String)
			touched[run.String] = struct{}{}
			n++
			return nil
		})
	return n, err
}

func (t tail) last(tx rows) (mark, error) {
	var m mark
	err := tx.each(t.table, "SELECT t.rowid, "+t.print+" FROM "+t.table+" AS t ORDER BY t.rowid DESC LIMIT 1", nil, func(scan func(...any) error) error {
		var print sql.NullString
		err := scan(&m.Row, &print)
		m.Print = fingerprint(print.String)
		return err
	})
	return m, err
}

// at is the fingerprint of a row, 0 when there is no such row.
func (t tail) at(tx rows, row int64) (uint64, error) {
	var print sql.NullString
	err := tx.conn.QueryRowContext(tx.ctx, "SELECT "+t.print+" FROM "+t.table+" AS t WHERE t.rowid = ?", row).Scan(&print)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return fingerprint(print.String), err
}

func fingerprint(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
