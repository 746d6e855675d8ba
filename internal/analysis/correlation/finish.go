package correlation

import (
	"context"
	"fmt"
)

// finisher turns what a table has seen into fields and cells.
type finisher struct {
	request *Request
	*table
	ranker *ranker
}

func (f *finisher) cells(ctx context.Context, res *Result) error {
	xs, ys := f.x.ordered(), f.y.ordered()
	for _, c := range xs {
		res.X = append(res.X, c.describe(int64(f.rows)))
	}
	for _, c := range ys {
		res.Y = append(res.Y, c.describe(int64(f.rows)))
	}
	for _, x := range xs {
		for _, y := range ys {
			if err := ctx.Err(); err != nil {
				return err
			}
			res.Cells = append(res.Cells, f.cell(x, y))
		}
	}
	return nil
}

func (c *column) describe(rows int64) Field {
	d := Field{
		Name: c.name, Kind: Unusable, Missing: rows - c.tasks, Null: c.null, NotFinite: c.notFinite, Other: c.other,
		Categories: c.different(),
	}
	switch {
	case c.numeric():
		d.Kind, d.N, d.Texts, d.Booleans, d.Categories = Number, c.numbers.n, c.texts, c.booleans, 0
		if c.booleans == c.numbers.n {
			d.Kind = Boolean
		}
		d.Constant = c.numbers.constant()
		d.Low, d.High, d.Mean = c.numbers.min, c.numbers.max, c.numbers.mean
		if d.N > 1 {
			d.Stddev = c.numbers.stddev()
		}
	case c.categorical():
		d.Kind, d.N, d.Numbers = Category, c.texts, c.numbers.n
		d.Constant = c.different() == 1
	}
	return d
}

func (f *finisher) cell(x, y *column) Cell {
	out := Cell{X: x.name, Y: y.name}
	switch {
	case x.numeric() && y.numeric():
		f.numbers(&out, x, y)
	case x.categorical() && y.numeric():
		f.ratio(&out, x, y, f.pairOf(x, y).byX)
	case x.numeric() && y.categorical():
		f.ratio(&out, y, x, f.pairOf(x, y).byY)
	case x.categorical() && y.categorical():
		out.Reason = "both fields are categories"
	default:
		name := x.name
		if x.numeric() || x.categorical() {
			name = y.name
		}
		out.Reason = name + " has neither numbers nor text"
	}
	return out
}

// pairOf never grows the table: fields that were never seen together have an empty pair.
func (f *finisher) pairOf(x, y *column) *pair {
	if x.index < len(f.pairs) && y.index < len(f.pairs[x.index]) && f.pairs[x.index][y.index] != nil {
		return f.pairs[x.index][y.index]
	}
	return &pair{}
}

func (f *finisher) numbers(out *Cell, x, y *column) {
	var r float64
	var constantX, constantY bool
	out.Statistic = StatisticPearson
	if f.ranked {
		out.Statistic = StatisticSpearman
		r, out.N, constantX, constantY = f.ranker.rho(x, y)
	} else {
		p := &f.pairOf(x, y).numbers
		r, out.N, constantX, constantY = p.r(), p.x.n, p.x.constant(), p.y.constant()
	}
	switch {
	case f.few(out):
	case constantX:
		out.Reason = x.name + " is constant among these tasks"
	case constantY:
		out.Reason = y.name + " is constant among these tasks"
	case !usable(r):
		out.Reason = "the numbers are beyond the range of floating point"
	case x.name == y.name:
		one := 1.0 // no test: nothing else could be
		out.Value, out.Reason = &one, ""
	default:
		p := pearsonP(r, out.N)
		out.Value, out.P = &r, &p
	}
}

// ratio is of a category and a number.
func (f *finisher) ratio(out *Cell, category, number *column, l *levels) {
	out.Statistic = StatisticEta
	if category.tooMany {
		out.Reason = fmt.Sprintf("%s has more than %d categories", category.name, MaxCategories)
		return
	}
	if l != nil {
		out.N = l.all.n
	}
	if f.few(out) {
		return
	}
	eta, within, categories := l.eta()
	switch {
	case categories == 1:
		out.Reason = category.name + " is constant among these tasks"
	case l.all.constant():
		out.Reason = number.name + " is constant among these tasks"
	case 2*categories > out.N:
		out.Reason = fmt.Sprintf("%s names rather than groups: %d categories in %d tasks", category.name, categories, out.N)
	case !usable(eta):
		out.Reason = "the numbers are beyond the range of floating point"
	default:
		p := etaP(within, out.N, categories)
		out.Value, out.P = &eta, &p
	}
}

func (f *finisher) few(out *Cell) bool {
	if out.N >= int64(f.request.MinN) {
		return false
	}
	out.Reason = fmt.Sprintf("%d tasks have both, fewer than %d", out.N, f.request.MinN)
	return true
}
