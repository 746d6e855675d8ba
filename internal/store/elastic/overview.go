package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Campaigns implements store.Reader.
func (s *Store) Campaigns(ctx context.Context) ([]store.Campaign, error) {
	all, err := s.Workflows(ctx, "")
	if err != nil {
		return nil, err
	}
	return view.Campaigns(all), nil
}

type workflowKey struct{ campaign, id string }

// Workflows implements store.Reader. Tasks without a workflow are counted under the workflow "", a workflow whose tasks
// are in several campaigns in each of them.
func (s *Store) Workflows(ctx context.Context, campaign string) (out []store.Workflow, err error) {
	byKey := map[workflowKey]*store.Workflow{}
	err = s.reading(ctx, func(p *snapshot) error {
		if err := p.taskWorkflows(ctx, campaign, byKey); err != nil {
			return err
		}
		return p.declaredWorkflows(ctx, campaign, byKey)
	}, tasks, workflows)
	for _, w := range byKey {
		out = append(out, *w)
	}
	view.SortWorkflows(out)
	return out, err
}

// first asks for one value of the documents of a bucket: aggregations that compute would round a time to a double.
func first(field, order string) object {
	return object{"top_hits": object{
		"size": 1, "_source": false, "sort": []object{{field: object{"order": order, "missing": "_last", "unmapped_type": "keyword"}}},
	}}
}

type topHit struct {
	Hits struct{ Hits []hit }
}

func (t topHit) into(v any) error {
	if len(t.Hits.Hits) == 0 || len(t.Hits.Hits[0].Sort) == 0 {
		return nil
	}
	return json.Unmarshal(t.Hits.Hits[0].Sort[0], v)
}

func (p *snapshot) inIndex(kind string) object {
	return object{"term": object{"_index": p.store.index(kind)}}
}

// taskWorkflows counts the tasks by campaign, workflow and status.
func (p *snapshot) taskWorkflows(ctx context.Context, campaign string, byKey map[workflowKey]*store.Workflow) error {
	filter := []object{p.inIndex(tasks)}
	if campaign != "" {
		filter = append(filter, object{"term": object{"campaign_id": campaign}})
	}
	sources := []object{}
	for _, f := range []string{"campaign_id", "workflow_id", "status"} {
		sources = append(sources, object{f: object{"terms": object{"field": f, "missing_bucket": true}}})
	}
	composite := object{"size": 1000, "sources": sources}
	for {
		a, err := p.search(ctx, object{
			"size": 0, "query": object{"bool": object{"filter": filter}},
			"aggs": object{"groups": object{"composite": composite, "aggs": object{
				"first": first("first_at", "asc"), "last": first("last_at", "desc"), "name": first("workflow_name", "desc"),
				"parent": first("workflow_parent_id", "desc"), "kind": first("kind", "desc"),
			}}},
		})
		if err != nil {
			return err
		}
		var answer struct {
			Groups struct {
				After   json.RawMessage `json:"after_key"`
				Buckets []workflowBucket
			}
		}
		if err := json.Unmarshal(a.Aggregations, &answer); err != nil {
			return fmt.Errorf("workflows: %w", err)
		}
		for _, b := range answer.Groups.Buckets {
			if err := b.add(byKey); err != nil {
				return fmt.Errorf("workflows: %w", err)
			}
		}
		if len(answer.Groups.Buckets) == 0 || answer.Groups.After == nil {
			return nil
		}
		composite["after"] = answer.Groups.After
		if p.pit == "" && len(answer.Groups.Buckets) == 1000 {
			// The next page must be of the same moment: begin again with one.
			if err := p.open(ctx); err != nil {
				return err
			}
			clear(byKey)
			delete(composite, "after")
		}
	}
}

type workflowBucket struct {
	Key struct {
		Campaign *string `json:"campaign_id"`
		Workflow *string `json:"workflow_id"`
		Status   string
	}
	Count                           int64 `json:"doc_count"`
	First, Last, Name, Parent, Kind topHit
}

func (b *workflowBucket) add(byKey map[workflowKey]*store.Workflow) error {
	k := workflowKey{deref(b.Key.Campaign), deref(b.Key.Workflow)}
	w := byKey[k]
	if w == nil {
		w = &store.Workflow{ID: k.id, CampaignID: k.campaign, ByStatus: map[string]int64{}}
		byKey[k] = w
	}
	var firstAt, lastAt int64
	var name, parent, kind *string
	for _, x := range []struct {
		hit topHit
		to  any
	}{{b.First, &firstAt}, {b.Last, &lastAt}, {b.Name, &name}, {b.Parent, &parent}, {b.Kind, &kind}} {
		if err := x.hit.into(x.to); err != nil {
			return err
		}
	}
	// Tasks may disagree about the name of their workflow; the choice must not depend on the order of the buckets.
	w.Name, w.ParentID, w.Kind = max(w.Name, deref(name)), max(w.ParentID, deref(parent)), max(w.Kind, deref(kind))
	w.Tasks += b.Count
	w.ByStatus[b.Key.Status] += b.Count
	w.FirstAt, w.LastAt = view.Span(w.FirstAt, w.LastAt, firstAt, lastAt)
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// declaredWorkflows adds what workflow events said. What they say of name and parent holds over what the tasks say. A
// workflow that has tasks is listed in the campaigns of its tasks, which people may have changed.
func (p *snapshot) declaredWorkflows(ctx context.Context, campaign string, byKey map[workflowKey]*store.Workflow) error {
	byID := map[string][]*store.Workflow{}
	for k, w := range byKey {
		byID[k.id] = append(byID[k.id], w)
	}
	var alone []store.Workflow
	err := p.each(ctx, object{"bool": object{"filter": []object{p.inIndex(workflows)}}}, []string{"state"}, smallPage, func(h hit) error {
		state, err := stateOf(h.Source)
		if err != nil {
			p.store.log.Warn(fmt.Sprintf("Workflow %s cannot be read: %v", h.ID, err))
			return nil
		}
		d := view.Workflow(state)
		of := byID[d.ID]
		for _, w := range of {
			declare(w, d)
		}
		if len(of) == 0 && (campaign == "" || d.CampaignID == campaign) {
			alone = append(alone, d)
		}
		return nil
	})
	if err != nil || len(alone) == 0 {
		return err
	}
	elsewhere := map[string]bool{}
	if campaign != "" {
		ids := make([]string, len(alone))
		for i, d := range alone {
			ids[i] = d.ID
		}
		if elsewhere, err = p.elsewhere(ctx, ids, campaign); err != nil {
			return err
		}
	}
	for _, d := range alone {
		if !elsewhere[d.ID] {
			w := &store.Workflow{ID: d.ID, CampaignID: d.CampaignID, ByStatus: map[string]int64{}}
			declare(w, d)
			byKey[workflowKey{d.CampaignID, d.ID}] = w
		}
	}
	return nil
}

func declare(w *store.Workflow, d store.Workflow) {
	if d.Name != "" {
		w.Name = d.Name
	}
	if d.ParentID != "" {
		w.ParentID = d.ParentID
	}
	if w.Kind == "" {
		w.Kind = d.Kind
	}
	w.FirstAt, w.LastAt = view.Span(w.FirstAt, w.LastAt, d.FirstAt, d.LastAt)
}

// elsewhere returns those of the workflows that have tasks in other campaigns.
func (p *snapshot) elsewhere(ctx context.Context, ids []string, campaign string) (map[string]bool, error) {
	out := map[string]bool{}
	for len(ids) > 0 {
		part := ids[:min(chunk, len(ids))]
		ids = ids[len(part):]
		a, err := p.search(ctx, object{
			"size": 0, "aggs": object{"ids": object{"terms": object{"field": "workflow_id", "size": len(part)}}},
			"query": object{"bool": object{
				"filter":   []object{p.inIndex(tasks), {"terms": object{"workflow_id": part}}, {"exists": object{"field": "campaign_id"}}},
				"must_not": []object{{"term": object{"campaign_id": campaign}}},
			}},
		})
		if err != nil {
			return nil, err
		}
		var answer struct {
			IDs struct{ Buckets []struct{ Key string } }
		}
		if err := json.Unmarshal(a.Aggregations, &answer); err != nil {
			return nil, fmt.Errorf("workflows: %w", err)
		}
		for _, b := range answer.IDs.Buckets {
			out[b.Key] = true
		}
	}
	return out, nil
}

// Checkpoints implements store.Reader.
func (s *Store) Checkpoints(ctx context.Context, campaign string) (out []store.Checkpoint, err error) {
	query := object{"match_all": object{}}
	if campaign != "" {
		query = object{"term": object{"campaign": view.Key(campaign)}}
	}
	err = s.reading(ctx, func(p *snapshot) error {
		return p.each(ctx, query, []string{"record"}, smallPage, func(h hit) error {
			k, o, err := observerOf(h.Source)
			if err != nil {
				return err
			}
			c := store.Checkpoint{
				Observer: k.ID, Campaign: k.Campaign, At: o.checkpoint.At, LastSeq: o.checkpoint.LastSeq, Final: o.checkpoint.Final,
				Host: o.checkpoint.Host, Dropped: []any{}, Finished: o.finished,
			}
			c.Arrivals(o.ranges)
			if o.checkpoint.Dropped != "" {
				v, err := task.DecodeStored([]byte(o.checkpoint.Dropped))
				if err != nil {
					return fmt.Errorf("checkpoint of %s: %w", k.ID, err)
				}
				c.Dropped, _ = v.([]any)
			}
			if o.checkpoint.Record != "" {
				v, err := task.DecodeStored([]byte(o.checkpoint.Record))
				if err != nil {
					return fmt.Errorf("checkpoint of %s: %w", k.ID, err)
				}
				if m, _ := v.(map[string]any); len(m) > 0 {
					c.Record = m
				}
			}
			out = append(out, c)
			return nil
		})
	}, observers)
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		return a.Campaign < b.Campaign || a.Campaign == b.Campaign && a.Observer < b.Observer
	})
	return out, err
}
