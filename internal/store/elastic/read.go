package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// reading runs f with a snapshot of some indices.
func (s *Store) reading(ctx context.Context, f func(*snapshot) error, kinds ...string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	p, err := s.look(ctx, kinds...)
	if err != nil {
		return err
	}
	defer p.close()
	return f(p)
}

// Tasks implements store.Reader.
func (s *Store) Tasks(ctx context.Context, ids []string) (out map[string]map[string]any, err error) {
	err = s.reading(ctx, func(p *snapshot) error {
		out, err = p.documents(ctx, ids)
		return err
	}, tasks)
	return out, err
}

// documents returns whole documents by id.
func (p *snapshot) documents(ctx context.Context, ids []string) (map[string]map[string]any, error) {
	out := make(map[string]map[string]any, len(ids))
	err := p.eachOf(ctx, "id", ids, nil, documentSource, smallPage, func(h hit) error {
		d, err := documentOf(h)
		out[h.ID] = d
		return err
	})
	return out, err
}

// documentSource is what documentOf reads.
var documentSource = []string{"state", "task_id", "kind", "status", "campaign_id", "workflow_id", "workflow_name", "activity_id"}

func documentOf(h hit) (map[string]any, error) {
	state, err := stateOf(h.Source)
	if err == nil {
		return task.Project(state).Map(), nil
	}
	// One such task must not hide the others.
	v, err := task.DecodeStored(h.Source)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, fmt.Errorf("task %s: its stored document is damaged", h.ID)
	}
	delete(m, "state")
	m["id"] = h.ID
	view.MarkDamaged(m)
	return m, nil
}

// factColumns are what facts are made of. A text that is too long for its column is opaque.
var factColumns = docValues{
	"id", "opaque", "task_id", "kind", "scope", "execution", "campaign_id", "workflow_id", "workflow_name", "activity_id", "status",
	"started_at", "ended_at",
}

// Facts implements store.Reader.
func (s *Store) Facts(ctx context.Context, ids []string) (map[string]store.TaskFacts, error) {
	out := make(map[string]store.TaskFacts, len(ids))
	err := s.reading(ctx, func(p *snapshot) error {
		var whole []string
		err := p.eachOf(ctx, "id", ids, nil, factColumns, largePage, func(h hit) error {
			v, err := task.DecodeStored(h.Fields)
			columns, _ := v.(map[string]any)
			d := map[string]any{}
			for name, list := range columns {
				if list, ok := list.([]any); ok && len(list) > 0 {
					d[name] = list[0]
				}
			}
			id, ok := d["id"].(string)
			if err != nil || !ok {
				return fmt.Errorf("a task has no id in its columns: %.200s", h.Fields)
			}
			opaque, _ := columns["opaque"].([]any)
			if slices.ContainsFunc(opaque, func(name any) bool { n, _ := name.(string); return slices.Contains(factColumns, n) }) {
				whole = append(whole, id)
				return nil
			}
			out[id], err = factsOf(id, d)
			return err
		})
		if err != nil || len(whole) == 0 {
			return err
		}
		return p.eachOf(ctx, "id", whole, nil, []string(factColumns), largePage, func(h hit) error {
			v, err := task.DecodeStored(h.Source)
			d, ok := v.(map[string]any)
			if err != nil || !ok {
				return fmt.Errorf("task %s: its stored document is damaged", h.ID)
			}
			out[h.ID], err = factsOf(h.ID, d)
			return err
		})
	}, tasks)
	return out, err
}

func factsOf(id string, d map[string]any) (store.TaskFacts, error) {
	text := func(name string) string { s, _ := d[name].(string); return s }
	status, err := task.ParseStatus(text("status"))
	if err != nil {
		return store.TaskFacts{}, fmt.Errorf("task %s: %w", id, err)
	}
	f := store.TaskFacts{
		ID: id, TaskID: text("task_id"), Kind: text("kind"), CampaignID: text("campaign_id"), WorkflowID: text("workflow_id"),
		WorkflowName: text("workflow_name"), ActivityID: text("activity_id"), Status: status,
	}
	f.StartedAt, _ = d["started_at"].(int64)
	f.EndedAt, _ = d["ended_at"].(int64)
	f.TraceID, f.SpanID = task.SpanContext(task.Ref{Kind: f.Kind, Scope: text("scope"), Key: f.TaskID}, text("execution"))
	return f, nil
}

// ClaimsOf implements store.Reader. Claims of tasks that are not known yet are among them.
func (s *Store) ClaimsOf(ctx context.Context, taskIDs []string) ([]store.TaskClaim, error) {
	return s.claims(ctx, "task", taskIDs, nil)
}

// ClaimsOn implements store.Reader.
func (s *Store) ClaimsOn(ctx context.Context, entities []string, role task.Role) ([]store.TaskClaim, error) {
	keys := make([]string, len(entities))
	for i, e := range entities {
		keys[i] = view.Key(e)
	}
	var filter []object
	if role != "" {
		filter = []object{{"term": object{"role": string(role)}}}
	}
	return s.claims(ctx, "entity", keys, filter)
}

func (s *Store) claims(ctx context.Context, field string, keys []string, filter []object) (out []store.TaskClaim, err error) {
	err = s.reading(ctx, func(p *snapshot) error {
		return p.eachOf(ctx, field, keys, filter, []string{"task", "claim"}, largePage, func(h hit) error {
			var d struct{ Task, Claim string }
			if err := json.Unmarshal(h.Source, &d); err != nil {
				return fmt.Errorf("claim %s: %w", h.ID, err)
			}
			c, err := view.ParseClaim(d.Claim)
			out = append(out, store.TaskClaim{TaskID: d.Task, Claim: c})
			return err
		})
	}, claims)
	return out, err
}

// Dependents implements store.Reader.
func (s *Store) Dependents(ctx context.Context, ids []string) ([]store.Edge, error) {
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	return s.edges(ctx, "targets", ids, nil, func(e store.Edge) bool { return wanted[e.To] })
}

// Dependencies implements store.Reader.
func (s *Store) Dependencies(ctx context.Context, ids []string) ([]store.Edge, error) {
	some := []object{{"exists": object{"field": "targets"}}}
	return s.edges(ctx, "id", ids, some, func(store.Edge) bool { return true })
}

func (s *Store) edges(ctx context.Context, field string, ids []string, filter []object, keep func(store.Edge) bool) (out []store.Edge, err error) {
	seen := map[string]bool{} // a task may lead to targets of several chunks
	err = s.reading(ctx, func(p *snapshot) error {
		return p.eachOf(ctx, field, ids, filter, []string{"edges"}, largePage, func(h hit) error {
			if seen[h.ID] {
				return nil
			}
			seen[h.ID] = true
			var d struct{ Edges [][3]any }
			if err := json.Unmarshal(h.Source, &d); err != nil {
				return fmt.Errorf("task %s: its edges: %w", h.ID, err)
			}
			for _, x := range d.Edges {
				e := store.Edge{From: h.ID}
				e.To, _ = x[0].(string)
				e.Parent, _ = x[1].(bool)
				e.Field, _ = x[2].(string)
				if keep(e) {
					out = append(out, e)
				}
			}
			return nil
		})
	}, tasks)
	return out, err
}

// Environments implements store.Reader.
func (s *Store) Environments(ctx context.Context, digests []string) (map[string]map[string]any, error) {
	out := make(map[string]map[string]any, len(digests))
	keys := make([]string, len(digests))
	for i, d := range digests {
		keys[i] = view.Key(d)
	}
	err := s.reading(ctx, func(p *snapshot) error {
		return p.eachOf(ctx, "id", keys, nil, []string{"digest", "record"}, smallPage, func(h hit) error { return addEnvironment(out, h) })
	}, environments)
	return out, err
}

func addEnvironment(to map[string]map[string]any, h hit) error {
	var d struct{ Digest, Record string }
	err := json.Unmarshal(h.Source, &d)
	if err != nil {
		return fmt.Errorf("environment %s: %w", h.ID, err)
	}
	v, err := task.DecodeStored([]byte(d.Record))
	if err != nil {
		return fmt.Errorf("environment %s: %w", d.Digest, err)
	}
	if m, ok := v.(map[string]any); ok {
		to[d.Digest] = m
	}
	return nil
}
