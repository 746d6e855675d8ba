package mlflowreceiver

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
)

// tails reads all of them in one transaction.
func (s *sqliteFile) tails(ctx context.Context, d *database, _ string, r *reader, old map[string]mark) (tailed, error) {
	out := tailed{marks: map[string]mark{}}
	err := d.read(ctx, r.count, func(tx rows) error {
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
						out.again = &again{"rewritten", t.table, "rows were deleted from the MLflow database"}
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
					out.first = true
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
	err := tx.db.conn.QueryRowContext(tx.ctx, "SELECT "+t.print+" FROM "+t.table+" AS t WHERE t.rowid = ?", row).Scan(&print)
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

// advance reads points of a run behind its mark: row numbers grow, as long as the table is not rewritten.
func (s *sqliteFile) advance(tx rows, h *history, id string, limit int) (int, error) {
	n := 0
	err := tx.each("metrics",
		`SELECT rowid, "key", value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? AND rowid > ? ORDER BY rowid LIMIT ?`,
		[]any{id, h.mark, limit}, func(scan func(...any) error) error {
			var (
				rowid int64
				key   string
				value float64
				p     point
				isNaN bool
			)
			if err := scan(&rowid, &key, &value, &p.time, &p.step, &isNaN); err != nil {
				return err
			}
			p.value = decodeMetric(value, isNaN)
			h.series[key] = h.series[key].add(p)
			h.mark = rowid
			n++
			return nil
		})
	return n, err
}
