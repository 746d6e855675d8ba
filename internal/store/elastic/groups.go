package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// addGroups lets the server make the groups of an aggregation: where they are of promoted texts, and only counts and the
// least and greatest of promoted numbers are asked for, which it knows exactly. Other statistics it rounds.
func (r *reader) addGroups(ctx context.Context, stream *query.Stream) (done bool, err error) {
	if len(r.q.Aggregation) == 0 || !r.where.exact {
		return false, nil
	}
	groups := r.q.Groups()
	sources := []object{}
	for i, f := range groups {
		if f.Type != query.String && f.Type != query.Enum || !sortable(f) {
			return false, nil
		}
		sources = append(sources, object{strconv.Itoa(i): object{"terms": object{"field": f.Name, "missing_bucket": true}}})
	}
	for _, k := range r.q.Sort {
		if k.By == query.ByMaximum {
			return false, nil
		}
	}
	aggs := object{}
	for i, a := range r.q.Aggregation {
		if aggs[strconv.Itoa(i)] = r.aggregate(a); aggs[strconv.Itoa(i)] == nil {
			return false, nil
		}
	}
	if opaque, err := r.opaqueAnywhere(ctx); opaque || err != nil {
		return false, err
	}
	body := object{"size": 0, "query": r.where.upper}
	if len(groups) == 0 {
		body["aggs"] = object{"all": object{"filter": all(), "aggs": aggs}}
		var answer struct{ All groupBucket }
		if err := r.aggregations(ctx, body, &answer); err != nil {
			return false, err
		}
		return true, answer.All.add(r.q, stream)
	}
	composite := object{"size": 1000, "sources": sources}
	body["aggs"] = object{"groups": object{"composite": composite, "aggs": aggs}}
	for {
		var answer struct {
			Groups struct {
				After   json.RawMessage `json:"after_key"`
				Buckets []groupBucket
			}
		}
		if err := r.aggregations(ctx, body, &answer); err != nil {
			return false, err
		}
		for _, b := range answer.Groups.Buckets {
			if err := b.add(r.q, stream); err != nil {
				return false, err
			}
		}
		if len(answer.Groups.Buckets) == 0 || answer.Groups.After == nil {
			return true, nil
		}
		composite["after"] = answer.Groups.After
	}
}

// aggregate is the server's aggregation for one of the query; nil: there is none that is exact.
func (c *compiler) aggregate(a query.Aggregate) any {
	exists := c.compare(query.Compare{Field: a.Field, Op: query.Exists, Value: true})
	number := a.Field.Type == query.Integer || a.Field.Type == query.Time || a.Field.Type == query.Duration
	switch {
	case !exists.exact:
		return nil
	case a.Op == query.Count:
		return object{"filter": exists.upper}
	case a.Op == query.Min && number:
		return object{"filter": exists.upper, "aggs": object{"value": first(a.Field.Name, "asc")}}
	case a.Op == query.Max && number:
		return object{"filter": exists.upper, "aggs": object{"value": first(a.Field.Name, "desc")}}
	default:
		return nil
	}
}

func (r *reader) aggregations(ctx context.Context, body object, out any) error {
	a, err := r.search(ctx, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.Aggregations, out); err != nil {
		return fmt.Errorf("search %s: %w", r.index, err)
	}
	return nil
}

// opaqueAnywhere says whether any task has an evaluated field that the index does not tell.
func (r *reader) opaqueAnywhere(ctx context.Context) (bool, error) {
	a, err := r.search(ctx, object{"size": 1, "_source": false, "track_total_hits": false, "query": r.opaque()})
	return err == nil && len(a.Hits.Hits) > 0, err
}

func (r *reader) opaque() object {
	names := []string{}
	for _, f := range r.evaluated() {
		names = append(names, term(f.Name))
	}
	return boolOf("should", []object{{"terms": object{"opaque": names}}, {"term": object{"spilled": true}}})
}

// groupBucket is one bucket with its aggregations, which are named by number.
type groupBucket struct {
	Key    map[string]*string
	Count  int64 `json:"doc_count"`
	values map[string]struct {
		Count int64 `json:"doc_count"`
		Value topHit
	}
}

func (b *groupBucket) UnmarshalJSON(data []byte) error {
	type named groupBucket
	if err := json.Unmarshal(data, (*named)(b)); err != nil {
		return err
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	delete(parts, "key")
	delete(parts, "doc_count")
	whole, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	return json.Unmarshal(whole, &b.values)
}

func (b *groupBucket) add(q *query.Query, stream *query.Stream) error {
	g := query.Group{Count: b.Count, Counts: make([]int64, len(q.Aggregation)), Numbers: map[string][]any{}}
	for i := range q.Groups() {
		v := b.Key[strconv.Itoa(i)]
		g.Present = append(g.Present, v != nil)
		if v == nil {
			g.Values = append(g.Values, nil)
		} else {
			g.Values = append(g.Values, *v)
		}
	}
	for i, a := range q.Aggregation {
		v := b.values[strconv.Itoa(i)]
		if a.Op == query.Count {
			g.Counts[i] = v.Count
			continue
		}
		var raw json.RawMessage
		if err := v.Value.into(&raw); err != nil {
			return err
		}
		if v.Count == 0 || raw == nil {
			continue
		}
		n, err := task.DecodeStored(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Column(), err)
		}
		g.Numbers[a.Field.Name] = append(g.Numbers[a.Field.Name], n)
	}
	stream.AddGroup(g)
	return nil
}
