package sqlite

import (
	"bytes"
	"math"
	"regexp"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// predicate compiles a filter to a test of a row of the vectors, which the query's bring has loaded.
func (c *columns) predicate(f query.Filter) func(row int64) bool {
	switch f := f.(type) {
	case query.And:
		return every(c.predicates(f.Parts))
	case query.Or:
		return some(c.predicates(f.Parts))
	case query.Nor:
		return not(some(c.predicates(f.Parts)))
	case query.Not:
		return not(c.predicate(f.Part))
	case query.Compare:
		return c.comparison(f)
	default:
		return func(int64) bool { return true }
	}
}

func (c *columns) predicates(parts []query.Filter) []func(int64) bool {
	out := make([]func(int64) bool, len(parts))
	for i, p := range parts {
		out[i] = c.predicate(p)
	}
	return out
}

func every(parts []func(int64) bool) func(int64) bool {
	return func(row int64) bool {
		for _, p := range parts {
			if !p(row) {
				return false
			}
		}
		return true
	}
}

func some(parts []func(int64) bool) func(int64) bool {
	return func(row int64) bool {
		for _, p := range parts {
			if p(row) {
				return true
			}
		}
		return false
	}
}

func not(p func(int64) bool) func(int64) bool { return func(row int64) bool { return !p(row) } }

func (c *columns) comparison(f query.Compare) func(row int64) bool {
	if f.Op == query.Exists {
		v := c.vectors["?"+f.Field.Name]
		return func(row int64) bool { return (v.get(row) == int64(1)) == f.Value }
	}
	v, encoded := c.vectors[f.Field.Name], encodedField(f.Field)
	test := valueTest(f)
	anyValue := func(row int64) bool {
		found := false
		eachElement(encoded, v.get(row), func(e any) { found = found || test(e) })
		return found
	}
	if f.Op == query.Ne || f.Op == query.Nin {
		return not(anyValue)
	}
	return anyValue
}

// eachElement calls f for the value of a field, null included, or for the elements of a list; for a missing one never.
func eachElement(encoded bool, v any, f func(any)) {
	if v == nil {
		return
	}
	if _, text := v.(string); !text || !encoded {
		f(v)
		return
	}
	v, _ = decodeLeaf(v)
	list, ok := v.([]any)
	if !ok {
		f(v)
		return
	}
	for _, e := range list {
		f(e)
	}
}

// valueTest is what one value must satisfy; for $ne and $nin, what none may.
func valueTest(f query.Compare) func(any) bool {
	switch f.Op {
	case query.Eq, query.Ne:
		return func(v any) bool { return same(v, f.Value) }
	case query.In, query.Nin:
		list, _ := f.Value.([]any)
		return newValueSet(list).contains
	case query.Regex:
		pattern, _ := f.Value.(string)
		re, err := regexp.Compile(pattern)
		return func(v any) bool {
			s, ok := v.(string)
			return err == nil && ok && re.MatchString(s)
		}
	}
	return func(v any) bool {
		if !(number(v) && number(f.Value)) {
			_, ok1 := v.(string)
			_, ok2 := f.Value.(string)
			if !ok1 || !ok2 {
				return false
			}
		}
		switch f.Op {
		case query.Lt:
			return below(v, f.Value)
		case query.Lte:
			return !below(f.Value, v)
		case query.Gt:
			return below(f.Value, v)
		default:
			return !below(v, f.Value)
		}
	}
}

// valueSet finds a value in the list of $in as same would, without a look at each element.
type valueSet struct {
	list   []any
	texts  map[string]bool
	ints   map[int64]bool   // also floats that are whole
	floats map[float64]bool // the others
	rest   []any            // what is neither text, int64 nor an ordinary float
}

func newValueSet(list []any) *valueSet {
	s := &valueSet{list: list, texts: map[string]bool{}, ints: map[int64]bool{}, floats: map[float64]bool{}}
	for _, e := range list {
		switch e := e.(type) {
		case string:
			s.texts[e] = true
		case int64:
			s.ints[e] = true
		case float64:
			if i, whole := wholeNumber(e); whole {
				s.ints[i] = true
			} else if math.IsNaN(e) {
				s.rest = append(s.rest, e)
			} else {
				s.floats[e] = true
			}
		default:
			s.rest = append(s.rest, e)
		}
	}
	return s
}

func (s *valueSet) contains(v any) bool {
	switch v := v.(type) {
	case string:
		return s.texts[v]
	case int64:
		return s.ints[v] || among(s.rest, v)
	case float64:
		if i, whole := wholeNumber(v); whole && s.ints[i] {
			return true
		}
		return s.floats[v] || among(s.rest, v)
	case map[string]any: // an integer of more than 64 bits may equal a float
		return among(s.list, v)
	default:
		return among(s.rest, v)
	}
}

func among(list []any, v any) bool {
	for _, e := range list {
		if same(v, e) {
			return true
		}
	}
	return false
}

// wholeNumber is the int64 that a float is equal to.
func wholeNumber(f float64) (int64, bool) {
	if f != math.Trunc(f) || f < -(1<<63) || f >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

// below orders two numbers or two strings.
func below(a, b any) bool {
	if x, ok := a.(string); ok {
		y, _ := b.(string)
		return x < y
	}
	return less(a, b)
}

// number says whether a value orders as a number: integers of any size and floats but NaN.
func number(v any) bool {
	switch v := v.(type) {
	case int64:
		return true
	case float64:
		return !math.IsNaN(v)
	case map[string]any:
		s, ok := encodeLeaf(v).(string)
		return ok && s[0] == kindBigInt
	default:
		return false
	}
}

// same is equality as queries have it: 1 is 1.0 and is not true, NaN is NaN, null is only null.
func same(a, b any) bool {
	if x, y := number(a), number(b); x || y {
		return x && y && !less(a, b) && !less(b, a)
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool, string:
		return a == b
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(a, y)
	case float64: // NaN
		_, ok := b.(float64)
		return ok
	default:
		return false
	}
}
