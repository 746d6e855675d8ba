package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// addGroups lets the server make the groups of an aggregation, where it knows them exactly: see plan. What it turns out
// not to know of the tasks that match, it says in the same answer, and the tasks are streamed.
func (r *reader) addGroups(ctx context.Context, stream *query.Stream) (done bool, err error) {
	p, ok := r.plan(false)
	if ok {
		if done, err = r.addPlanned(ctx, p, stream); done || err != nil {
			return done, err
		}
	}
	if p, ok = r.plan(true); !ok || p.roundings == 0 {
		return false, nil
	}
	var matching struct{ All bucketCount }
	err = r.aggregations(ctx, object{"size": 0, "query": r.where.upper, "aggs": object{"all": object{"filter": all()}}}, &matching)
	if err != nil || matching.All.N < roundedFrom {
		return false, err
	}
	return r.addPlanned(ctx, p, stream)
}

// roundedFrom is from how many tasks on the server computes sums, means and deviations of floats: it rounds them in another
// order, which changes the last digits, but a stream of millions of tasks takes as long as a query may.
var roundedFrom int64 = 100_000

func (r *reader) addPlanned(ctx context.Context, p *plan, stream *query.Stream) (done bool, err error) {
	body := object{"size": 0, "query": r.where.upper}
	if len(p.groups) == 0 {
		body["aggs"] = object{"doubt": p.doubt, "all": object{"filter": all(), "aggs": p.aggregates}}
		var answer struct {
			Doubt bucketCount
			All   groupBucket
		}
		if err := r.aggregations(ctx, body, &answer); err != nil || answer.Doubt.N > 0 {
			return false, err
		}
		p.buckets = []groupBucket{answer.All}
		return r.finish(ctx, p, stream)
	}
	size := groupsAtOnce
	if len(p.quantiles) > 0 { // of so many groups they are not looked for, and estimates take memory
		size = mostRanges + 1
	}
	composite := object{"size": size, "sources": p.sources}
	body["aggs"] = object{"doubt": p.doubt, "groups": object{"composite": composite, "aggs": p.aggregates}}
	for {
		var answer struct {
			Doubt  bucketCount
			Groups struct {
				After   json.RawMessage `json:"after_key"`
				Buckets []groupBucket
			}
		}
		if err := r.aggregations(ctx, body, &answer); err != nil || answer.Doubt.N > 0 {
			return false, err
		}
		p.buckets = append(p.buckets, answer.Groups.Buckets...)
		if len(answer.Groups.Buckets) < size || answer.Groups.After == nil {
			return r.finish(ctx, p, stream)
		}
		if p.leaves || len(p.quantiles) > 0 { // each page costs the server as much as the first; a stream does not
			return false, nil
		}
		composite["after"] = answer.Groups.After
	}
}

// groupsAtOnce is how many groups one answer has.
const groupsAtOnce = 5_000

type bucketCount struct {
	N int64 `json:"doc_count"`
}

func (r *reader) finish(ctx context.Context, p *plan, stream *query.Stream) (done bool, err error) {
	if ok, err := p.settleForms(ctx, r); !ok || err != nil {
		return false, err
	}
	if ok, err := p.findQuantiles(ctx, r); !ok || err != nil {
		return false, err
	}
	groups, seen := make([]query.Group, 0, len(p.buckets)), map[string]bool{}
	for _, b := range p.buckets {
		g, ok, err := p.group(b)
		// The texts 1 and 1.0 are one group, of which there would be two results.
		if !ok || err != nil || seen[g.Key()] && p.roundings+len(p.quantiles) > 0 {
			return false, err
		}
		seen[g.Key()] = true
		groups = append(groups, g)
	}
	for _, g := range groups {
		stream.AddGroup(g)
	}
	return true, nil
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

// opaque selects the tasks of which the index does not tell an evaluated field.
func (r *reader) opaque() object { return r.opaqueOf(r.evaluated()) }

func (r *reader) opaqueOf(fields []query.Field) object {
	names := []string{}
	for _, f := range fields {
		names = append(names, term(f.Name))
	}
	return boolOf("should", []object{{"terms": object{"opaque": names}}, {"term": object{"spilled": true}}})
}

// groupBucket is one bucket with its aggregations, whose names begin with the number of an aggregate.
type groupBucket struct {
	Key    map[string]*string
	Count  int64 `json:"doc_count"`
	values map[string]groupValue
	// quantiles are what was found besides, by aggregate.
	quantiles map[int]any
}

// groupValue is the answer for one aggregate, to one stats aggregation, or to one of percentiles.
type groupValue struct {
	Docs  int64 `json:"doc_count"`
	Value topHit
	statistics
	Values []estimate
}

type statistics struct {
	Count         int64
	Min, Max, Sum double
	Squares       double `json:"sum_of_squares"`
}

// double is a number of the server: NaN where that has none, or says Infinity.
type double float64

func (d *double) UnmarshalJSON(data []byte) error {
	if *d = double(math.NaN()); data[0] == '"' || data[0] == 'n' {
		return nil
	}
	return json.Unmarshal(data, (*float64)(d))
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
	b.values = map[string]groupValue{}
	for name, raw := range parts {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		var v groupValue
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		b.values[name] = v
	}
	return nil
}
