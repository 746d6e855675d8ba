package elastic

import (
	"context"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// Query implements store.Reader. The server selects the tasks that may match and sends the fields that the query looks
// at; the answer is computed from them as the reference does.
func (s *Store) Query(ctx context.Context, q *query.Query) (*query.Answer, error) {
	if _, err := q.Position(); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	c := &compiler{}
	if asksEnvironment(q) {
		// Before the tasks: those that are written meanwhile may come with a record that is not known here, never the
		// other way round.
		var err error
		if c.environments, err = s.allEnvironments(ctx); err != nil {
			return nil, err
		}
	}
	p, err := s.snapshot(ctx, tasks)
	if err != nil {
		return nil, err
	}
	defer p.close()
	r := &reader{snapshot: p, q: q, compiler: c, where: c.filter(q.Filter)}
	return r.answer(ctx)
}

// asksEnvironment says whether the query looks into the records of environments.
func asksEnvironment(q *query.Query) bool {
	if len(q.Projection) == 0 && len(q.Aggregation) == 0 {
		return true // whole tasks are shown
	}
	for _, f := range q.Fields() {
		if f.Root == "environment" {
			return true
		}
	}
	return false
}

func (s *Store) allEnvironments(ctx context.Context) (map[string]map[string]any, error) {
	out := map[string]map[string]any{}
	p, err := s.look(ctx, environments)
	if err != nil {
		return nil, err
	}
	defer p.close()
	err = p.each(ctx, all(), []string{"digest", "record"}, smallPage, func(h hit) error { return addEnvironment(out, h) })
	return out, err
}

// reader answers one query in one snapshot.
type reader struct {
	*snapshot
	*compiler
	q     *query.Query
	where bounds
}

func (r *reader) answer(ctx context.Context) (*query.Answer, error) {
	stream, err := query.NewStream(r.q)
	if err != nil {
		return nil, err
	}
	whole, err := r.wantsWhole(ctx)
	if err != nil {
		return nil, err
	}
	if whole {
		err = r.addWhole(ctx, stream)
	} else {
		err = r.addParts(ctx, stream)
	}
	if err != nil {
		return nil, err
	}
	a, err := stream.Answer()
	if err != nil || len(r.q.Aggregation) > 0 || whole {
		return a, err
	}
	a.Rows, err = r.rows(ctx, stream.IDs())
	return a, err
}

// addParts takes the way that reads the least.
func (r *reader) addParts(ctx context.Context, stream *query.Stream) error {
	for _, way := range []func(context.Context, *query.Stream) (bool, error){r.addPage, r.addGroups} {
		if done, err := way(ctx, stream); done || err != nil {
			return err
		}
	}
	return r.addFlat(ctx, stream)
}

// addWhole streams whole documents of the tasks that may match.
func (r *reader) addWhole(ctx context.Context, stream *query.Stream) error {
	return r.stream(ctx, r.where.upper, documentSource, smallPage, func(h hit) error {
		d, err := documentOf(h)
		if err == nil {
			stream.Add(r.withEnvironment(d))
		}
		return err
	})
}

// rows reads the documents of a page in its order.
func (r *reader) rows(ctx context.Context, ids []string) ([]map[string]any, error) {
	docs, err := r.documents(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, 0, len(ids))
	for _, id := range ids {
		d := docs[id]
		if d == nil {
			return nil, fmt.Errorf("task %s: it is gone from the snapshot that had it", id)
		}
		out = append(out, query.Row(r.withEnvironment(d), r.q.Projection))
	}
	return out, nil
}

// withEnvironment puts the record of a task's environment in place of its digest, where it has arrived.
func (r *reader) withEnvironment(d map[string]any) map[string]any {
	if digest, ok := d["environment"].(string); ok {
		if record := r.environments[digest]; record != nil {
			d["environment"] = record
		}
	}
	return d
}

// wantsWhole says whether the query needs whole documents: a field is in the state only, or one of its short names is
// ambiguous in a task.
func (r *reader) wantsWhole(ctx context.Context) (bool, error) {
	var short []string
	for _, f := range r.evaluated() {
		switch {
		case f.Type == query.Dynamic && f.Root != "environment" && !isIndexed(f.Root),
			f.Type == query.Object && f.Root != "environment", f.Root == "stdout", f.Root == "stderr", len(f.Name) >= maxTerm:
			return true, nil
		}
	}
	for _, f := range r.q.Fields() {
		if f.Shortened() {
			short = append(short, term(f.Name))
		}
	}
	if len(short) == 0 {
		return false, nil
	}
	a, err := r.search(ctx, object{"size": 1, "_source": false, "track_total_hits": false, "query": object{"terms": object{"ambiguous": short}}})
	return err == nil && len(a.Hits.Hits) > 0, err
}

// evaluated are the fields that the answer is computed from; those that a list only shows come from the documents of its
// page.
func (r *reader) evaluated() []query.Field {
	if len(r.q.Aggregation) > 0 {
		return r.q.Fields()
	}
	q := *r.q
	q.Projection = nil
	return q.Fields()
}

// addFlat streams the evaluated fields of the tasks that may match.
func (r *reader) addFlat(ctx context.Context, stream *query.Stream) error {
	f := newFlat(r.evaluated(), r.q)
	if err := r.fromColumns(ctx, f); err != nil {
		return err
	}
	var whole []string
	err := r.stream(ctx, r.where.upper, f.asked(), largePage, func(h hit) error {
		id, d, err := f.take(h)
		switch {
		case err != nil:
			return err
		case d == nil:
			whole = append(whole, id)
		default:
			stream.Add(r.withEnvironment(d))
		}
		return nil
	})
	if err != nil || len(whole) == 0 {
		return err
	}
	docs, err := r.documents(ctx, whole)
	for _, d := range docs {
		stream.Add(r.withEnvironment(d))
	}
	return err
}
