package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Size implements store.Admin: the pages in use. Pages that a deletion frees are used again, the file stays as it is.
func (s *Store) Size(ctx context.Context) (bytes int64, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size
 FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&bytes)
	})
	return bytes, err
}

// Import implements store.Transfer.
func (s *Store) Import(ctx context.Context, parts []store.Part) ([]store.Refused, error) {
	c := &call{batch: view.NewBatch()}
	refused := c.batch.AddParts(&c.rejected, parts)
	if err := s.hand(ctx, c); err != nil {
		return nil, err
	}
	return append(refused, view.RefusedOf(c.rejected.List)...), nil
}

// Snapshot implements store.Transfer. As long as it is open, the write-ahead log only grows.
func (s *Store) Snapshot(ctx context.Context) (store.Snapshot, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	p, err := openParts(ctx, s.read, s.opts.Path, func() error {
		s.leave()
		return nil
	})
	if err != nil {
		s.leave()
		return nil, err
	}
	return p, nil
}

// parts is a snapshot to read all of.
type parts struct {
	tx      *sql.Tx
	path    string
	release func() error
}

func openParts(ctx context.Context, db *sql.DB, path string, release func() error) (*parts, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	// The moment of a transaction is that of its first read.
	var n int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), tx.Rollback())
	}
	return &parts{tx, path, release}, nil
}

// Close implements store.Snapshot.
func (p *parts) Close() error {
	err := p.tx.Rollback()
	if errors.Is(err, sql.ErrTxDone) { // the context of its caller has ended
		err = nil
	}
	return errors.Join(err, p.release())
}

// Parts implements store.Snapshot.
func (p *parts) Parts(ctx context.Context, campaign string, each func(store.Part) error) error {
	for _, kind := range []func(context.Context, string, func(store.Part) error) error{
		p.tasks, p.claims, p.workflows, p.environments, p.entities, p.observers,
	} {
		if err := kind(ctx, campaign, each); err != nil {
			return fmt.Errorf("read %s: %w", p.path, err)
		}
	}
	return nil
}

// The index of ids is named: else SQLite would sort the states of a campaign.
const sqlTaskParts = `SELECT t.id, s.state FROM tasks t INDEXED BY tasks_id CROSS JOIN states s ON s.n = t.n
 WHERE ?1 = '' OR t.campaign_id = ?1 ORDER BY t.id`

func (p *parts) tasks(ctx context.Context, campaign string, emit func(store.Part) error) error {
	return each(ctx, p.tx, func(r *sql.Rows) error {
		var id string
		var state sql.RawBytes
		if err := r.Scan(&id, &state); err != nil {
			return err
		}
		return emit(view.TaskPart(id, state))
	}, sqlTaskParts, campaign)
}

const sqlClaimParts = `SELECT t.id, ` + claimColumns + ` FROM tasks t INDEXED BY tasks_id CROSS JOIN claims c ON c.n = t.n
 WHERE ?1 = '' OR t.campaign_id = ?1
 UNION ALL SELECT c.task, ` + claimColumns + ` FROM claims c WHERE c.task IS NOT NULL AND ?1 = '' ORDER BY 1`

func (p *parts) claims(ctx context.Context, campaign string, emit func(store.Part) error) error {
	var of string
	var group []store.Part
	flush := func() error {
		sort.Slice(group, func(i, j int) bool { return group[i].ID < group[j].ID })
		for _, c := range group {
			if err := emit(c); err != nil {
				return err
			}
		}
		group = group[:0]
		return nil
	}
	err := each(ctx, p.tx, func(r *sql.Rows) error {
		var id string
		var c task.Claim
		if err := r.Scan(&id, &c.Role, &c.Entity, &c.Time, &c.TimeSource, &c.Evidence, &c.Confidence, &c.Field, &c.Label); err != nil {
			return err
		}
		if id != of {
			if err := flush(); err != nil {
				return err
			}
			of = id
		}
		group = append(group, view.ClaimPart(id, view.ClaimText(c)))
		return nil
	}, sqlClaimParts, campaign)
	if err != nil {
		return err
	}
	return flush()
}

func (p *parts) workflows(ctx context.Context, campaign string, emit func(store.Part) error) error {
	var in map[string]bool
	if campaign != "" {
		flows, err := overview(ctx, p.tx, campaign)
		if err != nil {
			return err
		}
		in = map[string]bool{}
		for _, id := range flows.IDs() {
			in[id] = true
		}
	}
	return p.sorted(ctx, `SELECT n, id, '' FROM workflows`, func(id, _ string) (string, bool) {
		return view.Key(id), in == nil || in[id]
	}, func(n int64) error {
		var id string
		var state []byte
		if err := p.tx.QueryRowContext(ctx, `SELECT id, state FROM workflows WHERE n = ?`, n).Scan(&id, &state); err != nil {
			return err
		}
		return emit(view.WorkflowPart(id, state))
	})
}

func (p *parts) environments(ctx context.Context, campaign string, emit func(store.Part) error) error {
	var in map[string]bool
	if campaign != "" {
		in = map[string]bool{}
		err := each(ctx, p.tx, func(r *sql.Rows) error {
			var digest string
			err := r.Scan(&digest)
			in[digest] = true
			return err
		}, `SELECT DISTINCT environment FROM tasks WHERE campaign_id = ? AND environment IS NOT NULL`, campaign)
		if err != nil {
			return err
		}
	}
	return p.records(ctx, store.PartEnvironment, func(digest string) bool { return in == nil || in[digest] }, emit)
}

func (p *parts) entities(ctx context.Context, _ string, emit func(store.Part) error) error {
	return p.records(ctx, store.PartEntity, func(string) bool { return true }, emit)
}

func (p *parts) records(ctx context.Context, kind store.PartKind, wanted func(digest string) bool, emit func(store.Part) error) error {
	return p.sorted(ctx, `SELECT n, digest, '' FROM `+string(kind), func(digest, _ string) (string, bool) {
		return view.Key(digest), wanted(digest)
	}, func(n int64) error {
		var digest, text string
		var time int64
		err := p.tx.QueryRowContext(ctx, `SELECT digest, time, record FROM `+string(kind)+` WHERE n = ?`, n).Scan(&digest, &time, &text)
		if err != nil {
			return err
		}
		return emit(view.RecordPart(kind, digest, time, text))
	})
}

func (p *parts) observers(ctx context.Context, campaign string, emit func(store.Part) error) error {
	return p.sorted(ctx, `SELECT n, observer, campaign FROM observers`, func(observer, of string) (string, bool) {
		return view.Name(observer, of), campaign == "" || campaign == of
	}, func(n int64) error {
		_, k, o, err := scanObserver(p.tx.QueryRowContext(ctx, sqlObservers+` WHERE n = ?`, n))
		if err != nil {
			return err
		}
		err = each(ctx, p.tx, func(r *sql.Rows) error {
			var x [2]int64
			err := r.Scan(&x[0], &x[1])
			o.Arrived = append(o.Arrived, x)
			return err
		}, sqlRangesOf, n)
		if err != nil {
			return err
		}
		return emit(view.ObserverPart(k, o))
	})
}

// sorted calls f with the number of every wanted row of a small table, in the order of the ids of their parts. The list
// has the number and up to two texts that the id is made of.
func (p *parts) sorted(ctx context.Context, list string, id func(a, b string) (string, bool), f func(n int64) error) error {
	rows := map[string]int64{}
	err := each(ctx, p.tx, func(r *sql.Rows) error {
		var n int64
		var a, b string
		if err := r.Scan(&n, &a, &b); err != nil {
			return err
		}
		if id, wanted := id(a, b); wanted {
			rows[id] = n
		}
		return nil
	}, list)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if err := f(rows[id]); err != nil {
			return err
		}
	}
	return nil
}
