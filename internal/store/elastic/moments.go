package elastic

import (
	"context"
	"fmt"
	"math"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

const (
	mostPairs   = 200 // of fields: each costs the server a look at all tasks that have both
	pairsAtOnce = 25
	// leastMean is how far from 0, in parts of the numbers themselves, their mean has to be for them to be weights.
	leastMean = 1e-6
)

// Moments lets the server add up numbers and their products, of many tasks: its sums are right to ten digits at least. There is
// no matrix where it does not know them: tasks are few, a field has other values than one number in a task that matches, or too
// few digits would be right. Servers need no module for this: the average of x weighted by y is the sum of their products.
func (s *Store) Moments(ctx context.Context, filter query.Filter, x, y []query.Field) (*query.Matrix, error) {
	if len(x)*len(y) > mostPairs || !s.fields.tellsVague() {
		return nil, nil
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	q := (&query.Scan{Filter: filter, Fields: append(append([]query.Field{}, x...), y...)}).Query()
	c := &compiler{}
	if asksEnvironment(q) {
		return nil, nil
	}
	p, err := s.snapshot(ctx, tasks)
	if err != nil {
		return nil, err
	}
	defer p.close()
	r := &reader{snapshot: p, q: q, compiler: c, where: c.filter(filter)}
	if whole, err := r.wantsWhole(ctx); whole || err != nil || !r.where.exact {
		return nil, err
	}
	m := &moments{reader: r, of: map[string]*summed{}}
	if ok, err := m.fields(ctx); !ok || err != nil {
		return nil, err
	}
	return m.matrix(ctx, x, y)
}

// moments makes a matrix.
type moments struct {
	*reader
	of    map[string]*summed // by the name of the field
	tasks int64
}

// summed is what is known of a field.
type summed struct {
	field string // of the index
	all   statistics
}

// fields sums up each field. It is not ok where the server does not know one.
func (m *moments) fields(ctx context.Context) (ok bool, err error) {
	doubts, aggregates := []object{m.opaqueOf(m.q.Fields())}, object{"all": object{"filter": all()}}
	for i, f := range m.q.Projection {
		switch {
		case m.of[f.Name] != nil:
			continue
		case f.Type == query.Duration || f.Type == query.Integer:
			m.of[f.Name] = &summed{field: f.Name}
		case indexedLeaf(f):
			field := fieldOf(f.Root, f.Path)
			m.of[f.Name] = &summed{field: field}
			doubts = append(doubts, object{"term": object{"_ignored": field}}, object{"term": object{"vague": term(f.Name)}},
				object{"prefix": object{"leaves": term(f.Name + ".")}}) // in such a task it is a map
		default:
			return false, nil
		}
		aggregates[fmt.Sprint(i)] = object{"extended_stats": object{"field": m.of[f.Name].field}}
	}
	aggregates["doubt"] = object{"filter": boolOf("should", doubts)}
	var answer map[string]groupValue
	err = m.aggregations(ctx, object{"size": 0, "query": m.where.upper, "aggs": aggregates}, &answer)
	if err != nil || answer["doubt"].Docs > 0 || answer["all"].Docs < roundedFrom {
		return false, err
	}
	m.tasks = answer["all"].Docs
	for i, f := range m.q.Projection {
		if v, asked := answer[fmt.Sprint(i)]; asked {
			m.of[f.Name].all = v.statistics
		}
	}
	return true, nil
}

func (m *moments) matrix(ctx context.Context, x, y []query.Field) (*query.Matrix, error) {
	out := &query.Matrix{Tasks: m.tasks}
	for _, side := range []struct {
		fields []query.Field
		to     *[]query.Moments
	}{{x, &out.X}, {y, &out.Y}} {
		for _, f := range side.fields {
			v, ok := m.of[f.Name].all.moments()
			if !ok {
				return nil, nil
			}
			*side.to = append(*side.to, v)
		}
	}
	var pairs []*pairSums
	for i, a := range x {
		out.Pairs = append(out.Pairs, make([]query.Comoments, len(y)))
		for j, b := range y {
			pairs = append(pairs, &pairSums{x: m.of[a.Name], y: m.of[b.Name], to: &out.Pairs[i][j]})
		}
	}
	for len(pairs) > 0 {
		part := pairs[:min(pairsAtOnce, len(pairs))]
		pairs = pairs[len(part):]
		if ok, err := m.sum(ctx, part); !ok || err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pairSums are of two fields, over the tasks that have both.
type pairSums struct {
	x, y *summed
	to   *query.Comoments
}

// weight is the field by which the other one is weighted: their sum must not be next to nothing.
func (p *pairSums) weight() (weight, value *summed) {
	if p.x.all.offset() > p.y.all.offset() {
		return p.x, p.y
	}
	return p.y, p.x
}

func (m *moments) sum(ctx context.Context, pairs []*pairSums) (ok bool, err error) {
	aggregates := object{}
	for i, p := range pairs {
		weight, value := p.weight()
		exist := object{"bool": object{"filter": []object{
			{"exists": object{"field": p.x.field}}, {"exists": object{"field": p.y.field}},
		}}}
		each := object{"weighted": object{"weighted_avg": object{
			"value": object{"field": value.field}, "weight": object{"field": weight.field},
		}}}
		if !m.everywhere(p) {
			each["x"] = object{"extended_stats": object{"field": p.x.field}}
			each["y"] = object{"extended_stats": object{"field": p.y.field}}
		}
		aggregates[fmt.Sprint(i)] = object{"filter": exist, "aggs": each}
	}
	var answer map[string]struct {
		X, Y     statistics
		Weighted struct{ Value double }
	}
	if err := m.aggregations(ctx, object{"size": 0, "query": m.where.upper, "aggs": aggregates}, &answer); err != nil {
		return false, err
	}
	for i, p := range pairs {
		v := answer[fmt.Sprint(i)]
		if m.everywhere(p) {
			v.X, v.Y = p.x.all, p.y.all
		}
		if !p.take(v.X, v.Y, float64(v.Weighted.Value)) {
			return false, nil
		}
	}
	return true, nil
}

// everywhere says whether every task has both.
func (m *moments) everywhere(p *pairSums) bool {
	return p.x.all.Count == m.tasks && p.y.all.Count == m.tasks
}

// take is not ok where too few digits are right.
func (p *pairSums) take(x, y statistics, weighted float64) (ok bool) {
	var okX, okY bool
	if p.to.X, okX = x.moments(); !okX {
		return false
	}
	if p.to.Y, okY = y.moments(); !okY {
		return false
	}
	if x.Count == 0 || p.to.X.Deviance == 0 || p.to.Y.Deviance == 0 {
		return true
	}
	weights := y
	if weight, _ := p.weight(); weight == p.x {
		weights = x
	}
	if !(weights.offset() >= leastMean) { // nor where it is NaN
		return false
	}
	p.to.Product = weighted*float64(weights.Sum) - float64(x.Sum)*float64(y.Sum)/float64(x.Count)
	return !math.IsNaN(p.to.Product) && !math.IsInf(p.to.Product, 0)
}

// offset is the distance of the mean from 0, in parts of the root of the mean square.
func (s statistics) offset() float64 {
	if s.Count == 0 || s.Squares == 0 {
		return 0
	}
	return math.Abs(float64(s.Sum)) / math.Sqrt(float64(s.Squares)*float64(s.Count))
}

// mostCancelled bounds how many times the squares of numbers are greater than those of their distances from the mean: the
// server knows the former, each sum of them to the last digit or two, so that a deviation has ten digits at least.
const mostCancelled = 1e5

// moments are not ok where too few of their digits are right.
func (s statistics) moments() (m query.Moments, ok bool) {
	if s.Count == 0 {
		return m, true
	}
	m.N, m.Low, m.High, m.Mean = s.Count, float64(s.Min), float64(s.Max), float64(s.Sum)/float64(s.Count)
	if s.Min == s.Max {
		m.Mean = m.Low
		return m, true
	}
	m.Deviance = float64(s.Squares) - float64(s.Sum)*m.Mean
	return m, float64(s.Squares) <= mostCancelled*m.Deviance && !math.IsInf(float64(s.Squares), 0)
}
