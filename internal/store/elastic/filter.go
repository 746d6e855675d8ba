package elastic

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// bounds are two server queries around a filter: every task that matches the filter is in upper, and every task in lower
// matches it. A negation swaps them. What the server cannot tell lies between them, and is decided in Go.
type bounds struct {
	upper, lower object
	// exact says that both are equal but for tasks in which a field of the filter is opaque.
	exact bool
}

func all() object  { return object{"match_all": object{}} }
func none() object { return object{"match_none": object{}} }

func boolOf(occur string, parts []object) object { return object{"bool": object{occur: parts}} }

func negate(q object) object { return boolOf("must_not", []object{q}) }

// compiler makes server queries of filters.
type compiler struct {
	// environments are the records of tasks' processes by digest, where the filter looks at them.
	environments map[string]map[string]any
	depth        int
}

// maxNesting bounds how deep a filter is asked of the server: Elasticsearch refuses a bool query nested deeper than 30, and
// a comparison takes some of that.
const maxNesting = 20

func (c *compiler) filter(f query.Filter) bounds {
	if c.depth == maxNesting {
		return bounds{all(), none(), false}
	}
	c.depth++
	defer func() { c.depth-- }()
	switch f := f.(type) {
	case query.And:
		return c.join("filter", f.Parts, all())
	case query.Or:
		return c.join("should", f.Parts, none())
	case query.Nor:
		return c.join("should", f.Parts, none()).negated()
	case query.Not:
		return c.filter(f.Part).negated()
	case query.Compare:
		return c.compare(f)
	default:
		return bounds{all(), all(), true}
	}
}

func (b bounds) negated() bounds { return bounds{negate(b.lower), negate(b.upper), b.exact} }

func (c *compiler) join(occur string, parts []query.Filter, empty object) bounds {
	if len(parts) == 0 {
		return bounds{empty, empty, true}
	}
	upper, lower, exact := make([]object, len(parts)), make([]object, len(parts)), true
	for i, p := range parts {
		b := c.filter(p)
		upper[i], lower[i], exact = b.upper, b.lower, exact && b.exact
	}
	return bounds{boolOf(occur, upper), boolOf(occur, lower), exact}
}

func (c *compiler) compare(f query.Compare) bounds {
	if f.Field.Root == "environment" && f.Field.Path != "" {
		return c.environment(f)
	}
	switch f.Op {
	case query.Ne:
		f.Op = query.Eq
		return c.compare(f).negated()
	case query.Nin:
		f.Op = query.In
		return c.compare(f).negated()
	case query.Exists:
		if f.Value == false {
			f.Value = true
			return c.compare(f).negated()
		}
	}
	q, exact := condition(f)
	opaque := object{"term": object{"opaque": term(f.Field.Name)}}
	b := bounds{upper: boolOf("should", []object{q, opaque}), lower: none(), exact: exact}
	if exact {
		b.lower = object{"bool": object{"filter": q, "must_not": opaque}}
	}
	return b
}

// environment finds the processes whose records match, and asks for their tasks.
func (c *compiler) environment(f query.Compare) bounds {
	// A task without a record is like one whose record is empty.
	without := query.Matches(f, map[string]any{})
	var digests []string
	for d, record := range c.environments {
		if query.Matches(f, map[string]any{"environment": record}) != without {
			digests = append(digests, d)
		}
	}
	if len(digests) > maxHits {
		return bounds{all(), none(), false}
	}
	slices.Sort(digests)
	q := none()
	if len(digests) > 0 {
		q = object{"terms": object{"environment": digests}}
	}
	if without {
		q = negate(q)
	}
	return bounds{q, q, true}
}

// condition is the server's query for one comparison, without what is opaque, and whether it is exact.
func condition(f query.Compare) (q object, exact bool) {
	switch {
	case f.Field.Type == query.Dynamic, f.Field.Type == query.Object && f.Field.Root != "environment",
		f.Field.Root == "stdout", f.Field.Root == "stderr":
		return leafCondition(f)
	case f.Op == query.Exists:
		return object{"exists": object{"field": f.Field.Name}}, true
	case f.Op == query.Regex:
		if q, ok := containing(f.Field.Name, f.Value.(string)); ok {
			return q, false
		}
		return object{"exists": object{"field": f.Field.Name}}, false
	}
	numeric := f.Field.Type == query.Integer || f.Field.Type == query.Time || f.Field.Type == query.Duration
	value := func(v any) bool {
		if s, text := v.(string); text {
			return !numeric && len(s) <= maxKeyword
		}
		return numeric && wholeOn(v, f.Field.Type == query.Duration)
	}
	if f.Value == 0.0 {
		f.Value = int64(0) // no elapsed is -0, and a filter that says so means 0
	}
	if f.Op == query.In {
		list, ok := f.Value.([]any)
		if !ok || len(list) == 0 {
			return none(), true
		}
		for _, v := range list {
			if !value(v) || v == 0.0 {
				return object{"exists": object{"field": f.Field.Name}}, false
			}
		}
		return object{"terms": object{f.Field.Name: list}}, len(list) <= maxHits
	}
	if !value(f.Value) {
		return object{"exists": object{"field": f.Field.Name}}, false
	}
	if f.Op == query.Eq {
		return object{"term": object{f.Field.Name: f.Value}}, true
	}
	return rangeOf(f.Field.Name, f.Op, f.Value), true
}

// wholeOn says whether a number keeps its value in a long or a double field.
func wholeOn(v any, double bool) bool {
	switch v := v.(type) {
	case int64:
		return !double || v > -1<<53 && v < 1<<53
	case float64:
		return double && !math.IsNaN(v) && !math.IsInf(v, 0)
	default:
		return false
	}
}

func rangeOf(field string, op query.Op, v any) object {
	return object{"range": object{field: object{string(op[1:]): v}}}
}

// leafCondition selects more tasks than match where the index does not tell: a double does not hold every integer, some
// texts and numbers look alike below .keyword, and the leaves of some maps are known by their names only.
func leafCondition(f query.Compare) (object, bool) {
	name := f.Field.Name
	has := object{"term": object{"leaves": term(name)}}
	if f.Op == query.Exists {
		if f.Field.Type != query.Dynamic {
			return has, true
		}
		// A path that leads to a map has fields but no leaf of its own.
		return boolOf("should", []object{has, {"prefix": object{"leaves": term(name + ".")}}}), len(name) < maxTerm
	}
	if !isIndexed(f.Field.Root) {
		return has, false
	}
	field := fieldOf(f.Field.Root, f.Field.Path)
	if len(field) > maxFieldName {
		return none(), false // its values are opaque
	}
	switch f.Op {
	case query.Regex:
		if q, ok := containing(field+".keyword", f.Value.(string)); ok {
			return q, false
		}
	case query.Eq:
		return equalsLeaf(field, []any{f.Value})
	case query.In:
		list, _ := f.Value.([]any)
		return equalsLeaf(field, list)
	case query.Lt, query.Lte, query.Gt, query.Gte:
		switch v := f.Value.(type) {
		case string:
			if len(v) <= maxLeafKeyword {
				return rangeOf(field+".keyword", f.Op, v), false
			}
		case int64, float64:
			return leafRange(field, f.Op, asDouble(v), has)
		}
	}
	return has, false
}

// leafRange compares numbers. Integers that a double does not hold are all at or beyond exactDouble, on their side of every
// number below it.
func leafRange(field string, op query.Op, n float64, has object) (object, bool) {
	below := op == query.Lt || op == query.Lte
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return has, false
	case n == 0:
		return aroundZero(field, op), true
	case math.Abs(n) < exactDouble:
		return rangeOf(field, op, n), true
	case below:
		return rangeOf(field, query.Lte, beside(n, query.Lte)), false
	default:
		return rangeOf(field, query.Gte, beside(n, query.Gte)), false
	}
}

// aroundZero compares with 0, of which -0 is no less: servers put it before 0.
func aroundZero(field string, op query.Op) object {
	const least = math.SmallestNonzeroFloat64
	switch op {
	case query.Lt:
		return rangeOf(field, query.Lte, -least)
	case query.Lte:
		return rangeOf(field, query.Lt, least)
	case query.Gt:
		return rangeOf(field, query.Gte, least)
	case query.Gte:
		return rangeOf(field, query.Gt, -least)
	default:
		return object{"range": object{field: object{"gt": -least, "lt": least}}}
	}
}

// exactDouble bounds the integers that a double holds exactly.
const exactDouble = 1 << 53

func asDouble(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	f, ok := v.(float64)
	if !ok {
		return math.NaN()
	}
	return f
}

// beside is the number next to n on the side that op leaves out: so 0 takes in -0, and an integer that was rounded to a
// double is not missed.
func beside(n float64, op query.Op) float64 {
	if op == query.Gte {
		return math.Nextafter(n, -math.MaxFloat64)
	}
	return math.Nextafter(n, math.MaxFloat64)
}

// maxRanges bounds the numbers of one list that become ranges.
const maxRanges = 200

// equalsLeaf selects the tasks that may have any of the values, and says whether they do. What is neither text, boolean nor
// a finite number is opaque wherever a task has it.
func equalsLeaf(field string, values []any) (q object, exact bool) {
	exact = true
	var texts []any
	var parts []object
	for _, v := range values {
		switch v := v.(type) {
		case string:
			if len(v) <= maxLeafKeyword {
				texts = append(texts, v)
			}
			exact = exact && !readsAsOther(v) && len(v) <= maxLeafKeyword && utf8.ValidString(v)
		case bool:
			texts = append(texts, map[bool]string{true: "true", false: "false"}[v])
			exact = false
		case int64, float64:
			n := asDouble(v)
			switch {
			case math.IsNaN(n) || math.IsInf(n, 0):
				exact = false
			case n == 0:
				parts = append(parts, aroundZero(field, query.Eq))
			case math.Abs(n) < exactDouble:
				parts = append(parts, object{"term": object{field: n}})
			default:
				parts = append(parts, object{"range": object{field: object{"gte": beside(n, query.Gte), "lte": beside(n, query.Lte)}}})
				exact = false
			}
		default:
			exact = false
		}
	}
	if len(parts) > maxRanges {
		parts, exact = []object{{"exists": object{"field": field}}}, false
	}
	for len(texts) > 0 {
		n := min(len(texts), maxHits)
		parts = append(parts, object{"terms": object{field + ".keyword": texts[:n]}})
		texts = texts[n:]
	}
	if len(parts) == 0 {
		return none(), exact
	}
	return boolOf("should", parts), exact
}
