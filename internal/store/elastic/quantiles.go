package elastic

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// A quantile lies between two values that stand next to each other in the order of all. The server's percentiles are
// estimates of where that is; around them the server shows the values themselves, and counts those below. So the answer is
// that of the tasks, or it is not found.

// quantilePlan is of one field.
type quantilePlan struct {
	query.Field
	field, agg string
	ranks      map[int]float64 // by aggregate
}

const (
	estimates  = "estimates" // behind the name of an aggregate: where its quantiles are
	statistic  = "values"    // and how many values there are
	allShown   = 1_000       // of so many values all are shown
	mostShown  = 40_000      // at once; servers make 65,535 buckets
	mostRanges = 100         // quantiles of groups that are looked for: each is a condition that all tasks are put to
)

// margins are the parts of all values, on both sides of an estimate of a quantile, that are looked at: usually the second,
// the first of so many values that those of the second are not shown at once, the last where the estimate was a bad one.
var margins = []float64{0.001, 0.005, 0.03}

func percents() []float64 {
	var out []float64
	for _, rank := range []float64{0.5, 0.95} {
		for _, m := range margins {
			out = append(out, 100*(rank-m), 100*(rank+m))
		}
	}
	slices.Sort(out)
	return out
}

// addQuantile plans a median or a p95.
func (p *plan) addQuantile(name string, a query.Aggregate) bool {
	number := a.Field.Type == query.Integer || a.Field.Type == query.Duration
	if !number && (!indexedLeaf(a.Field) || !p.vague) {
		return false
	}
	i, _ := strconv.Atoi(name)
	rank := 0.5
	if a.Op == query.P95 {
		rank = 0.95
	}
	for _, n := range p.quantiles {
		if n.Name == a.Field.Name {
			n.ranks[i] = rank
			return true
		}
	}
	n := &quantilePlan{Field: a.Field, field: a.Field.Name, agg: name, ranks: map[int]float64{i: rank}}
	if !number {
		n.field = fieldOf(a.Field.Root, a.Field.Path)
	}
	p.quantiles = append(p.quantiles, n)
	p.aggregates[name+statistic] = object{"stats": object{"field": n.field}}
	p.aggregates[name+estimates] = object{"percentiles": object{
		"field": n.field, "keyed": false, "percents": percents(), "tdigest": object{"compression": 200},
	}}
	return true
}

// doubts select the tasks that have other values than one number.
func (n *quantilePlan) doubts() []object {
	if n.Type != query.Dynamic {
		return nil
	}
	return []object{{"term": object{"_ignored": n.field}}, {"term": object{"vague": term(n.Name)}}}
}

// wanted is a quantile of a group that is looked for between two values.
type wanted struct {
	bucket    *groupBucket
	aggregate int
	field     string
	group     []object // conditions
	estimates []estimate
	all       statistics
	rank, at  float64 // of the quantile: from 0 to 1, and among the values
	margin    int
	// next are the values next to those that were looked at in vain: estimates may lie in a gap.
	nextBelow, nextAbove float64
}

type estimate struct{ Key, Value double }

// findQuantiles finds the quantiles of all groups. It is not ok where there are too many, or one is not where it should be.
func (p *plan) findQuantiles(ctx context.Context, r *reader) (ok bool, err error) {
	var rest []*wanted
	for i := range p.buckets {
		b := &p.buckets[i]
		b.quantiles = map[int]any{}
		for _, n := range p.quantiles {
			all := b.values[n.agg+statistic].statistics
			for aggregate, rank := range n.ranks {
				switch {
				case all.Count == 0:
				case all.Min == all.Max:
					b.quantiles[aggregate] = float64(all.Min)
				default:
					w := &wanted{
						bucket: b, aggregate: aggregate, field: n.field, group: p.conditions(b), all: all,
						estimates: b.values[n.agg+estimates].Values, rank: rank, at: rank * float64(all.Count-1),
						nextBelow: math.Inf(1), nextAbove: math.Inf(-1),
					}
					if 2*margins[1]*float64(all.Count) < mostShown/2 {
						w.margin = 1
					}
					rest = append(rest, w)
				}
			}
		}
	}
	if len(rest) > mostRanges {
		return false, nil
	}
	for len(rest) > 0 {
		n, shown := 0, 0
		for n < len(rest) && shown+rest[n].size() <= mostShown {
			shown += rest[n].size()
			n++
		}
		missed, err := r.lookFor(ctx, rest[:n])
		if err != nil {
			return false, err
		}
		rest = rest[n:]
		for _, w := range missed {
			if w.margin++; w.margin == len(margins) || w.all.Count <= allShown {
				return false, nil
			}
			rest = append(rest, w)
		}
	}
	return true, nil
}

// conditions select the tasks of a group.
func (p *plan) conditions(b *groupBucket) []object {
	out := []object{}
	for i := range p.groups {
		name := strconv.Itoa(i)
		field := p.sources[i][name].(object)["terms"].(object)["field"].(string)
		if text := b.Key[name]; text != nil {
			out = append(out, object{"term": object{field: *text}})
		} else {
			out = append(out, negate(object{"exists": object{"field": field}}))
		}
	}
	return out
}

// between are the values that are looked at.
func (w *wanted) between() (low, high float64) {
	if w.all.Count <= allShown {
		return float64(w.all.Min), float64(w.all.Max)
	}
	near := func(rank float64) float64 {
		for _, e := range w.estimates {
			if math.Abs(float64(e.Key)-100*rank) < 1e-6 {
				return float64(e.Value)
			}
		}
		return math.NaN()
	}
	return min(near(w.rank-margins[w.margin]), w.nextBelow), max(near(w.rank+margins[w.margin]), w.nextAbove)
}

// size is how many values are shown at most.
func (w *wanted) size() int {
	if w.all.Count <= allShown {
		return int(w.all.Count)
	}
	return min(mostShown, 10+int(3*margins[w.margin]*float64(w.all.Count)))
}

// lookFor finds quantiles, and returns those that it has missed.
func (r *reader) lookFor(ctx context.Context, list []*wanted) (missed []*wanted, err error) {
	aggregates := object{}
	for i, w := range list {
		low, high := w.between()
		if math.IsNaN(low) || math.IsNaN(high) {
			return list, nil
		}
		within := func(limits object) object {
			return object{"bool": object{"filter": append([]object{{"range": object{w.field: limits}}}, w.group...)}}
		}
		aggregates[fmt.Sprint("below", i)] = object{
			"filter": within(object{"lt": low}), "aggs": object{"next": object{"max": object{"field": w.field}}},
		}
		aggregates[fmt.Sprint("above", i)] = object{
			"filter": within(object{"gt": high}), "aggs": object{"next": object{"min": object{"field": w.field}}},
		}
		aggregates[fmt.Sprint("within", i)] = object{
			"filter": within(object{"gte": low, "lte": high}),
			"aggs":   object{"shown": object{"terms": object{"field": w.field, "size": w.size(), "order": object{"_key": "asc"}}}},
		}
	}
	var answer map[string]struct {
		bucketCount
		Next  struct{ Value double }
		Shown struct {
			Buckets []struct {
				bucketCount
				Key float64
			}
		}
	}
	if err := r.aggregations(ctx, object{"size": 0, "query": r.where.upper, "aggs": aggregates}, &answer); err != nil {
		return nil, err
	}
	for i, w := range list {
		below := answer[fmt.Sprint("below", i)].N
		rank := int64(w.at)
		values := []float64{} // of the rank, and behind it
		for _, b := range answer[fmt.Sprint("within", i)].Shown.Buckets {
			if below > rank && len(values) == 0 {
				break
			}
			for below += b.N; len(values) < 2 && below > rank+int64(len(values)); {
				values = append(values, b.Key)
			}
		}
		if len(values) < 2 {
			if next := answer[fmt.Sprint("below", i)]; next.N > 0 {
				w.nextBelow = float64(next.Next.Value)
			}
			if next := answer[fmt.Sprint("above", i)]; next.N > 0 {
				w.nextAbove = float64(next.Next.Value)
			}
			missed = append(missed, w)
			continue
		}
		w.bucket.quantiles[w.aggregate] = values[0] + (w.at-float64(rank))*(values[1]-values[0])
	}
	return missed, nil
}
