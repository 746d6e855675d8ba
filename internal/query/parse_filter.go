package query

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of a filter, so that no query is a burden by its form alone.
const (
	maxFilterDepth = 32
	maxFilterNodes = 1_000
	maxListValues  = 10_000
	maxPattern     = 4_096
)

var (
	compareOps  = []Op{Eq, Ne, Lt, Lte, Gt, Gte, In, Nin, Exists, Regex}
	topNames    = []string{"$and", "$or", "$nor", "$not"}
	fieldOps    = append(names(compareOps), "$not")
	inFieldOnly = "stands for a field, as in {\"used.layers\": {%q: …}}"
)

func names(ops []Op) []string {
	out := make([]string, len(ops))
	for i, o := range ops {
		out[i] = string(o)
	}
	return out
}

// ParseFilter reads a MongoDB-style filter; nil and {} match every task.
func ParseFilter(v any) (Filter, error) {
	if v == nil {
		return nil, nil
	}
	p := filterParser{}
	return p.object("filter", v, 0)
}

type filterParser struct{ nodes int }

func (p *filterParser) count(at string, depth int) error {
	p.nodes++
	switch {
	case depth > maxFilterDepth:
		return fail(at, "the filter is nested deeper than %d", maxFilterDepth)
	case p.nodes > maxFilterNodes:
		return fail(at, "the filter has more than %d conditions; use $in for a list of values", maxFilterNodes)
	}
	return nil
}

func (p *filterParser) object(at string, v any, depth int) (Filter, error) {
	if err := p.count(at, depth); err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fail(at, `%s is not a filter; want an object such as {"status": "FINISHED"}`, describe(v))
	}
	parts := make([]Filter, 0, len(m))
	for _, k := range keys(m) {
		f, err := p.entry(at+"."+k, k, m[k], depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, f)
	}
	return all(parts), nil
}

// all is the conjunction of the parts; one part stands for itself.
func all(parts []Filter) Filter {
	if len(parts) == 1 {
		return parts[0]
	}
	return And{Parts: parts}
}

func (p *filterParser) entry(at, key string, v any, depth int) (Filter, error) {
	switch key {
	case "$and", "$or", "$nor":
		parts, err := p.list(at, v, depth)
		if err != nil {
			return nil, err
		}
		switch key {
		case "$and":
			return And{Parts: parts}, nil
		case "$or":
			return Or{Parts: parts}, nil
		default:
			return Nor{Parts: parts}, nil
		}
	case "$not":
		f, err := p.object(at, v, depth+1)
		if err != nil {
			return nil, err
		}
		return Not{Part: f}, nil
	}
	if strings.HasPrefix(key, "$") {
		err := unknown(at, "operator", key, topNames)
		if contains(fieldOps, key) {
			err = fail(at, "%q "+inFieldOnly, key, key)
		}
		return nil, err
	}
	f, err := LookupField(at, key)
	if err != nil {
		return nil, err
	}
	return p.field(at, f, v, depth+1)
}

func (p *filterParser) list(at string, v any, depth int) ([]Filter, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, fail(at, "%s is not a list of filters with at least one in it", describe(v))
	}
	parts := make([]Filter, len(list))
	for i, e := range list {
		f, err := p.object(fmt.Sprintf("%s[%d]", at, i), e, depth+1)
		if err != nil {
			return nil, err
		}
		parts[i] = f
	}
	return parts, nil
}

// field reads what a field is compared with: a value, or an object of operators.
func (p *filterParser) field(at string, f Field, v any, depth int) (Filter, error) {
	if err := p.count(at, depth); err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok || isBigInt(m) {
		return p.compare(at, f, Eq, v)
	}
	if len(m) == 0 {
		return nil, fail(at, "an empty object compares with nothing; want a value or operators such as {\"$gt\": 2}")
	}
	parts := make([]Filter, 0, len(m))
	for _, k := range keys(m) {
		if k == "$not" {
			part, err := p.field(at+".$not", f, m[k], depth+1)
			if err != nil {
				return nil, err
			}
			parts = append(parts, Not{Part: part})
			continue
		}
		if !strings.HasPrefix(k, "$") {
			if operatorsOnly(m) {
				return nil, &Error{Field: at + "." + k, Problem: fmt.Sprintf("operators begin with $, %q does not", k), Valid: fieldOps, Suggestion: "$" + k}
			}
			return nil, fail(at, "%s compares with a map; name its field: %q", describe(v), f.Name+"."+k)
		}
		if !contains(compareOps, Op(k)) {
			return nil, unknown(at+"."+k, "operator", k, fieldOps)
		}
		part, err := p.compare(at+"."+k, f, Op(k), m[k])
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return all(parts), nil
}

// operatorsOnly says whether all keys are operators, some without their $, so that hardly a map is meant.
func operatorsOnly(m map[string]any) bool {
	for k := range m {
		if !contains(fieldOps, "$"+strings.TrimPrefix(k, "$")) {
			return false
		}
	}
	return true
}

func isBigInt(m map[string]any) bool {
	s, ok := m["$int"].(string)
	return ok && len(m) == 1 && bigInt(s) != nil
}

func (p *filterParser) compare(at string, f Field, op Op, v any) (Filter, error) {
	c := Compare{Field: f, Op: op}
	var err error
	switch op {
	case Exists:
		b, ok := v.(bool)
		if !ok {
			return nil, fail(at, "%s is neither true nor false", describe(v))
		}
		c.Value = b
	case Regex:
		c.Value, err = pattern(at, f, v)
	case In, Nin:
		c.Value, err = values(at, f, v)
	default:
		if (op != Eq && op != Ne) && !f.ordered() {
			return nil, &Error{Field: at, Problem: fmt.Sprintf("%q has no order", f.Name), Valid: []string{"$eq", "$ne", "$in", "$nin"}}
		}
		c.Value, err = value(at, f, op, v)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func pattern(at string, f Field, v any) (string, error) {
	s, ok := v.(string)
	switch {
	case !ok:
		return "", fail(at, "%s is not a string", describe(v))
	case f.Type != Dynamic && f.Type != String && f.Type != Strings && f.Type != Enum:
		return "", fail(at, "%q is not text, so no pattern can match it", f.Name)
	case len(s) > maxPattern:
		return "", fail(at, "the pattern has %d bytes; at most %d are taken", len(s), maxPattern)
	}
	if _, err := regexp.Compile(s); err != nil {
		return "", fail(at, "%q is not an RE2 pattern: %s", s, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return s, nil
}

func values(at string, f Field, v any) ([]any, error) {
	list, ok := v.([]any)
	switch {
	case !ok:
		return nil, fail(at, "%s is not a list of values", describe(v))
	case len(list) > maxListValues:
		return nil, fail(at, "the list has %d values; at most %d are taken", len(list), maxListValues)
	}
	out := make([]any, len(list))
	for i, e := range list {
		x, err := value(fmt.Sprintf("%s[%d]", at, i), f, Eq, e)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

// value checks a value against the field's type and brings it into the form of the stored document.
func value(at string, f Field, op Op, v any) (any, error) {
	wrong := func(want string) error { return fail(at, "%s cannot equal %q; want %s", describe(v), f.Name, want) }
	switch f.Type {
	case Object:
		return nil, fail(at, "%q holds a map; name one of its fields: %s.<name>, or ask for {\"$exists\": true}", f.Name, f.Name)
	case String, Strings:
		if _, ok := v.(string); !ok {
			return nil, wrong(`a string, or {"$exists": false} for tasks without one`)
		}
		return v, nil
	case Enum:
		s, _ := v.(string)
		st, err := task.ParseStatus(s)
		if err != nil {
			return nil, unknown(at, f.Name, s, statusNames())
		}
		return st.String(), nil
	case Integer, Duration:
		switch v.(type) {
		case int64, float64:
			return v, nil
		}
		return nil, wrong("a number")
	case Time:
		ns, ok := instant(v)
		if !ok {
			return nil, wrong(`seconds since 1970, such as 1753.2, or a time such as "2026-11-22T21:30:00Z"`)
		}
		return ns, nil
	}
	return dynamicValue(at, f, op, v)
}

func dynamicValue(at string, f Field, op Op, v any) (any, error) {
	switch x := v.(type) {
	case int64, string:
		return v, nil
	case float64:
		if math.IsNaN(x) && op != Eq && op != Ne {
			return nil, fail(at, "NaN has no order; $eq and $ne find it")
		}
		return v, nil
	case nil, bool, []byte:
		if op != Eq && op != Ne {
			return nil, fail(at, "%s has no order; %s takes a number or a string", describe(v), op)
		}
		return v, nil
	case map[string]any:
		if isBigInt(x) {
			return v, nil
		}
		return nil, fail(at, "%s is a map; name the field in it: %s.<name>", describe(v), f.Name)
	default:
		return nil, fail(at, "%s is a list; a list in a task matches by any of its elements, so compare with one value or use $in", describe(v))
	}
}

func statusNames() []string {
	var out []string
	for s := task.StatusUnknown; s <= task.StatusCancelled; s++ {
		out = append(out, s.String())
	}
	return out
}

// maxSeconds is the most that still has its nanoseconds in an int64.
const maxSeconds = math.MaxInt64 / 1_000_000_000

// instant reads seconds since the epoch or RFC 3339 as unix nanoseconds.
func instant(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		if v > maxSeconds || v < -maxSeconds {
			return 0, false
		}
		return v * 1e9, true
	case float64:
		if math.IsNaN(v) || math.Abs(v) > maxSeconds {
			return 0, false
		}
		whole, part := math.Modf(v)
		return int64(whole)*1e9 + int64(math.Round(part*1e9)), true
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil || t.Year() < 1678 || t.Year() > 2261 {
			return 0, false
		}
		return t.UnixNano(), true
	default:
		return 0, false
	}
}
