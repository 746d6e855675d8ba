package taskquery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// deleteCampaign answers DELETE /api/v1/campaigns/{id}.
func (s *server) deleteCampaign(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	list, err := st.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	known := false
	for _, c := range list {
		known = known || c.ID == id
		names = append(names, c.ID)
	}
	if !known {
		return nil, &apiError{
			status: http.StatusNotFound, Field: "campaign", Message: fmt.Sprintf("there is no campaign %q", id),
			Valid: names, Suggestion: query.Nearest(id, names),
		}
	}
	n, err := st.DeleteCampaign(ctx, id)
	if err != nil {
		return nil, err
	}
	s.set.Logger.Info("a campaign was deleted", zap.String("campaign", id), zap.Int64("tasks", n), zap.String("user", userOf(ctx)))
	return map[string]any{"campaign_id": id, "deleted": n}, nil
}

// backup answers POST /api/v1/backup {"path": "/where/to.db"}.
func (s *server) backup(ctx context.Context, r *http.Request) (any, error) {
	m, err := object(r, []string{"path"})
	if err != nil {
		return nil, err
	}
	path, _ := m["path"].(string)
	if !filepath.IsAbs(path) {
		return nil, &query.Error{Field: "path", Problem: task.JSON(m["path"]) + " is not an absolute path of the collector's machine"}
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, &query.Error{Field: "path", Problem: fmt.Sprintf("%q exists already; want a new file", path)}
	}
	if err := st.Backup(ctx, path); err != nil {
		var file *fs.PathError
		if errors.As(err, &file) {
			return nil, &query.Error{Field: "path", Problem: fmt.Sprintf("%q cannot be written: %v", path, file.Err)}
		}
		return nil, err
	}
	s.set.Logger.Info("a backup was written", zap.String("path", path), zap.String("user", userOf(ctx)))
	return map[string]any{"path": path}, nil
}

// assign answers POST /api/v1/campaigns/{id}/assign {"filter": …} or {"workflows": […]}: the matching tasks belong to the
// campaign from now on. Their identity stays; a person's word wins over every observer's.
func (s *server) assign(ctx context.Context, r *http.Request) (any, error) {
	m, err := object(r, []string{"filter", "workflows"})
	if err != nil {
		return nil, err
	}
	filter, err := assignFilter(m)
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	a := assignment{campaign: r.PathValue("id"), user: userOf(ctx), at: time.Now().UnixNano()}
	if strings.TrimSpace(a.campaign) == "" {
		return nil, &query.Error{Field: "campaign", Problem: "the name of the campaign is empty"}
	}
	n, err := a.run(ctx, st, filter)
	if err != nil {
		return nil, err
	}
	if err := a.workflows(ctx, st, m["workflows"]); err != nil {
		return nil, err
	}
	s.set.Logger.Info("tasks were assigned to a campaign", zap.String("campaign", a.campaign), zap.Int64("tasks", n), zap.String("user", a.user))
	return map[string]any{"campaign_id": a.campaign, "assigned": n}, nil
}

// assignFilter is the filter of the tasks that are meant. An empty one is refused: it would take all campaigns.
func assignFilter(m map[string]any) (any, error) {
	filter, hasFilter := m["filter"].(map[string]any)
	if v, ok := m["filter"]; ok && !hasFilter && v != nil {
		return nil, &query.Error{Field: "filter", Problem: "not an object; want a filter such as {\"workflow_name\": \"search\"}"}
	}
	names, hasNames := m["workflows"].([]any)
	if v, ok := m["workflows"]; ok && !hasNames && v != nil {
		return nil, &query.Error{Field: "workflows", Problem: "not a list; want ids or names of workflows"}
	}
	var parts []any
	if len(filter) > 0 {
		parts = append(parts, filter)
	}
	for i, name := range names {
		if _, ok := name.(string); !ok {
			return nil, &query.Error{Field: fmt.Sprintf("workflows[%d]", i), Problem: "not a string; want the id or the name of a workflow"}
		}
	}
	if len(names) > 0 {
		in := map[string]any{"$in": names}
		parts = append(parts, map[string]any{"$or": []any{
			map[string]any{"workflow_id": in}, map[string]any{"workflow_name": in},
		}})
	}
	if parts == nil {
		return nil, &query.Error{Field: "filter", Problem: `missing; want a filter that says which tasks, such as {"workflow_name": "search"}, or "workflows": ["search"]`}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return map[string]any{"$and": parts}, nil
}

// assignment is one decision of a person.
type assignment struct {
	campaign, user string
	at             int64
}

const assignBatch = 1_000

func (a *assignment) run(ctx context.Context, st store.Store, filter any) (n int64, err error) {
	cursor := ""
	for {
		q, err := query.Parse(map[string]any{
			"filter": filter, "limit": int64(assignBatch), "cursor": cursor,
			"projection": []any{"id", "task_id", "kind", "scope", "campaign_id"},
		})
		if err != nil {
			return n, err
		}
		page, err := st.Query(ctx, q)
		if err != nil {
			return n, err
		}
		events := make([]*task.Event, 0, len(page.Rows))
		for _, row := range page.Rows {
			if row["campaign_id"] != a.campaign {
				events = append(events, a.event(row))
			}
		}
		if len(events) > 0 {
			rejected, err := st.Write(ctx, events)
			if err != nil {
				return n, err
			}
			for _, r := range rejected {
				return n, fmt.Errorf("task %q cannot be assigned: %w", r.Event.Key, r.Err)
			}
			n += int64(len(events))
		}
		if page.NextCursor == "" {
			return n, nil
		}
		cursor = page.NextCursor
	}
}

// workflows assigns the named workflows themselves, so that one without tasks moves too.
func (a *assignment) workflows(ctx context.Context, st store.Store, names any) error {
	wanted, _ := names.([]any)
	if len(wanted) == 0 {
		return nil
	}
	list, err := st.Workflows(ctx, "")
	if err != nil {
		return err
	}
	var events []*task.Event
	for _, w := range list {
		if !slices.Contains(wanted, any(w.ID)) && !slices.Contains(wanted, any(w.Name)) || w.ID == "" {
			continue
		}
		events = append(events, &task.Event{
			Name: task.EventWorkflowStarted, Time: a.at, Observed: a.at, Kind: w.Kind, Attempt: task.NoAttempt,
			Facet: task.FacetPeople, WorkflowID: w.ID, WorkflowName: w.Name, WorkflowParentID: w.ParentID, Campaign: a.campaign,
		})
	}
	if len(events) == 0 {
		return nil
	}
	rejected, err := st.Write(ctx, events)
	for _, r := range rejected {
		err = errors.Join(err, fmt.Errorf("workflow %q cannot be assigned: %w", r.Event.WorkflowID, r.Err))
	}
	return err
}

// event is what the person said about one task: about the task itself, whichever attempt.
func (a *assignment) event(row map[string]any) *task.Event {
	text := func(k string) string {
		s, _ := row[k].(string)
		return s
	}
	return &task.Event{
		Name: task.EventProgress, Time: a.at, Observed: a.at, Kind: text("kind"), Scope: text("scope"), Key: text("task_id"),
		Attempt: task.NoAttempt, Facet: task.FacetPeople, Campaign: a.campaign,
		Custom: map[string]any{"assigned": map[string]any{"by": a.user, "at": float64(a.at/1e3) / 1e6}},
	}
}

// object reads the body of a request: a JSON object with some of these keys.
func object(r *http.Request, valid []string) (map[string]any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	v, err := task.DecodeJSON(body)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, &query.Error{Problem: "the body is not a JSON object", Valid: valid}
	}
	for k := range m {
		known := false
		for _, name := range valid {
			known = known || k == name
		}
		if !known {
			return nil, &query.Error{Field: k, Problem: "unknown key", Valid: valid, Suggestion: query.Nearest(k, valid)}
		}
	}
	return m, nil
}

// userOf is who asks: whom the auth extension recognised, or else the owner of the token, who is the collector's user.
func userOf(ctx context.Context) string {
	if s := authenticatedUser(ctx); s != "" {
		return s
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// authenticatedUser is whom an auth extension recognised; "" when none did.
func authenticatedUser(ctx context.Context) string {
	if auth := client.FromContext(ctx).Auth; auth != nil {
		for _, name := range []string{"username", "subject", "user"} {
			if s, ok := auth.GetAttribute(name).(string); ok && s != "" {
				return s
			}
		}
	}
	return ""
}
