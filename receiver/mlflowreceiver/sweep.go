package mlflowreceiver

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// lightAtOnce is the number of runs whose rows and tags are compared in one transaction.
	lightAtOnce = 250
	// sweepFor bounds the time that a poll spends on the sweep; one transaction is always done.
	sweepFor = 20 * time.Millisecond
)

// sweep goes over all runs for what changes without a new row: status, end, name, deletion, tags. It goes on until one
// whole pass saw no commit of others, and rests until the next.
type sweep struct {
	busy bool
	full bool   // the pass began at the first run
	from string // the data version at its begin
}

// begin starts a pass unless one is under way.
func (s *sweep) begin(version string) {
	if !s.busy {
		s.busy, s.full, s.from = true, true, version
	}
}

// step compares the next runs and returns those that changed.
func (w *watcher) step(ctx context.Context, version string) ([]string, error) {
	var changed []string
	at := &w.keeper.cursor.Sweep
	if *at == "" && !w.sweep.full {
		w.sweep.full, w.sweep.from = true, version
	}
	query := "SELECT " + w.db.schema.columns("runs", "r", runColumns...) + " FROM runs AS r WHERE r.run_uuid > ? ORDER BY r.run_uuid LIMIT ?"
	begin := time.Now()
	for left := w.cfg.SweepSize; left > 0 && (left == w.cfg.SweepSize || time.Since(begin) < sweepFor); {
		n, limit := 0, min(left, lightAtOnce)
		position := *at
		err := w.db.read(ctx, w.count, func(tx rows) error {
			var runs []*run
			err := tx.each("runs", query, []any{position, limit}, func(scan func(...any) error) error {
				x, err := scanRun(scan)
				if err != nil {
					return err
				}
				runs, position = append(runs, x), x.id
				n++
				return nil
			})
			if err != nil {
				return err
			}
			runs, err = w.reader.complete(tx, runs)
			changed = append(changed, w.differing(runs)...)
			return err
		})
		if err != nil {
			return changed, err
		}
		*at = position
		left -= n
		if n < limit {
			*at = ""
			if w.sweep.full && w.sweep.from == version {
				w.sweep.busy = false
				err = w.countRuns(ctx)
			} else {
				w.sweep = sweep{busy: true, full: true, from: version}
			}
			return changed, err
		}
	}
	return changed, nil
}

// lookAtModels compares the next models and versions with what was seen of them.
func (w *watcher) lookAtModels(ctx context.Context, version string) error {
	ids, done, err := w.reader.registry.sweep(ctx, w.db, w.cfg.SweepSize, w.count)
	w.touch(ids)
	if err != nil || !done {
		return err
	}
	again := w.models.from != version
	w.models = sweep{}
	if again {
		w.models.begin(version)
		w.reader.registry.restart()
	}
	return nil
}

// countRuns counts the runs in the database, without those of excluded experiments, for the witness: after a pass over all
// of them, next to which this is little.
func (w *watcher) countRuns(ctx context.Context) error {
	var total int64
	err := w.db.read(ctx, w.count, func(tx rows) error {
		total = 0
		query := "SELECT coalesce(experiment_id, -1), count(*) FROM runs GROUP BY experiment_id"
		return tx.each("runs", query, nil, func(scan func(...any) error) error {
			var experiment, n int64
			if err := scan(&experiment, &n); err != nil {
				return err
			}
			if !w.reader.experiments[experiment].excluded {
				total += n
			}
			return nil
		})
	})
	if err == nil {
		w.counted = total
	}
	return err
}

// differing are the runs that are not as they were last read.
func (w *watcher) differing(runs []*run) []string {
	var out []string
	for _, x := range runs {
		if s, ok := w.keeper.runs[x.id]; !ok || s.light != x.light {
			out = append(out, x.id)
		}
	}
	return out
}

// lookAtOpen compares the runs that have not ended. Those that are no longer there count as changed.
func (w *watcher) lookAtOpen(ctx context.Context) ([]string, error) {
	ids := slices.Collect(maps.Keys(w.keeper.open))
	var changed []string
	for part := range slices.Chunk(ids, lightAtOnce) {
		err := w.db.read(ctx, w.count, func(tx rows) error {
			runs, err := w.reader.rows(tx, w.db.schema, part)
			if err != nil {
				return err
			}
			there := index(runs)
			for _, id := range part {
				if there[id] == nil {
					changed = append(changed, id)
				}
			}
			changed = append(changed, w.differing(runs)...)
			return nil
		})
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}
