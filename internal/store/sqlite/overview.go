package sqlite

import (
	"context"
	"database/sql"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// The first and the last moment of a task that are known.
const (
	firstMoment = `min(coalesce(min(submitted_at, started_at), submitted_at, started_at, ended_at))`
	lastMoment  = `max(coalesce(ended_at, started_at, submitted_at))`
)

// Campaigns implements store.Reader.
func (s *Store) Campaigns(ctx context.Context) ([]store.Campaign, error) {
	byID := map[string]*store.Campaign{}
	flows := map[string]map[string]bool{}
	of := func(id string) *store.Campaign {
		c := byID[id]
		if c == nil {
			c = &store.Campaign{ID: id, ByStatus: map[string]int64{}}
			byID[id] = c
			flows[id] = map[string]bool{}
		}
		return c
	}
	all, err := s.Workflows(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		c := of(w.CampaignID)
		c.Tasks += w.Tasks
		if w.ID != "" {
			c.Workflows++
		}
		for status, n := range w.ByStatus {
			c.ByStatus[status] += n
		}
		c.FirstAt, c.LastAt = span(c.FirstAt, c.LastAt, w.FirstAt, w.LastAt)
	}
	out := make([]store.Campaign, 0, len(byID))
	for _, c := range byID {
		out = append(out, *c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

func span(first, last, f, l int64) (int64, int64) {
	if f != 0 && (first == 0 || f < first) {
		first = f
	}
	return first, max(last, l)
}

type workflowKey struct{ campaign, id string }

// Workflows implements store.Reader. Tasks without a workflow are counted under the workflow "", a workflow whose tasks
// are in several campaigns in each of them.
func (s *Store) Workflows(ctx context.Context, campaign string) ([]store.Workflow, error) {
	byKey := map[workflowKey]*store.Workflow{}
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		if err := taskWorkflows(ctx, tx, campaign, byKey); err != nil {
			return err
		}
		return declaredWorkflows(ctx, tx, campaign, byKey)
	})
	if err != nil {
		return nil, err
	}
	out := make([]store.Workflow, 0, len(byKey))
	for _, w := range byKey {
		out = append(out, *w)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.CampaignID != b.CampaignID {
			return a.CampaignID < b.CampaignID
		}
		if a.FirstAt != b.FirstAt {
			return a.FirstAt < b.FirstAt
		}
		return a.ID < b.ID
	})
	return out, nil
}

func taskWorkflows(ctx context.Context, tx *sql.Tx, campaign string, byKey map[workflowKey]*store.Workflow) error {
	return each(ctx, tx, func(r *sql.Rows) error {
		var c, id, name, parent, kind, status sql.NullString
		var n int64
		var first, last sql.NullInt64
		if err := r.Scan(&c, &id, &status, &name, &parent, &kind, &n, &first, &last); err != nil {
			return err
		}
		k := workflowKey{c.String, id.String}
		w := byKey[k]
		if w == nil {
			w = &store.Workflow{ID: id.String, CampaignID: c.String, ByStatus: map[string]int64{}}
			byKey[k] = w
		}
		// Tasks may disagree about the name of their workflow; the choice must not depend on the order of the rows.
		w.Name, w.ParentID, w.Kind = max(w.Name, name.String), max(w.ParentID, parent.String), max(w.Kind, kind.String)
		w.Tasks += n
		w.ByStatus[status.String] += n
		w.FirstAt, w.LastAt = span(w.FirstAt, w.LastAt, first.Int64, last.Int64)
		return nil
	}, `SELECT campaign_id, workflow_id, status, max(workflow_name), max(workflow_parent_id), max(kind), count(*), `+
		firstMoment+`, `+lastMoment+` FROM tasks WHERE ?1 = '' OR campaign_id = ?1 GROUP BY campaign_id, workflow_id, status`, campaign)
}

// declaredWorkflows adds what workflow events said. What they say of name and parent holds over what the tasks say. A
// workflow that has tasks is listed in the campaigns of its tasks, which people may have changed.
func declaredWorkflows(ctx context.Context, tx *sql.Tx, campaign string, byKey map[workflowKey]*store.Workflow) error {
	byID := map[string][]*store.Workflow{}
	for k, w := range byKey {
		byID[k.id] = append(byID[k.id], w)
	}
	return each(ctx, tx, func(r *sql.Rows) error {
		var d store.Workflow
		var elsewhere bool
		if err := r.Scan(&d.ID, &d.CampaignID, &d.Name, &d.ParentID, &d.Kind, &d.FirstAt, &d.LastAt, &elsewhere); err != nil {
			return err
		}
		of := byID[d.ID]
		if len(of) == 0 && !elsewhere && (campaign == "" || d.CampaignID == campaign) {
			w := &store.Workflow{ID: d.ID, CampaignID: d.CampaignID, ByStatus: map[string]int64{}}
			byKey[workflowKey{d.CampaignID, d.ID}] = w
			of = append(of, w)
		}
		for _, w := range of {
			if d.Name != "" {
				w.Name = d.Name
			}
			if d.ParentID != "" {
				w.ParentID = d.ParentID
			}
			if w.Kind == "" {
				w.Kind = d.Kind
			}
			w.FirstAt, w.LastAt = span(w.FirstAt, w.LastAt, d.FirstAt, d.LastAt)
		}
		return nil
	}, `SELECT w.id, w.campaign_id, w.name, w.parent_id, w.kind, w.first_at, w.last_at,
 ?1 <> '' AND w.campaign_id = ?1 AND EXISTS (SELECT 1 FROM tasks t WHERE t.workflow_id = w.id AND t.campaign_id <> ?1)
 FROM workflows w`, campaign)
}
