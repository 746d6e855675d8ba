package elastic

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

const (
	mostPairs   = 200 // of fields: each costs the server a look at all tasks that have both
	pairsAtOnce = 25
)

// Matrix lets the server add up numbers and their products, of many tasks: its sums are right to ten digits at least. There is
// no matrix where it does not know them: tasks are few, a field is not of one kind in all tasks that match, or too few digits
// would be right. Servers need no module for this: the average of x weighted by y is the sum of their products.
func (s *Store) Matrix(ctx context.Context, req *query.MatrixRequest) (*query.Matrix, error) {
	if !s.fields.tellsVague() {
		return nil, nil
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	q := (&query.Scan{Filter: req.Filter, Fields: slices.Concat(req.X, req.Y)}).Query()
	if asksEnvironment(q) {
		return nil, nil
	}
	p, err := s.snapshot(ctx, tasks)
	if err != nil {
		return nil, err
	}
	defer p.close()
	c := &compiler{}
	r := &reader{snapshot: p, q: q, compiler: c, where: c.filter(req.Filter)}
	if whole, err := r.wantsWhole(ctx); whole || err != nil || !r.where.exact {
		return nil, err
	}
	m := &matrix{reader: r, request: req, of: map[string]*summed{}}
	for _, step := range []func(context.Context) (bool, error){m.enough, m.name, m.fields, m.pairs} {
		if ok, err := step(ctx); !ok || err != nil {
			return nil, err
		}
	}
	return &m.out, nil
}

// matrix makes a matrix, in steps each of which may find out that the server does not know it.
type matrix struct {
	*reader
	request *query.MatrixRequest
	out     query.Matrix
	order   []*summed
	of      map[string]*summed // by the name of the field
}

// summed is what is known of a field.
type summed struct {
	query.Field
	field      string     // of the index
	all        statistics // of numbers, and of booleans
	present    int64
	yes, text  int64 // yes is -1 where the field is not boolean
	categories int
}

func (f *summed) isBoolean() bool { return f.yes >= 0 }
func (f *summed) isText() bool    { return f.text > 0 }

// enough counts the tasks.
func (m *matrix) enough(ctx context.Context) (ok bool, err error) {
	var answer struct{ All bucketCount }
	err = m.aggregations(ctx, object{"size": 0, "query": m.where.upper, "aggs": object{"all": object{"filter": all()}}}, &answer)
	m.out.Tasks = answer.All.N
	return m.out.Tasks >= roundedFrom, err
}

// name finds the leaves of maps.
func (m *matrix) name(ctx context.Context) (ok bool, err error) {
	aggregates := object{}
	for _, f := range m.q.Projection {
		if f.Type == query.Object {
			aggregates[f.Root] = object{"terms": object{"field": "leaves", "include": f.Root + `\..*`, "size": mostColumns + 1}}
		}
	}
	var leaves map[string]struct{ Buckets []struct{ Key string } }
	if len(aggregates) > 0 {
		if err := m.aggregations(ctx, object{"size": 0, "query": m.where.upper, "aggs": aggregates}, &leaves); err != nil {
			return false, err
		}
	}
	paths := map[string]any{}
	for _, b := range leaves["used"].Buckets {
		_, path, _ := strings.Cut(b.Key, ".")
		paths[path] = nil
	}
	if query.MayBeShort(paths) { // such a name is no leaf of the map
		return false, nil
	}
	for _, side := range []struct {
		fields []query.Field
		to     *[]query.Column
	}{{m.request.X, &m.out.X}, {m.request.Y, &m.out.Y}} {
		seen := map[string]bool{}
		for i, f := range side.fields {
			if f.Type != query.Object {
				seen[f.Name] = true
				*side.to = append(*side.to, query.Column{Name: f.Name, Of: i})
			}
		}
		for i, f := range side.fields {
			if f.Type != query.Object {
				continue
			}
			for _, b := range leaves[f.Root].Buckets {
				if len(b.Key) >= maxTerm {
					return false, nil
				}
				if strings.HasPrefix(b.Key, f.Root+"."+f.Path) && !seen[b.Key] {
					seen[b.Key] = true
					*side.to = append(*side.to, query.Column{Name: b.Key, Of: i})
				}
			}
		}
		for _, c := range *side.to {
			f, err := query.LookupField("", c.Name)
			if err != nil || !m.add(f) {
				return false, nil //nolint:nilerr // the tasks will tell
			}
		}
	}
	return len(m.order) <= mostColumns && len(m.out.X)*len(m.out.Y) <= mostPairs, nil
}

// add is not ok for a field that the server does not know.
func (m *matrix) add(f query.Field) (ok bool) {
	s := &summed{Field: f, field: f.Name, yes: -1}
	switch {
	case m.of[f.Name] != nil:
		return true
	case f.Type == query.Duration || f.Type == query.Integer:
	case indexedLeaf(f):
		s.field = fieldOf(f.Root, f.Path)
	default:
		return false
	}
	m.of[f.Name], m.order = s, append(m.order, s)
	return true
}

// fields finds out of which kind each field is, and sums it up.
func (m *matrix) fields(ctx context.Context) (ok bool, err error) {
	evaluated := m.evaluated()
	var doubts []object
	aggregates := object{}
	for i, f := range m.order {
		aggregates[fmt.Sprint(i)] = object{"extended_stats": object{"field": f.field}}
		evaluated = append(evaluated, f.Field)
		if f.Type != query.Dynamic {
			continue
		}
		doubts = append(doubts, object{"term": object{"vague": term(f.Name)}}, object{"prefix": object{"leaves": term(f.Name + ".")}}) // there it is a map
		text := f.field + ".keyword"
		aggregates[fmt.Sprint("present", i)] = object{"filter": object{"exists": object{"field": text}}}
		for _, v := range []string{"true", "false"} {
			aggregates[fmt.Sprint(v, i)] = object{"filter": object{"term": object{text: v}}}
		}
	}
	aggregates["doubt"] = object{"filter": boolOf("should", append(doubts, m.opaqueOf(evaluated)))}
	var answer map[string]groupValue
	err = m.aggregations(ctx, object{"size": 0, "query": m.where.upper, "aggs": aggregates}, &answer)
	if err != nil || answer["doubt"].Docs > 0 {
		return false, err
	}
	categories := object{}
	for i, f := range m.order {
		f.all = answer[fmt.Sprint(i)].statistics
		f.present = f.all.Count
		if f.Type != query.Dynamic {
			continue
		}
		f.present = answer[fmt.Sprint("present", i)].Docs
		yes := answer[fmt.Sprint("true", i)].Docs
		switch both := yes + answer[fmt.Sprint("false", i)].Docs; {
		case f.present == f.all.Count:
		case f.present == both:
			f.all, f.yes = booleans(both, yes), yes
		case both == 0 && f.all.Count == 0:
			f.text = f.present
			categories[fmt.Sprint(i)] = object{"terms": object{"field": f.field + ".keyword", "size": m.request.Categories + 1}}
		default:
			return false, nil
		}
	}
	if len(categories) == 0 {
		return true, nil
	}
	var found map[string]struct{ Buckets []struct{} }
	err = m.aggregations(ctx, object{"size": 0, "query": m.where.upper, "aggs": categories}, &found)
	for i, f := range m.order {
		f.categories = len(found[fmt.Sprint(i)].Buckets)
	}
	return true, err
}
