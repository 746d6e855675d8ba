package elastic

import (
	"math"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// floating is behind the name of an aggregate that counts the numbers which are written as floats.
const floating = "floats"

// rounds says whether a field's aggregates may be rounded, and some of them would be.
func (p *plan) rounds(f query.Field) bool {
	if !p.rounded || f.Type != query.Duration && !indexedLeaf(f) {
		return false
	}
	for _, a := range p.q.Aggregation {
		if a.Field.Name == f.Name && (a.Op == query.Avg || a.Op == query.Stddev || a.Op == query.Sum) {
			return true
		}
	}
	return false
}

// addRounded plans an aggregate of such a field.
func (p *plan) addRounded(name string, a query.Aggregate) {
	f := a.Field
	n := p.numbers[f.Name]
	if n == nil {
		n = &numberPlan{field: f.Name, agg: name, rounded: true, form: floats}
		if f.Type == query.Dynamic {
			n.field, n.form = fieldOf(f.Root, f.Path), unsettled
		}
		p.numbers[f.Name] = n
		p.aggregates[name] = object{"extended_stats": object{"field": n.field}}
		p.roundings++
	}
	switch {
	case a.Op == query.Min || a.Op == query.Max:
		n.extremes = true
	case a.Op == query.Sum && f.Type == query.Dynamic:
		n.mixed = true
		p.aggregates[n.agg+floating] = object{"filter": n.writtenAsFloats()}
	}
}

// writtenAsFloats selects the tasks whose number is no integer.
func (n *numberPlan) writtenAsFloats() object {
	return object{"regexp": object{n.field + ".keyword": ".*[.eE].*"}}
}

// addRounded takes over one aggregate; it is not ok where too few digits would be right.
func (n *numberPlan) addRounded(g *query.Group, i int, op query.AggregateOp, s statistics, floats int64) (ok bool) {
	if s.Count == 0 {
		return true
	}
	var v any
	count, sum := float64(s.Count), float64(s.Sum)
	switch op {
	case query.Min:
		v = n.value(float64(s.Min))
	case query.Max:
		v = n.value(float64(s.Max))
	case query.Avg:
		v = sum / count
	case query.Sum:
		if v = sum; n.mixed && floats == 0 {
			if !s.exact() {
				return false
			}
			v = int64(sum)
		}
	default:
		if s.Count == 1 {
			return true
		}
		m, ok := s.moments()
		if !ok {
			return false
		}
		v = math.Sqrt(m.Deviance / (count - 1))
	}
	if f, isFloat := v.(float64); isFloat && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return false
	}
	if g.Results == nil {
		g.Results = map[int]any{}
	}
	g.Results[i] = v
	return true
}

// exact says whether no sum of whole numbers, in whatever order, reaches 2^53.
func (s statistics) exact() bool {
	return float64(s.Count)*max(math.Abs(float64(s.Min)), math.Abs(float64(s.Max))) < exactDouble
}
