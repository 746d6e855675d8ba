package correlation

import (
	"context"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// addSums fills the table with what a store knows, in place of all rows: of named fields that are numbers wherever a task has
// them. Ranks need the values.
func (t *table) addSums(ctx context.Context, st Reader, req *Request) (known bool, err error) {
	summing, ok := st.(Summing)
	prefix := func(s Selector) bool { return s.All }
	if !ok || t.ranked || slices.ContainsFunc(req.X, prefix) || slices.ContainsFunc(req.Y, prefix) {
		return false, nil
	}
	m, err := summing.Moments(ctx, req.Filter, fieldsOf(req.X), fieldsOf(req.Y))
	if err != nil || m == nil {
		return false, err
	}
	t.rows = int(m.Tasks)
	t.x.addSums(m.X)
	t.y.addSums(m.Y)
	for i, pairs := range m.Pairs {
		for j, p := range pairs {
			t.pair(i, j).numbers = comoments{x: momentsOf(p.X), y: momentsOf(p.Y), xy: p.Product}
		}
	}
	return true, nil
}

func fieldsOf(selectors []Selector) []query.Field {
	out := make([]query.Field, len(selectors))
	for i, s := range selectors {
		out[i] = s.Field
	}
	return out
}

func (s *side) addSums(list []query.Moments) {
	for i, m := range list {
		s.columns[i].tasks, s.columns[i].numbers = m.N, momentsOf(m)
	}
}

func momentsOf(m query.Moments) moments {
	return moments{n: m.N, mean: m.Mean, m2: m.Deviance, min: m.Low, max: m.High}
}
