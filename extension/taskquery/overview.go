package taskquery

import (
	"context"
	"net/http"
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
		m := map[string]any{"campaign_id": c.ID, "tasks": c.Tasks, "workflows": c.Workflows, "by_status": counts(c.ByStatus)}
		form.instant(m, "first_at", c.FirstAt)
		form.instant(m, "last_at", c.LastAt)
		rows[i] = m
	}
	return map[string]any{"campaigns": rows}, nil
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

// completeness says of each observer whether all that it saw has arrived. An observer without a final checkpoint is open,
// never complete.
func (s *server) completeness(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	list, err := st.Checkpoints(ctx, r.URL.Query().Get("campaign"))
	if err != nil {
		return nil, err
	}
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	rows := make([]any, len(list))
	totals := map[string]any{"complete": int64(0), "open": int64(0), "incomplete": int64(0)}
	for i, c := range list {
		dropped := droppedCount(c.Dropped)
		missing := max(0, c.LastSeq-c.Arrived-dropped)
		state := "complete"
		switch {
		case dropped > 0 || c.Final && missing > 0:
			state = "incomplete"
		case !c.Final:
			state = "open"
		}
		m := map[string]any{
			"observer": c.Observer, "campaign_id": c.Campaign, "state": state, "final": c.Final, "last_seq": c.LastSeq,
			"arrived": c.Arrived, "dropped": dropped, "missing": missing,
		}
		if len(c.Dropped) > 0 {
			m["dropped_ranges"] = c.Dropped
		}
		if c.Host != "" {
			m["host"] = c.Host
		}
		form.instant(m, "checkpoint_at", c.At)
		rows[i] = m
		totals[state] = totals[state].(int64) + 1
	}
	totals["observers"] = rows
	return totals, nil
}

// droppedCount counts the events in [[first, last, reason], …].
func droppedCount(ranges []any) (n int64) {
	for _, r := range ranges {
		l, _ := r.([]any)
		if len(l) < 2 {
			continue
		}
		first, ok1 := l[0].(int64)
		last, ok2 := l[1].(int64)
		if ok1 && ok2 && last >= first {
			n += last - first + 1
		}
	}
	return n
}
