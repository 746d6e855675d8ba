package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// The first and the last moment of a task that are known.
const (
	firstMoment = `min(coalesce(min(submitted_at, started_at), submitted_at, started_at, ended_at))`
	lastMoment  = `max(coalesce(ended_at, started_at, submitted_at))`
)

// Campaigns implements store.Reader.
func (s *Store) Campaigns(ctx context.Context) ([]store.Campaign, error) {
	all, err := s.Workflows(ctx, "")
	return view.Campaigns(all), err
}

// Workflows implements store.Reader.
func (s *Store) Workflows(ctx context.Context, campaign string) ([]store.Workflow, error) {
	o, err := s.overview(ctx, campaign)
	if err != nil {
		return nil, err
	}
	return o.Workflows(), nil
}

func overview(ctx context.Context, tx *sql.Tx, campaign string) (*view.Overview, error) {
	o := view.NewOverview(campaign)
	where, args := "", []any(nil)
	if campaign != "" {
		where, args = "WHERE campaign_id = ?", []any{campaign}
	}
	err := eachTally(ctx, tx, where, args, func(t tally) { o.Tasks(t.status, t.workflow) })
	return o, errors.Join(err, declaredWorkflows(ctx, tx, campaign, o))
}

// eachTally counts tasks.
func eachTally(ctx context.Context, tx *sql.Tx, where string, args []any, f func(tally)) error {
	return each(ctx, tx, func(r *sql.Rows) error {
		var c, id, name, parent, kind, status sql.NullString
		var n int64
		var first, last sql.NullInt64
		if err := r.Scan(&c, &id, &status, &name, &parent, &kind, &n, &first, &last); err != nil {
			return err
		}
		f(tally{status.String, store.Workflow{
			ID: id.String, CampaignID: c.String, Name: name.String, ParentID: parent.String, Kind: kind.String, Tasks: n,
			FirstAt: first.Int64, LastAt: last.Int64,
		}})
		return nil
	}, `SELECT campaign_id, workflow_id, status, max(workflow_name), max(workflow_parent_id), max(kind), count(*), `+
		firstMoment+`, `+lastMoment+` FROM tasks `+where+` GROUP BY campaign_id, workflow_id, status`, args...)
}

func declaredWorkflows(ctx context.Context, tx *sql.Tx, campaign string, o *view.Overview) error {
	return each(ctx, tx, func(r *sql.Rows) error {
		var d store.Workflow
		var elsewhere bool
		if err := r.Scan(&d.ID, &d.CampaignID, &d.Name, &d.ParentID, &d.Kind, &d.FirstAt, &d.LastAt, &elsewhere); err != nil {
			return err
		}
		if o.Declare(d) && !elsewhere {
			o.Alone(d)
		}
		return nil
	}, `SELECT w.id, w.campaign_id, w.name, w.parent_id, w.kind, w.first_at, w.last_at,
 ?1 <> '' AND w.campaign_id = ?1 AND EXISTS (SELECT 1 FROM tasks t WHERE t.workflow_id = w.id AND t.campaign_id <> ?1)
 FROM workflows w`, campaign)
}
