package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// Exists says whether there is a view with the prefix of the options; it makes none.
func Exists(ctx context.Context, o Options) (bool, error) {
	if err := o.Validate(); err != nil {
		return false, err
	}
	o = o.withDefaults()
	c, err := newClient(ctx, o)
	if err != nil {
		return false, err
	}
	defer c.close()
	s := &Store{opts: o, client: c}
	_, err = s.mapping(ctx, tasks)
	if isStatus(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Size implements store.Admin: what the indices take on all nodes, without the share of deleted documents, whose place
// the server frees when it likes.
func (s *Store) Size(ctx context.Context) (bytes int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	if err := s.refresh(ctx, s.indices(kinds...)); err != nil {
		return 0, err
	}
	// The sum that servers know is ten seconds old, that of the segments is of now.
	var answer struct {
		Indices map[string]struct {
			Shards map[string][]struct {
				Segments map[string]struct {
					Docs    int64 `json:"num_docs"`
					Deleted int64 `json:"deleted_docs"`
					Size    int64 `json:"size_in_bytes"`
				}
			}
		}
	}
	err = s.client.do(ctx, request{method: http.MethodGet, path: "/" + s.indices(kinds...) + "/_segments"}, &answer)
	for _, index := range answer.Indices {
		for _, copies := range index.Shards {
			for _, c := range copies {
				for _, g := range c.Segments {
					bytes += int64(float64(g.Size) * float64(g.Docs) / float64(max(1, g.Docs+g.Deleted)))
				}
			}
		}
	}
	return bytes, err
}

// Import implements store.Transfer.
func (s *Store) Import(ctx context.Context, parts []store.Part) ([]store.Refused, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	c := &call{done: make(chan struct{}), batch: view.NewBatch()}
	refused := c.batch.AddParts(&c.rejected, parts)
	if c.batch.Events == 0 {
		return refused, nil
	}
	if err := s.prepare(ctx, c); err != nil {
		return nil, err
	}
	if err := s.submit(ctx, c); err != nil {
		return nil, err
	}
	return append(refused, view.RefusedOf(c.rejected.List)...), nil
}

// Snapshot implements store.Transfer.
func (s *Store) Snapshot(ctx context.Context) (store.Snapshot, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	var p *snapshot
	// Between two groups, so that a Write is in it as a whole or not at all.
	err := s.submit(ctx, &call{done: make(chan struct{}), special: func(context.Context) (err error) {
		p, err = s.snapshot(ctx, kinds...)
		return err
	}})
	if err != nil {
		s.leave()
		return nil, err
	}
	return &parts{p}, nil
}

// parts is a snapshot to read all of.
type parts struct{ p *snapshot }

func (s *parts) Close() error {
	s.p.close()
	s.p.store.leave()
	return nil
}

// Parts implements store.Snapshot.
func (s *parts) Parts(ctx context.Context, campaign string, each func(store.Part) error) error {
	var filter []object
	if campaign != "" {
		filter = []object{{"term": object{"campaign_id": campaign}}}
	}
	handle := func(kind string) func(hit) error {
		return func(h hit) error {
			p, err := partOf(kind, h)
			if err != nil {
				return err
			}
			return each(p)
		}
	}
	in := func(kind string, filter ...object) object {
		return object{"bool": object{"filter": append([]object{s.p.inIndex(kind)}, filter...)}}
	}
	if err := s.p.each(ctx, in(tasks, filter...), sourceOf[tasks], smallPage, handle(tasks)); err != nil {
		return err
	}
	if campaign == "" {
		err := s.p.eachBy(ctx, []string{"task", "id"}, in(claims), sourceOf[claims], largePage, handle(claims))
		if err != nil {
			return err
		}
		for _, kind := range []string{workflows, environments, entities, observers} {
			if err := s.p.each(ctx, in(kind), sourceOf[kind], smallPage, handle(kind)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.claims(ctx, in(tasks, filter...), handle(claims)); err != nil {
		return err
	}
	flows, err := s.p.overview(ctx, campaign)
	if err != nil {
		return err
	}
	ids := flows.IDs()
	for i, id := range ids {
		ids[i] = view.Key(id)
	}
	sort.Strings(ids)
	if err := s.p.eachOf(ctx, "id", ids, []object{s.p.inIndex(workflows)}, sourceOf[workflows], smallPage, handle(workflows)); err != nil {
		return err
	}
	ids, err = s.environments(ctx, in(tasks, filter...))
	if err != nil {
		return err
	}
	if err := s.p.eachOf(ctx, "id", ids, []object{s.p.inIndex(environments)}, sourceOf[environments], smallPage, handle(environments)); err != nil {
		return err
	}
	if err := s.p.each(ctx, in(entities), sourceOf[entities], smallPage, handle(entities)); err != nil {
		return err
	}
	mine := object{"term": object{"campaign": view.Key(campaign)}}
	return s.p.each(ctx, in(observers, mine), sourceOf[observers], smallPage, handle(observers))
}

// claims calls f for the claims of the tasks that a query finds. Claims know their task alone.
func (s *parts) claims(ctx context.Context, query object, f func(hit) error) error {
	var ids []string
	flush := func() error {
		if len(ids) == 0 {
			return nil
		}
		of := object{"bool": object{"filter": []object{s.p.inIndex(claims), {"terms": object{"task": ids}}}}}
		err := s.p.eachBy(ctx, []string{"task", "id"}, of, sourceOf[claims], largePage, f)
		ids = ids[:0]
		return err
	}
	err := s.p.each(ctx, query, false, largePage, func(h hit) error {
		if ids = append(ids, h.ID); len(ids) < chunk {
			return nil
		}
		return flush()
	})
	return errors.Join(err, flush())
}

// environments returns the keys of the environments of the tasks that a query finds, sorted.
func (s *parts) environments(ctx context.Context, query object) (keys []string, err error) {
	composite := object{"size": 1000, "sources": []object{{"digest": object{"terms": object{"field": "environment"}}}}}
	for {
		a, err := s.p.search(ctx, object{"size": 0, "query": query, "aggs": object{"all": object{"composite": composite}}})
		if err != nil {
			return nil, err
		}
		var answer struct {
			All struct {
				After   json.RawMessage `json:"after_key"`
				Buckets []struct{ Key struct{ Digest string } }
			}
		}
		if err := json.Unmarshal(a.Aggregations, &answer); err != nil {
			return nil, fmt.Errorf("environments: %w", err)
		}
		for _, b := range answer.All.Buckets {
			keys = append(keys, view.Key(b.Key.Digest))
		}
		if len(answer.All.Buckets) == 0 || answer.All.After == nil {
			sort.Strings(keys)
			return keys, nil
		}
		composite["after"] = answer.All.After
	}
}

func partOf(kind string, h hit) (store.Part, error) {
	l, err := lineOf(kind, h)
	if err != nil {
		return store.Part{}, err
	}
	switch kind {
	case tasks:
		return view.TaskPart(l.Task, []byte(l.State)), nil
	case claims:
		return view.ClaimPart(l.Task, l.Claim), nil
	case workflows:
		state, err := stateOf(h.Source)
		if err != nil {
			return store.Part{}, fmt.Errorf("workflow %s: %w", h.ID, err)
		}
		return view.WorkflowPart(view.Workflow(state).ID, []byte(l.State)), nil
	case environments:
		return view.RecordPart(store.PartEnvironment, l.Environment, l.Time, l.Record), nil
	case entities:
		return view.RecordPart(store.PartEntity, l.Entity, l.Time, l.Record), nil
	default:
		k, o, err := observerOf(h.Source)
		return view.ObserverPart(k, o.Observed), err
	}
}
