package elastic

import (
	"context"
	"fmt"
	"math"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// pairs takes over the fields, and sums up what they are together.
func (m *matrix) pairs(ctx context.Context) (ok bool, err error) {
	for _, columns := range [][]query.Column{m.out.X, m.out.Y} {
		for i := range columns {
			c := &columns[i]
			f := m.of[c.Name]
			if c.Numbers, ok = f.moments(f.all); !ok {
				return false, nil
			}
			if c.Texts, c.Categories = f.text, f.categories; f.isBoolean() {
				c.Booleans = f.present
			}
		}
	}
	var rest []*pairSums
	for i, x := range m.out.X {
		m.out.Pairs = append(m.out.Pairs, make([]query.Pair, len(m.out.Y)))
		for j, y := range m.out.Y {
			p := &pairSums{x: m.of[x.Name], y: m.of[y.Name], to: &m.out.Pairs[i][j]}
			tooMany := p.x.categories > m.request.Categories || p.y.categories > m.request.Categories
			if !tooMany && !(p.x.isText() && p.y.isText()) {
				rest = append(rest, p)
			}
		}
	}
	for len(rest) > 0 {
		part := rest[:min(pairsAtOnce, len(rest))]
		rest = rest[len(part):]
		aggregates := object{}
		for i, p := range part {
			aggregates[fmt.Sprint(i)] = object{"filter": p.exist(), "aggs": p.aggregates(m)}
		}
		var answer map[string]pairAnswer
		if err := m.aggregations(ctx, object{"size": 0, "query": m.where.upper, "aggs": aggregates}, &answer); err != nil {
			return false, err
		}
		for i, p := range part {
			if !p.take(m, answer[fmt.Sprint(i)]) {
				return false, nil
			}
		}
	}
	return true, nil
}

// pairSums are of two fields, over the tasks that have both.
type pairSums struct {
	x, y *summed
	to   *query.Pair
}

// pairAnswer is what the server says of them: of the numbers of each, of those of the tasks in which the other is true, and of
// those by the texts of the other.
type pairAnswer struct {
	bucketCount
	X, Y     statistics
	XTrue    trueAnswer `json:"x_true"`
	YTrue    trueAnswer `json:"y_true"`
	Weighted struct{ Value double }
	Texts    struct {
		Buckets []struct {
			bucketCount
			Numbers statistics
			True    bucketCount
		}
	}
}

// trueAnswer is of the tasks in which a field is true.
type trueAnswer struct {
	bucketCount
	Other statistics
	Both  bucketCount
}

func (f *summed) exists() object {
	if f.Type == query.Dynamic {
		return object{"exists": object{"field": f.field + ".keyword"}}
	}
	return object{"exists": object{"field": f.field}}
}

func (f *summed) isTrue() object { return object{"term": object{f.field + ".keyword": "true"}} }

func (f *summed) statistics() object { return object{"extended_stats": object{"field": f.field}} }

func (p *pairSums) exist() object { return boolOf("filter", []object{p.x.exists(), p.y.exists()}) }

// everywhere says whether every task has both.
func (m *matrix) everywhere(p *pairSums) bool {
	return p.x.present == m.out.Tasks && p.y.present == m.out.Tasks
}

// weight is the field by which the other one is weighted: their sum must not be next to nothing.
func (p *pairSums) weight() (weight, value *summed) {
	if p.x.all.offset() > p.y.all.offset() {
		return p.x, p.y
	}
	return p.y, p.x
}

func (p *pairSums) aggregates(m *matrix) object {
	out := object{}
	if text, number := p.x, p.y; text.isText() || number.isText() {
		if number.isText() {
			text, number = number, text
		}
		each := object{"numbers": number.statistics()}
		if number.isBoolean() {
			each = object{"true": object{"filter": number.isTrue()}}
		}
		return object{"texts": object{"terms": object{"field": text.field + ".keyword", "size": m.request.Categories}, "aggs": each}}
	}
	for name, f := range map[string][2]*summed{"x": {p.x, p.y}, "y": {p.y, p.x}} {
		switch this, other := f[0], f[1]; {
		case this.isBoolean() && other.isBoolean():
			out[name+"_true"] = object{"filter": this.isTrue(), "aggs": object{"both": object{"filter": other.isTrue()}}}
		case this.isBoolean():
			out[name+"_true"] = object{"filter": this.isTrue(), "aggs": object{"other": other.statistics()}}
		case !m.everywhere(p):
			out[name] = this.statistics()
		}
	}
	if !p.x.isBoolean() && !p.y.isBoolean() {
		weight, value := p.weight()
		out["weighted"] = object{"weighted_avg": object{"value": object{"field": value.field}, "weight": object{"field": weight.field}}}
	}
	return out
}

// take is not ok where too few digits are right.
func (p *pairSums) take(m *matrix, a pairAnswer) (ok bool) {
	if p.x.isText() || p.y.isText() {
		return p.takeTexts(a)
	}
	x, y := a.X, a.Y
	if m.everywhere(p) {
		x, y = p.x.all, p.y.all
	}
	if p.x.isBoolean() {
		x = booleans(a.N, a.XTrue.N)
	}
	if p.y.isBoolean() {
		y = booleans(a.N, a.YTrue.N)
	}
	var okX, okY bool
	to := &p.to.Numbers
	to.X, okX = p.x.moments(x)
	to.Y, okY = p.y.moments(y)
	if !okX || !okY {
		return false
	}
	if a.N == 0 || to.X.Deviance == 0 || to.Y.Deviance == 0 {
		return true
	}
	if p.x == p.y {
		to.Product = to.X.Deviance
		return true
	}
	product := math.NaN()
	switch weight, _ := p.weight(); {
	case p.x.isBoolean() && p.y.isBoolean():
		product = float64(a.XTrue.Both.N)
	case p.x.isBoolean():
		product = float64(a.XTrue.Other.Sum)
	case p.y.isBoolean():
		product = float64(a.YTrue.Other.Sum)
	case weight == p.x && x.offset() >= leastMean:
		product = float64(a.Weighted.Value) * float64(x.Sum)
	case weight == p.y && y.offset() >= leastMean:
		product = float64(a.Weighted.Value) * float64(y.Sum)
	}
	to.Product = product - float64(x.Sum)*float64(y.Sum)/float64(a.N)
	return !math.IsNaN(to.Product) && !math.IsInf(to.Product, 0)
}

// takeTexts takes over numbers by texts, whose squares together must not be too great beside those of the distances from their
// common mean.
func (p *pairSums) takeTexts(a pairAnswer) (ok bool) {
	number, to := p.y, &p.to.ByX
	if p.y.isText() {
		number, to = p.x, &p.to.ByY
	}
	var whole statistics
	for i, b := range a.Texts.Buckets {
		s := b.Numbers
		if number.isBoolean() {
			s = booleans(b.N, b.True.N)
		}
		if i == 0 {
			whole.Min, whole.Max = s.Min, s.Max
		}
		whole.Count, whole.Sum, whole.Squares = whole.Count+s.Count, whole.Sum+s.Sum, whole.Squares+s.Squares
		whole.Min, whole.Max = min(whole.Min, s.Min), max(whole.Max, s.Max)
		m, _ := number.moments(s)
		*to = append(*to, m)
	}
	_, ok = number.moments(whole)
	return ok
}
