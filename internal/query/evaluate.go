package query

import (
	"regexp"
	"slices"
	"strings"
)

// Evaluate answers a query over task documents in their stored form, with the environment record in place of its digest.
// It is the reference: plain rather than fast, and every store must equal it.
func Evaluate(docs []map[string]any, q *Query) (*Answer, error) {
	s, err := NewStream(q)
	if err != nil {
		return nil, err
	}
	for _, m := range docs {
		s.Add(m)
	}
	return s.Answer()
}

// Fields are all fields that the query names.
func (q *Query) Fields() []Field {
	fields := append([]Field(nil), q.Projection...)
	for _, a := range q.Aggregation {
		fields = append(fields, a.Field)
	}
	for _, k := range q.Sort {
		if k.By != ByCount {
			fields = append(fields, k.Field)
		}
	}
	EachCompare(q.Filter, func(c Compare, _ bool) { fields = append(fields, c.Field) })
	return fields
}

func (d *document) row(projection []Field) map[string]any {
	if len(projection) == 0 {
		return d.fields
	}
	row := make(map[string]any, len(projection))
	for _, f := range projection {
		if v, ok := d.get(f); ok {
			row[f.Name] = v
		}
	}
	return row
}

func id(d *document) string {
	s, _ := d.fields["id"].(string)
	return s
}

// sortValues are the values of the sort keys; nil where the task has none.
func (q *Query) sortValues(d *document) []any {
	out := make([]any, len(q.Sort))
	for i, k := range q.Sort {
		out[i], _ = d.leaf(k.Field)
	}
	return out
}

func (q *Query) compareKeys(a []any, idA string, b []any, idB string) int {
	for i, k := range q.Sort {
		if c := CompareForSort(a[i], b[i], k.Descending); c != 0 {
			return c
		}
	}
	return strings.Compare(idA, idB)
}

type matcher struct{ patterns map[string]*regexp.Regexp }

func (m *matcher) matches(f Filter, d *document) bool {
	switch f := f.(type) {
	case And:
		for _, p := range f.Parts {
			if !m.matches(p, d) {
				return false
			}
		}
		return true
	case Or:
		return m.any(f.Parts, d)
	case Nor:
		return !m.any(f.Parts, d)
	case Not:
		return !m.matches(f.Part, d)
	case Compare:
		return m.compare(f, d)
	default:
		return true
	}
}

func (m *matcher) any(parts []Filter, d *document) bool {
	for _, p := range parts {
		if m.matches(p, d) {
			return true
		}
	}
	return false
}

func (m *matcher) compare(c Compare, d *document) bool {
	vals, exists := d.values(c.Field)
	switch c.Op {
	case Exists:
		return exists == c.Value.(bool)
	case Ne:
		return !slices.ContainsFunc(vals, func(v any) bool { return equal(v, c.Value) })
	case Nin:
		return !slices.ContainsFunc(vals, func(v any) bool { return among(v, c.Value.([]any)) })
	}
	return slices.ContainsFunc(vals, func(v any) bool { return m.satisfies(v, c) })
}

func among(v any, list []any) bool {
	return slices.ContainsFunc(list, func(e any) bool { return equal(v, e) })
}

func (m *matcher) satisfies(v any, c Compare) bool {
	switch c.Op {
	case Eq:
		return equal(v, c.Value)
	case In:
		return among(v, c.Value.([]any))
	case Regex:
		s, ok := v.(string)
		return ok && m.pattern(c.Value.(string)).MatchString(s)
	}
	cmp, ok := order(v, c.Value)
	if !ok {
		return false
	}
	switch c.Op {
	case Lt:
		return cmp < 0
	case Lte:
		return cmp <= 0
	case Gt:
		return cmp > 0
	default:
		return cmp >= 0
	}
}

// pattern compiles a pattern that ParseFilter found valid.
func (m *matcher) pattern(s string) *regexp.Regexp {
	re := m.patterns[s]
	if re == nil {
		re = regexp.MustCompile(s)
		m.patterns[s] = re
	}
	return re
}
