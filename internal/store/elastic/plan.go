package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// plan is how the server makes the groups of an aggregation. It does so
//
//   - by promoted texts, and by leaves: the text below .keyword is the value, except where the task is vague about it;
//   - with counts, and the least and greatest of promoted numbers;
//   - with the least and greatest of leaves that are numbers. The server knows them as doubles: what is no whole number is
//     exact, and of whole ones below 2^53 the texts say whether they are integers;
//   - with sums and averages of integers, as long as no sum of them, in whatever order, reaches 2^53;
//   - with medians and p95, whose values it can show (see quantiles);
//   - where a plan is rounded, with sums, averages and deviations of floats, and of the time that tasks took.
//
// All else is rounded, in another order than here, or is not known to the server.
type plan struct {
	q          *query.Query
	rounded    bool
	roundings  int // fields with aggregates that are rounded
	groups     []query.Field
	sources    []object
	aggregates object
	leaves     bool // some groups are of leaves
	vague      bool // the index says which values are vague
	// doubt selects the tasks of which the server does not know what it would have to.
	doubt     object
	numbers   map[string]*numberPlan // leaves and integers with statistics, by name
	quantiles []*quantilePlan
	buckets   []groupBucket
}

// numberPlan is what is known of the numbers of one field.
type numberPlan struct {
	field, agg string // of the index; the name of its statistics
	integers   bool   // all of them are
	sums       bool   // some of them are summed up
	rounded    bool   // what is asked for besides the least and the greatest
	extremes   bool   // the least or the greatest are asked for
	mixed      bool   // their sum is, and some of them may be integers
	form       form   // of whole numbers, once it is settled
}

type form byte

const (
	unsettled form = iota
	integers
	floats
)

// plan is not ok where the server does not know the groups.
func (r *reader) plan(rounded bool) (p *plan, ok bool) {
	if len(r.q.Aggregation) == 0 || !r.where.exact {
		return nil, false
	}
	for _, k := range r.q.Sort {
		if k.By == query.ByMaximum {
			return nil, false
		}
	}
	p = &plan{
		q: r.q, rounded: rounded, vague: r.store.fields.tellsVague(), groups: r.q.Groups(), aggregates: object{}, numbers: map[string]*numberPlan{},
	}
	var vague []string
	doubts := []object{r.opaque()}
	for i, f := range p.groups {
		field := f.Name
		switch {
		case (f.Type == query.String || f.Type == query.Enum) && sortable(f):
		case indexedLeaf(f) && p.vague:
			field, p.leaves = fieldOf(f.Root, f.Path)+".keyword", true
			vague = append(vague, term(f.Name))
		default:
			return nil, false
		}
		p.sources = append(p.sources, object{strconv.Itoa(i): object{"terms": object{"field": field, "missing_bucket": true}}})
	}
	if vague != nil {
		doubts = append(doubts, object{"terms": object{"vague": vague}})
	}
	for i, a := range r.q.Aggregation {
		if !p.add(r.compiler, strconv.Itoa(i), a) {
			return nil, false
		}
	}
	for _, n := range p.numbers {
		doubts = append(doubts, n.doubts()...)
	}
	for _, n := range p.quantiles {
		doubts = append(doubts, n.doubts()...)
	}
	p.doubt = object{"filter": boolOf("should", doubts)}
	return p, true
}

// indexedLeaf says whether the index may hold the values of a leaf.
func indexedLeaf(f query.Field) bool {
	return f.Type == query.Dynamic && isIndexed(f.Root) && len(fieldOf(f.Root, f.Path)) <= maxFieldName
}

// add plans one aggregate.
func (p *plan) add(c *compiler, name string, a query.Aggregate) bool {
	exists := c.compare(query.Compare{Field: a.Field, Op: query.Exists, Value: true})
	number := a.Field.Type == query.Integer || a.Field.Type == query.Time || a.Field.Type == query.Duration
	order := map[query.AggregateOp]string{query.Min: "asc", query.Max: "desc"}[a.Op]
	sums := a.Op == query.Sum || a.Op == query.Avg
	switch {
	case !exists.exact:
		return false
	case a.Op == query.Count:
		p.aggregates[name] = object{"filter": exists.upper}
		return true
	case a.Op == query.Median || a.Op == query.P95:
		return p.addQuantile(name, a)
	case p.rounds(a.Field):
		p.addRounded(name, a)
		return true
	case number && order != "" && p.numbers[a.Field.Name] == nil:
		p.aggregates[name] = object{"filter": exists.upper, "aggs": object{"value": first(a.Field.Name, order)}}
		return true
	case order == "" && !sums || a.Field.Type != query.Integer && !indexedLeaf(a.Field):
		return false
	}
	n := p.numbers[a.Field.Name]
	if n == nil {
		n = &numberPlan{field: a.Field.Name, agg: name, integers: a.Field.Type == query.Integer}
		if !n.integers {
			n.field = fieldOf(a.Field.Root, a.Field.Path)
		}
		p.numbers[a.Field.Name] = n
		p.aggregates[name] = object{"stats": object{"field": n.field}}
	}
	n.sums = n.sums || sums
	return true
}

// doubts select the tasks whose values are no numbers, or no integers where that matters.
func (n *numberPlan) doubts() []object {
	if n.integers {
		return nil
	}
	out := []object{{"term": object{"_ignored": n.field}}}
	if n.sums {
		out = append(out, n.writtenAsFloats())
	}
	return out
}

// settleForms finds out whether the whole numbers among the least and greatest are integers or floats: by their texts in all
// tasks that match. It is not ok if some are these and some those, or are too great to tell.
func (p *plan) settleForms(ctx context.Context, r *reader) (ok bool, err error) {
	for _, n := range p.numbers {
		if n.integers || n.sums { // no doubt: there are only integers
			n.form = integers
		}
		if n.integers || n.sums || n.rounded && !n.extremes || n.form == floats {
			continue
		}
		ints, floating := map[string]bool{}, map[string]bool{}
		for _, b := range p.buckets {
			s := b.values[n.agg]
			if s.Count == 0 {
				continue
			}
			for _, v := range []float64{float64(s.Min), float64(s.Max)} {
				if math.Abs(v) >= exactDouble {
					return false, nil
				}
				if v == math.Trunc(v) {
					ints[task.JSON(int64(v))], floating[task.JSON(v)] = true, true
				}
			}
		}
		if len(ints) == 0 {
			continue
		}
		if floating["0.0"] || floating["-0.0"] {
			floating["0.0"], floating["-0.0"] = true, true
		}
		count := func(texts map[string]bool) object {
			return object{"filter": object{"terms": object{n.field + ".keyword": slices.Sorted(maps.Keys(texts))}}}
		}
		var answer struct{ Ints, Floats, Negative bucketCount }
		if err := r.aggregations(ctx, object{"size": 0, "query": r.where.upper, "aggs": object{
			"ints": count(ints), "floats": count(floating), "negative": count(map[string]bool{"-0.0": true}),
		}}, &answer); err != nil {
			return false, err
		}
		switch {
		case answer.Floats.N == 0:
			n.form = integers
		case answer.Ints.N == 0 && (answer.Negative.N == 0 || !floating["-0.0"]):
			n.form = floats
		default:
			return false, nil
		}
	}
	return true, nil
}

// group is a group of the answer. It is not ok where the server's numbers may be rounded.
func (p *plan) group(b groupBucket) (g query.Group, ok bool, err error) {
	g = query.Group{Count: b.Count, Counts: make([]int64, len(p.q.Aggregation)), Numbers: map[string][]any{}}
	for i, f := range p.groups {
		text := b.Key[strconv.Itoa(i)]
		var v any
		switch {
		case text == nil:
		case f.Type == query.Dynamic:
			if v, err = valueOf(*text); err != nil {
				return g, false, fmt.Errorf("%s: %w", f.Name, err)
			}
		default:
			v = *text
		}
		g.Present, g.Values = append(g.Present, text != nil), append(g.Values, v)
	}
	g.Results = b.quantiles
	for i, a := range p.q.Aggregation {
		v, n := b.values[strconv.Itoa(i)], p.numbers[a.Field.Name]
		switch {
		case a.Op == query.Median || a.Op == query.P95:
		case a.Op == query.Count:
			g.Counts[i] = v.Docs
		case n != nil && n.rounded:
			if ok := n.addRounded(&g, i, a.Op, b.values[n.agg].statistics, b.values[n.agg+floating].Docs); !ok {
				return g, false, nil
			}
		case n != nil && n.agg == strconv.Itoa(i):
			if g.Numbers[a.Field.Name], ok = n.of(v.statistics); !ok {
				return g, false, nil
			}
		case n == nil:
			if err := v.appendTo(&g, a); err != nil {
				return g, false, err
			}
		}
	}
	return g, true, nil
}

// valueOf is the value with that text, which no vague one has.
func valueOf(text string) (any, error) {
	switch {
	case text == "true", text == "false":
		return text == "true", nil
	case readsAsOther(text):
		return task.DecodeStored([]byte(text))
	default:
		return text, nil
	}
}

// appendTo takes over a promoted number.
func (v groupValue) appendTo(g *query.Group, a query.Aggregate) error {
	var raw json.RawMessage
	if err := v.Value.into(&raw); err != nil {
		return err
	}
	if v.Docs == 0 || raw == nil {
		return nil
	}
	n, err := task.DecodeStored(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Column(), err)
	}
	g.Numbers[a.Field.Name] = append(g.Numbers[a.Field.Name], n)
	return nil
}

// of returns numbers with the same aggregates as those of the statistics.
func (n *numberPlan) of(s statistics) (numbers []any, ok bool) {
	if s.Count == 0 {
		return nil, true
	}
	if !n.sums {
		return []any{n.value(float64(s.Min)), n.value(float64(s.Max))}, true
	}
	if !s.exact() {
		return nil, false
	}
	least, most, sum := int64(s.Min), int64(s.Max), int64(s.Sum)
	switch s.Count {
	case 1:
		return []any{sum}, true
	case 2:
		return []any{least, most}, true
	}
	// The others lie between the two, and so does their average.
	rest := s.Count - 2
	sum -= least + most
	each := int64(math.Floor(float64(sum) / float64(rest)))
	more := sum - each*rest
	numbers = append(make([]any, 0, s.Count), least, most)
	for i := range rest {
		v := each
		if i < more {
			v++
		}
		numbers = append(numbers, v)
	}
	return numbers, true
}

func (n *numberPlan) value(v float64) any {
	if v == math.Trunc(v) && n.form == integers {
		return int64(v)
	}
	return v
}
