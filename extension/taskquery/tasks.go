package taskquery

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// Bounds of a lineage answer; a walk that meets maxLineageTasks says that it is truncated.
const (
	maxLineageTasks = 10_000
	maxAmbiguous    = 10
	// maxCostTasks bounds what is added up, which is far more than what is shown.
	maxCostTasks = 200_000
)

// task answers GET /api/v1/tasks/{id}: the whole document, with the environment and the direct upstream.
func (s *server) task(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	id, err := resolveID(ctx, st, "id", r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	docs, err := st.Tasks(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	doc, ok := docs[id]
	if !ok {
		return nil, fmt.Errorf("task %q: %w", id, store.ErrNotFound)
	}
	environments, err := environmentsOf(ctx, st, []map[string]any{doc})
	if err != nil {
		return nil, err
	}
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	graph, err := lineage.Walk(ctx, st, []string{id}, lineage.Options{Direction: lineage.Upstream, Depth: 1, MaxTasks: maxLineageTasks})
	if err != nil {
		return nil, err
	}
	out := form.document(doc, environments)
	upstream := []any{}
	for _, l := range graph.Links {
		if l.To == id {
			m := link(l)
			delete(m, "from")
			delete(m, "to")
			m["id"], m["task_id"] = l.From, graph.Tasks[l.From].TaskID
			upstream = append(upstream, m)
		}
	}
	out["upstream"] = upstream
	if graph.Truncated {
		out["upstream_truncated"] = true
	}
	return out, nil
}

// resolveID finds a task by its unique id or, when no other task has the same, by the tool's own id.
func resolveID(ctx context.Context, st store.Reader, at, id string) (string, error) {
	facts, err := st.Facts(ctx, []string{id})
	if err != nil {
		return "", err
	}
	if _, ok := facts[id]; ok {
		return id, nil
	}
	q, err := query.Parse(map[string]any{
		"filter": map[string]any{"task_id": id}, "projection": []any{"id"}, "limit": int64(maxAmbiguous),
	})
	if err != nil {
		return "", err
	}
	answer, err := st.Query(ctx, q)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, row := range answer.Rows {
		if s, ok := row["id"].(string); ok {
			ids = append(ids, s)
		}
	}
	switch len(ids) {
	case 0:
		return "", &apiError{status: http.StatusNotFound, Message: fmt.Sprintf("no task has the id or the task_id %q", id)}
	case 1:
		return ids[0], nil
	}
	return "", &query.Error{Field: at, Problem: fmt.Sprintf("%d tasks have the task_id %q; name one by its id", answer.Total, id), Valid: ids}
}

// lineage answers GET /api/v1/lineage?id=…&direction=…&depth=….
func (s *server) lineage(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	o, ids, err := lineageOptions(ctx, st, r)
	if err != nil {
		return nil, err
	}
	withCost, err := flag(r, "cost")
	if err != nil {
		return nil, err
	}
	graph, err := lineage.Walk(ctx, st, ids, o)
	if err != nil {
		return nil, err
	}
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	out := showGraph(graph, ids, o, form)
	if withCost {
		cost, err := lineage.CostOf(ctx, st, ids, maxCostTasks)
		if err != nil {
			return nil, err
		}
		out["cost"] = showCost(cost)
	}
	return out, nil
}

func lineageOptions(ctx context.Context, st store.Reader, r *http.Request) (o lineage.Options, ids []string, err error) {
	o = lineage.Options{Direction: lineage.Upstream, MaxTasks: maxLineageTasks}
	given := r.URL.Query()
	if len(given["id"]) == 0 {
		return o, nil, &query.Error{Field: "id", Problem: "missing; want the id of a task"}
	}
	if d := given.Get("direction"); d != "" {
		if o.Direction, err = lineage.ParseDirection(d); err != nil {
			valid := []string{string(lineage.Upstream), string(lineage.Downstream), string(lineage.Both)}
			return o, nil, &query.Error{
				Field: "direction", Problem: fmt.Sprintf("unknown direction %q", d), Valid: valid, Suggestion: query.Nearest(d, valid),
			}
		}
	}
	if d := given.Get("depth"); d != "" {
		o.Depth, err = strconv.Atoi(d)
		if err != nil || o.Depth < 1 {
			return o, nil, &query.Error{Field: "depth", Problem: fmt.Sprintf("%q is no number of steps; want 1 or more, or leave it out for all", d)}
		}
	}
	for _, name := range given["id"] {
		id, err := resolveID(ctx, st, "id", name)
		if err != nil {
			return o, nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return o, ids, nil
}

func link(l lineage.Link) map[string]any {
	m := map[string]any{
		"from": l.From, "to": l.To, "entity": l.Entity, "evidence": l.Evidence, "confidence": l.Confidence,
	}
	if l.Field != "" {
		m["field"] = l.Field
	}
	if l.Doubt != "" {
		m["doubt"] = l.Doubt
	}
	return m
}

func showGraph(g *lineage.Graph, ids []string, o lineage.Options, form clock) map[string]any {
	tasks := make([]any, 0, len(g.Tasks))
	for _, f := range sortedFacts(g.Tasks) {
		m := map[string]any{"id": f.ID, "task_id": f.TaskID, "kind": f.Kind, "status": f.Status.String()}
		for k, v := range map[string]string{
			"campaign_id": f.CampaignID, "workflow_id": f.WorkflowID, "workflow_name": f.WorkflowName, "activity_id": f.ActivityID,
		} {
			if v != "" {
				m[k] = v
			}
		}
		form.instant(m, "started_at", f.StartedAt)
		form.instant(m, "ended_at", f.EndedAt)
		tasks = append(tasks, m)
	}
	links := make([]any, len(g.Links))
	for i, l := range g.Links {
		m := link(l)
		form.instant(m, "generated_at", l.GeneratedAt)
		form.instant(m, "used_at", l.UsedAt)
		links[i] = m
	}
	entities := make([]any, len(g.Entities))
	for i, e := range g.Entities {
		m := map[string]any{"entity": e.ID, "used_by": e.UsedBy, "generated_by": e.GeneratedBy}
		if e.Label != "" {
			m["label"] = e.Label
		}
		entities[i] = m
	}
	return map[string]any{
		"ids": ids, "direction": string(o.Direction), "tasks": tasks, "entities": entities, "links": links, "truncated": g.Truncated,
	}
}

func sortedFacts(tasks map[string]store.TaskFacts) []store.TaskFacts {
	list := make([]store.TaskFacts, 0, len(tasks))
	for _, f := range tasks {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b store.TaskFacts) int {
		switch {
		case a.StartedAt != b.StartedAt && a.StartedAt < b.StartedAt:
			return -1
		case a.StartedAt != b.StartedAt:
			return 1
		case a.ID < b.ID:
			return -1
		default:
			return 1
		}
	})
	return list
}
