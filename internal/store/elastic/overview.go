package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// Campaigns implements store.Reader.
func (s *Store) Campaigns(ctx context.Context) ([]store.Campaign, error) {
	all, err := s.Workflows(ctx, "")
	if err != nil {
		return nil, err
	}
	return view.Campaigns(all), nil
}

// Workflows implements store.Reader.
func (s *Store) Workflows(ctx context.Context, campaign string) (list []store.Workflow, err error) {
	err = s.reading(ctx, func(p *snapshot) error {
		o, err := p.overview(ctx, campaign)
		if err == nil {
			list = o.Workflows()
		}
		return err
	}, tasks, workflows)
	return list, err
}

func (p *snapshot) overview(ctx context.Context, campaign string) (*view.Overview, error) {
	o, err := p.taskWorkflows(ctx, campaign)
	if err != nil {
		return nil, err
	}
	return o, p.declaredWorkflows(ctx, campaign, o)
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
func (p *snapshot) taskWorkflows(ctx context.Context, campaign string) (*view.Overview, error) {
	o := view.NewOverview(campaign)
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
			return nil, err
		}
		var answer struct {
			Groups struct {
				After   json.RawMessage `json:"after_key"`
				Buckets []workflowBucket
			}
		}
		if err := json.Unmarshal(a.Aggregations, &answer); err != nil {
			return nil, fmt.Errorf("workflows: %w", err)
		}
		for _, b := range answer.Groups.Buckets {
			if err := b.addTo(o); err != nil {
				return nil, fmt.Errorf("workflows: %w", err)
			}
		}
		if len(answer.Groups.Buckets) == 0 || answer.Groups.After == nil {
			return o, nil
		}
		composite["after"] = answer.Groups.After
		if p.isSingle() && len(answer.Groups.Buckets) == 1000 {
			// The next page must be of the same moment: begin again with one.
			if err := p.open(ctx); err != nil {
				return nil, err
			}
			o = view.NewOverview(campaign)
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

func (b *workflowBucket) addTo(o *view.Overview) error {
	w := store.Workflow{ID: deref(b.Key.Workflow), CampaignID: deref(b.Key.Campaign), Tasks: b.Count}
	var name, parent, kind *string
	for _, x := range []struct {
		hit topHit
		to  any
	}{{b.First, &w.FirstAt}, {b.Last, &w.LastAt}, {b.Name, &name}, {b.Parent, &parent}, {b.Kind, &kind}} {
		if err := x.hit.into(x.to); err != nil {
			return err
		}
	}
	// That is what servers sort by where no task of the bucket has a time.
	if w.FirstAt == math.MaxInt64 {
		w.FirstAt = 0
	}
	w.LastAt = max(w.LastAt, 0)
	w.Name, w.ParentID, w.Kind = deref(name), deref(parent), deref(kind)
	o.Tasks(b.Key.Status, w)
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// declaredWorkflows adds what workflow events said.
func (p *snapshot) declaredWorkflows(ctx context.Context, campaign string, o *view.Overview) error {
	var alone []store.Workflow
	err := p.each(ctx, object{"bool": object{"filter": []object{p.inIndex(workflows)}}}, []string{"state"}, smallPage, func(h hit) error {
		state, err := stateOf(h.Source)
		if err != nil {
			p.store.log.Warn(fmt.Sprintf("Workflow %s cannot be read: %v", h.ID, err))
			return nil
		}
		if d := view.Workflow(state); o.Declare(d) {
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
			o.Alone(d)
		}
	}
	return nil
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
			c, err := o.Answer(k)
			out = append(out, c)
			return err
		})
	}, observers)
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		return a.Campaign < b.Campaign || a.Campaign == b.Campaign && a.Observer < b.Observer
	})
	return out, err
}
