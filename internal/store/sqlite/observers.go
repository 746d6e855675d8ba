package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

const (
	sqlFindObserver = `SELECT n, at, seq, last_seq, dropped, final, host, record, finished FROM observers
 WHERE observer = ? AND campaign = ?`
	sqlPutObserver    = `INSERT INTO observers (observer, campaign, at, seq, last_seq, dropped, final, host) VALUES (?,?,0,0,0,'[]',0,'')`
	sqlUpdateObserver = `UPDATE observers SET at=?, seq=?, last_seq=?, dropped=?, final=?, host=?, record=?, finished=? WHERE n=?`
	sqlRangesOf       = `SELECT first, last FROM seqs WHERE observer = ? ORDER BY first`
	sqlPutRange       = `INSERT INTO seqs (observer, first, last) VALUES (?,?,?) ON CONFLICT DO UPDATE SET last = excluded.last`
	sqlDeleteRange    = `DELETE FROM seqs WHERE observer = ? AND first = ?`
)

// observerRow is what the tables say of one observer in one campaign. Only the writer uses it.
type observerRow struct {
	n int64 // row number
	view.Observed
}

// maxObservers bounds how many the writer remembers; observers come and go with the processes of the campaign.
const maxObservers = 1000

// observer returns an observer in a campaign, made if missing.
func (s *Store) observer(ses *session, k view.Observer) (*observerRow, error) {
	if o := s.observers[k]; o != nil {
		return o, nil
	}
	o := &observerRow{Observed: view.Observed{Checkpoint: view.Checkpoint{Dropped: "[]", Record: "{}"}}}
	err := ses.query(sqlFindObserver, func(v []driver.Value) error {
		o.n = intOf(v[0])
		o.Checkpoint = view.Checkpoint{
			At: intOf(v[1]), Seq: intOf(v[2]), LastSeq: intOf(v[3]), Dropped: textOf(v[4]), Final: intOf(v[5]) != 0,
			Host: textOf(v[6]), Record: textOf(v[7]),
		}
		o.Finished = intOf(v[8])
		return nil
	}, k.ID, k.Campaign)
	if err != nil {
		return nil, err
	}
	if o.n == 0 {
		res, err := ses.exec(sqlPutObserver, k.ID, k.Campaign)
		if err != nil {
			return nil, err
		}
		if o.n, err = res.LastInsertId(); err != nil {
			return nil, err
		}
	}
	err = ses.query(sqlRangesOf, func(v []driver.Value) error {
		o.Arrived = append(o.Arrived, [2]int64{intOf(v[0]), intOf(v[1])})
		return nil
	}, o.n)
	if err != nil {
		return nil, err
	}
	if len(s.observers) >= maxObservers {
		clear(s.observers)
	}
	s.observers[k] = o
	return o, nil
}

func (s *Store) mergeObservers(ses *session, b *view.Batch) error {
	for k := range b.Observers() {
		o, err := s.observer(ses, k)
		if err != nil {
			return fmt.Errorf("observer %s: %w", k.ID, err)
		}
		now, more := b.Observed(k, o.Observed)
		if !more {
			continue
		}
		if err := o.put(ses, now); err != nil {
			return fmt.Errorf("observer %s: %w", k.ID, err)
		}
	}
	return nil
}

// put writes what is known by now. Ranges grow and meet; no number is taken away.
func (o *observerRow) put(ses *session, now view.Observed) error {
	if c := now.Checkpoint; c != o.Checkpoint || now.Finished != o.Finished {
		_, err := ses.exec(sqlUpdateObserver, c.At, c.Seq, c.LastSeq, c.Dropped, flag(c.Final), c.Host, c.Record, now.Finished, o.n)
		if err != nil {
			return err
		}
	}
	old := o.Arrived
	for _, x := range now.Arrived {
		known := false
		for ; len(old) > 0 && old[0][0] <= x[1]; old = old[1:] {
			if known = known || old[0] == x; old[0][0] == x[0] {
				continue // the same, or written over below
			}
			if _, err := ses.exec(sqlDeleteRange, o.n, old[0][0]); err != nil {
				return err
			}
		}
		if known {
			continue
		}
		if _, err := ses.exec(sqlPutRange, o.n, x[0], x[1]); err != nil {
			return err
		}
	}
	o.Observed = now
	return nil
}

const sqlObservers = `SELECT n, observer, campaign, at, seq, last_seq, dropped, final, host, record, finished FROM observers`

func scanObserver(r interface{ Scan(to ...any) error }) (n int64, k view.Observer, o view.Observed, err error) {
	c := &o.Checkpoint
	err = r.Scan(&n, &k.ID, &k.Campaign, &c.At, &c.Seq, &c.LastSeq, &c.Dropped, &c.Final, &c.Host, &c.Record, &o.Finished)
	return n, k, o, err
}

// Checkpoints implements store.Reader.
func (s *Store) Checkpoints(ctx context.Context, campaign string) ([]store.Checkpoint, error) {
	var out []store.Checkpoint
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		arrived, err := arrivedNumbers(ctx, tx, campaign)
		if err != nil {
			return err
		}
		return each(ctx, tx, func(r *sql.Rows) error {
			n, k, o, err := scanObserver(r)
			if err != nil {
				return err
			}
			o.Arrived = arrived[n]
			c, err := o.Answer(k)
			out = append(out, c)
			return err
		}, sqlObservers+` WHERE ?1 = '' OR campaign = ?1 ORDER BY campaign, observer`, campaign)
	})
	return out, err
}

// arrivedNumbers are the ranges of each observer that is in the campaign, by its row number.
func arrivedNumbers(ctx context.Context, tx *sql.Tx, campaign string) (map[int64]view.Ranges, error) {
	arrived := map[int64]view.Ranges{}
	err := each(ctx, tx, func(r *sql.Rows) error {
		var n int64
		var numbers [2]int64
		if err := r.Scan(&n, &numbers[0], &numbers[1]); err != nil {
			return err
		}
		arrived[n] = append(arrived[n], numbers)
		return nil
	}, `SELECT s.observer, s.first, s.last FROM seqs s JOIN observers o ON o.n = s.observer
 WHERE ?1 = '' OR o.campaign = ?1 ORDER BY s.observer, s.first`, campaign)
	return arrived, err
}
