package correlation

import (
	"context"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// addSums fills the table with what a store knows, in place of all rows. Ranks need the values.
func (t *table) addSums(ctx context.Context, st Reader, req *Request) (known bool, err error) {
	summing, ok := st.(Summing)
	if !ok || t.ranked {
		return false, nil
	}
	m, err := summing.Matrix(ctx, &query.MatrixRequest{
		Filter: req.Filter, X: asked(req.X), Y: asked(req.Y), Categories: MaxCategories,
	})
	if err != nil || m == nil || len(m.X) > MaxFields || len(m.Y) > MaxFields {
		return false, err
	}
	t.rows = int(m.Tasks)
	xs, ys := t.x.addSums(m.X), t.y.addSums(m.Y)
	for i, pairs := range m.Pairs {
		for j, p := range pairs {
			*t.pair(xs[i].index, ys[j].index) = pair{
				numbers: comoments{x: momentsOf(p.Numbers.X), y: momentsOf(p.Numbers.Y), xy: p.Numbers.Product},
				byX:     levelsOf(p.ByX), byY: levelsOf(p.ByY),
			}
		}
	}
	return true, nil
}

func asked(selectors []Selector) []query.Field {
	out := make([]query.Field, len(selectors))
	for i, s := range selectors {
		if out[i] = s.Field; s.All {
			out[i].Path = s.Below
		}
	}
	return out
}

func (s *side) addSums(list []query.Column) []*column {
	out := make([]*column, len(list))
	for i, m := range list {
		c := s.byName[m.Name]
		if c == nil {
			c = s.add(m.Name, m.Of)
		}
		c.tasks, c.numbers, c.booleans, c.texts = m.Numbers.N+m.Texts, momentsOf(m.Numbers), m.Booleans, m.Texts
		c.counted, c.tooMany = min(m.Categories, MaxCategories), m.Categories > MaxCategories
		out[i] = c
	}
	return out
}

func momentsOf(m query.Moments) moments {
	return moments{n: m.N, mean: m.Mean, m2: m.Deviance, min: m.Low, max: m.High}
}

func levelsOf(list []query.Moments) *levels {
	if len(list) == 0 {
		return nil
	}
	l := &levels{}
	for _, m := range list {
		l.by = append(l.by, momentsOf(m))
		l.all.join(momentsOf(m))
	}
	return l
}

// join adds the numbers of other moments (Chan, Golub and LeVeque, 1979).
func (m *moments) join(o moments) {
	switch {
	case o.n == 0:
		return
	case m.n == 0:
		*m = o
		return
	}
	d := o.mean - m.mean
	n := float64(m.n + o.n)
	m.m2 += o.m2 + d*d*float64(m.n)*float64(o.n)/n
	m.shift(d * float64(o.n) / n)
	m.n += o.n
	m.min, m.max = min(m.min, o.min), max(m.max, o.max)
}
