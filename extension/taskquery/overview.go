package taskquery

import (
	"context"
	"net/http"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

func (s *server) campaigns(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	list, err := st.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	rows := make([]any, len(list))
	for i, c := range list {
		rows[i] = campaignRow(c, form)
	}
	return map[string]any{"campaigns": rows}, nil
}

func campaignRow(c store.Campaign, form clock) map[string]any {
	m := map[string]any{"campaign_id": c.ID, "tasks": c.Tasks, "workflows": c.Workflows, "by_status": counts(c.ByStatus)}
	form.instant(m, "first_at", c.FirstAt)
	form.instant(m, "last_at", c.LastAt)
	return m
}

func (s *server) workflows(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	list, err := st.Workflows(ctx, r.URL.Query().Get("campaign"))
	if err != nil {
		return nil, err
	}
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	rows := make([]any, len(list))
	for i, w := range list {
		m := map[string]any{
			"workflow_id": w.ID, "workflow_name": w.Name, "campaign_id": w.CampaignID, "kind": w.Kind, "tasks": w.Tasks,
			"by_status": counts(w.ByStatus),
		}
		if w.ParentID != "" {
			m["workflow_parent_id"] = w.ParentID
		}
		form.instant(m, "first_at", w.FirstAt)
		form.instant(m, "last_at", w.LastAt)
		rows[i] = m
	}
	return map[string]any{"workflows": rows}, nil
}

func counts(byStatus map[string]int64) map[string]any {
	m := make(map[string]any, len(byStatus))
	for k, v := range byStatus {
		m[k] = v
	}
	return m
}
