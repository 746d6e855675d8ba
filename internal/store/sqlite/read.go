package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// snapshot runs f in a read transaction: all that it sees is as of its start.
func (s *Store) snapshot(ctx context.Context, f func(*sql.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read %s: %w", s.opts.Path, err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return nil
}

// each calls row for every row of a query.
func each(ctx context.Context, tx *sql.Tx, row func(*sql.Rows) error, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// idList is a list of strings as one argument, for `IN (SELECT value FROM json_each(?))`.
func idList(l []string) string { return task.JSON(l) }

// Tasks implements store.Reader.
func (s *Store) Tasks(ctx context.Context, ids []string) (map[string]map[string]any, error) {
	out := make(map[string]map[string]any, len(ids))
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		var unread []int64
		err := each(ctx, tx, func(r *sql.Rows) error {
			var n int64
			var id string
			var state sql.RawBytes
			if err := r.Scan(&n, &id, &state); err != nil {
				return err
			}
			st, err := task.DecodeState(state)
			if err != nil {
				unread = append(unread, n)
				return nil
			}
			out[id] = task.Project(st).Map()
			return nil
		}, `SELECT t.n, t.id, s.state FROM tasks t JOIN states s ON s.n = t.n WHERE t.id IN (SELECT value FROM json_each(?))`, idList(ids))
		if err != nil {
			return err
		}
		for _, n := range unread {
			d, err := remnant(ctx, tx, n)
			if err != nil {
				return err
			}
			out[d["id"].(string)] = d
		}
		return nil
	})
	return out, err
}

// remnant is what the columns still say of a task whose state cannot be read: one such task must not hide the others.
func remnant(ctx context.Context, tx *sql.Tx, n int64) (map[string]any, error) {
	d := &task.Document{}
	var status string
	var campaign, workflow, name, activity sql.NullString
	err := tx.QueryRowContext(ctx, `SELECT id, task_id, kind, status, campaign_id, workflow_id, workflow_name, activity_id
 FROM tasks WHERE n = ?`, n).Scan(&d.ID, &d.TaskID, &d.Kind, &status, &campaign, &workflow, &name, &activity)
	if err != nil {
		return nil, err
	}
	if d.Status, err = task.ParseStatus(status); err != nil {
		return nil, fmt.Errorf("task %s: %w", d.ID, err)
	}
	d.CampaignID, d.WorkflowID, d.WorkflowName, d.ActivityID = campaign.String, workflow.String, name.String, activity.String
	m := d.Map()
	view.MarkDamaged(m)
	return m, nil
}

// Facts implements store.Reader.
func (s *Store) Facts(ctx context.Context, ids []string) (map[string]store.TaskFacts, error) {
	out := make(map[string]store.TaskFacts, len(ids))
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, func(r *sql.Rows) error {
			var f store.TaskFacts
			var status string
			var campaign, workflow, name, activity, scope, execution sql.NullString
			var started, ended sql.NullInt64
			if err := r.Scan(&f.ID, &f.TaskID, &f.Kind, &scope, &execution, &campaign, &workflow, &name, &activity, &status, &started, &ended); err != nil {
				return err
			}
			var err error
			if f.Status, err = task.ParseStatus(status); err != nil {
				return fmt.Errorf("task %s: %w", f.ID, err)
			}
			f.CampaignID, f.WorkflowID, f.WorkflowName, f.ActivityID = campaign.String, workflow.String, name.String, activity.String
			f.StartedAt, f.EndedAt = started.Int64, ended.Int64
			f.TraceID, f.SpanID = task.SpanContext(task.Ref{Kind: f.Kind, Scope: scope.String, Key: f.TaskID}, execution.String)
			out[f.ID] = f
			return nil
		}, `SELECT id, task_id, kind, scope, execution, campaign_id, workflow_id, workflow_name, activity_id, status,
 started_at, ended_at FROM tasks WHERE id IN (SELECT value FROM json_each(?))`, idList(ids))
	})
	return out, err
}

const claimColumns = `c.role, c.entity, c.time, c.time_source, c.evidence, c.confidence, c.field, c.label`

// ClaimsOf implements store.Reader. Claims of tasks that are not known yet are among them.
func (s *Store) ClaimsOf(ctx context.Context, taskIDs []string) ([]store.TaskClaim, error) {
	return s.claims(ctx, `SELECT t.id, `+claimColumns+` FROM tasks t JOIN claims c ON c.n = t.n
 WHERE t.id IN (SELECT value FROM json_each(?1))
 UNION ALL SELECT c.task, `+claimColumns+` FROM claims c WHERE c.task IS NOT NULL AND c.task IN (SELECT value FROM json_each(?1))`, taskIDs)
}

// ClaimsOn implements store.Reader.
func (s *Store) ClaimsOn(ctx context.Context, entities []string, role task.Role) ([]store.TaskClaim, error) {
	return s.claims(ctx, `SELECT coalesce(t.id, c.task), `+claimColumns+` FROM claims c LEFT JOIN tasks t ON t.n = c.n
 WHERE c.entity IN (SELECT value FROM json_each(?1)) AND (?2 = '' OR c.role = ?2)`, entities, string(role))
}

func (s *Store) claims(ctx context.Context, query string, keys []string, more ...any) ([]store.TaskClaim, error) {
	var out []store.TaskClaim
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, func(r *sql.Rows) error {
			var c store.TaskClaim
			if err := r.Scan(&c.TaskID, &c.Role, &c.Entity, &c.Time, &c.TimeSource, &c.Evidence, &c.Confidence, &c.Field,
				&c.Label); err != nil {
				return err
			}
			out = append(out, c)
			return nil
		}, query, append([]any{idList(keys)}, more...)...)
	})
	return out, err
}

// Dependents implements store.Reader.
func (s *Store) Dependents(ctx context.Context, ids []string) ([]store.Edge, error) {
	return s.edges(ctx, `SELECT t.id, e.target, e.is_parent, e.field FROM edges e JOIN tasks t ON t.n = e.n
 WHERE e.target IN (SELECT value FROM json_each(?))`, ids)
}

// Dependencies implements store.Reader.
func (s *Store) Dependencies(ctx context.Context, ids []string) ([]store.Edge, error) {
	return s.edges(ctx, `SELECT t.id, e.target, e.is_parent, e.field FROM tasks t JOIN edges e ON e.n = t.n
 WHERE t.id IN (SELECT value FROM json_each(?))`, ids)
}

func (s *Store) edges(ctx context.Context, query string, ids []string) ([]store.Edge, error) {
	var out []store.Edge
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, func(r *sql.Rows) error {
			var e store.Edge
			if err := r.Scan(&e.From, &e.To, &e.Parent, &e.Field); err != nil {
				return err
			}
			out = append(out, e)
			return nil
		}, query, idList(ids))
	})
	return out, err
}

// Environments implements store.Reader.
func (s *Store) Environments(ctx context.Context, digests []string) (out map[string]map[string]any, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		out, err = environments(ctx, tx, digests)
		return err
	})
	return out, err
}

func environments(ctx context.Context, tx *sql.Tx, digests []string) (map[string]map[string]any, error) {
	out := make(map[string]map[string]any, len(digests))
	err := each(ctx, tx, func(r *sql.Rows) error {
		var digest string
		var record sql.RawBytes
		if err := r.Scan(&digest, &record); err != nil {
			return err
		}
		v, err := task.DecodeStored(record)
		if err != nil {
			return fmt.Errorf("environment %s: %w", digest, err)
		}
		if m, ok := v.(map[string]any); ok {
			out[digest] = m
		}
		return nil
	}, `SELECT digest, record FROM environments WHERE digest IN (SELECT value FROM json_each(?))`, idList(digests))
	return out, err
}
