package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Checkpoints implements store.Reader.
func (s *Store) Checkpoints(ctx context.Context, campaign string) ([]store.Checkpoint, error) {
	var out []store.Checkpoint
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		arrived, err := arrivedNumbers(ctx, tx, campaign)
		if err != nil {
			return err
		}
		return each(ctx, tx, func(r *sql.Rows) error {
			var n int64
			var c store.Checkpoint
			var dropped, record string
			err := r.Scan(&n, &c.Observer, &c.Campaign, &c.At, &c.LastSeq, &dropped, &c.Final, &c.Host, &record, &c.Finished)
			if err != nil {
				return err
			}
			v, err := task.DecodeStored([]byte(dropped))
			if err != nil {
				return fmt.Errorf("checkpoint of %s: %w", c.Observer, err)
			}
			c.Dropped, _ = v.([]any)
			if v, err = task.DecodeStored([]byte(record)); err != nil {
				return fmt.Errorf("checkpoint of %s: %w", c.Observer, err)
			}
			if m, _ := v.(map[string]any); len(m) > 0 {
				c.Record = m
			}
			c.Arrivals(arrived[n])
			out = append(out, c)
			return nil
		}, `SELECT n, observer, campaign, at, last_seq, dropped, final, host, record, finished FROM observers
 WHERE ?1 = '' OR campaign = ?1 ORDER BY campaign, observer`, campaign)
	})
	return out, err
}

// arrivedNumbers are the ranges of each observer that is in the campaign, by its row number.
func arrivedNumbers(ctx context.Context, tx *sql.Tx, campaign string) (map[int64][][2]int64, error) {
	arrived := map[int64][][2]int64{}
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
