package sqlite

import (
	"fmt"
	"math"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// A filter becomes a boolean SQL expression in which NULL stands for false: AND and OR keep that, and a negation is
// written "(…) IS NOT TRUE".

// conditions splits a filter into what looks at promoted columns only, which goes where SQLite can use an index, and the
// rest.
func (s *statement) conditions(f query.Filter) (pushed, rest string, err error) {
	return s.conditionsOf(f, exactly)
}

func (s *statement) conditionsOf(f query.Filter, b bound) (pushed, rest string, err error) {
	parts := []query.Filter{f}
	if and, ok := f.(query.And); ok {
		parts = flatten(and)
	}
	var in, out []string
	for _, p := range parts {
		if p == nil {
			continue
		}
		if onColumns(p) {
			sql, err := (&compiler{statement: s, direct: true}).filter(p)
			if err != nil {
				return "", "", err
			}
			in = append(in, sql)
			continue
		}
		sql, err := (&compiler{statement: s, bound: b}).filter(p)
		if err != nil {
			return "", "", err
		}
		out = append(out, sql)
	}
	return strings.Join(in, " AND "), strings.Join(out, " AND "), nil
}

func onColumns(f query.Filter) bool {
	q := query.Query{Filter: f}
	for _, field := range q.Fields() {
		if !promoted[field.Name] && field.Name != "elapsed" {
			return false
		}
	}
	return true
}

type compiler struct {
	statement *statement
	direct    bool // name the columns of tasks rather than those of the inner SELECT
	bound     bound
}

func (c *compiler) filter(f query.Filter) (string, error) {
	switch f := f.(type) {
	case query.And:
		return c.join(f.Parts, " AND ", "1")
	case query.Or:
		return c.join(f.Parts, " OR ", "0")
	case query.Nor:
		sql, err := c.inverse().join(f.Parts, " OR ", "0")
		return sql + " IS NOT TRUE", err
	case query.Not:
		sql, err := c.inverse().filter(f.Part)
		return "(" + sql + ") IS NOT TRUE", err
	case query.Compare:
		sql, err := c.compare(f)
		return c.bound.within(c.statement, f.Field, sql), err
	case nil:
		return "1", nil
	default:
		return "", fmt.Errorf("the SQLite store has no filter %T", f)
	}
}

// inverse compiles what stands under a negation.
func (c *compiler) inverse() *compiler {
	inner := *c
	inner.bound = c.bound.inverse()
	return &inner
}

func (c *compiler) join(parts []query.Filter, op, empty string) (string, error) {
	if len(parts) == 0 {
		return empty, nil
	}
	list := make([]string, len(parts))
	for i, p := range parts {
		sql, err := c.filter(p)
		if err != nil {
			return "", err
		}
		list[i] = sql
	}
	return "(" + strings.Join(list, op) + ")", nil
}

func (c *compiler) compare(f query.Compare) (string, error) {
	name, col, err := c.statement.column(f.Field)
	if err != nil {
		return "", err
	}
	if c.direct {
		name = col.expr
	}
	switch f.Op {
	case query.Exists:
		return c.exists(name, col, f)
	case query.Ne:
		f.Op = query.Eq
	case query.Nin:
		f.Op = query.In
	default:
		return c.any(name, col, f), nil
	}
	return "(" + c.any(name, col, f) + ") IS NOT TRUE", nil
}

func (c *compiler) exists(name string, col column, f query.Compare) (string, error) {
	sql := name + " IS NOT NULL"
	if f.Field.Type == query.Dynamic {
		// A path that leads to a map has fields but no leaf of its own.
		prefix := leafKey(f.Field.Name + ".")
		from, to := c.statement.arg(prefix), c.statement.arg(prefix[:len(prefix)-1]+"/")
		sql = fmt.Sprintf("(%s OR EXISTS (SELECT 1 FROM json_each(%s) WHERE key >= %s AND key < %s))", sql, col.inside(), from, to)
	}
	if f.Value == false {
		return "(" + sql + ") IS NOT TRUE", nil
	}
	return sql, nil
}

// any is true when the value, or any element of it if it is a list, satisfies the operator.
func (c *compiler) any(name string, col column, f query.Compare) string {
	if !col.encoded {
		return c.plain(name, f)
	}
	one := c.encoded(f)
	return fmt.Sprintf(`((%s) OR (%s >= '[' AND %s < '\' AND EXISTS (SELECT 1 FROM json_each(%s) WHERE %s)))`,
		one(name), name, name, name, one("value"))
}

var operators = map[query.Op]string{
	query.Eq: "=", query.Lt: "<", query.Lte: "<=", query.Gt: ">", query.Gte: ">=",
}

// plain compares a promoted column, whose values all have one type, the type of the filter's value.
func (c *compiler) plain(x string, f query.Compare) string {
	switch f.Op {
	case query.In:
		return fmt.Sprintf("%s IN (SELECT value FROM json_each(%s))", x, c.statement.arg(task.JSON(f.Value)))
	case query.Regex:
		return fmt.Sprintf("mida_regexp(%s, %s, 0)", c.statement.arg(f.Value), x)
	}
	if v, ok := f.Value.(float64); ok && math.IsNaN(v) {
		return "0" // SQLite would take it for NULL
	}
	return fmt.Sprintf("%s %s %s", x, operators[f.Op], c.statement.arg(f.Value))
}

// encoded returns the comparison of a leaf in stored form; its arguments are added once.
func (c *compiler) encoded(f query.Compare) func(x string) string {
	switch f.Op {
	case query.In:
		list, _ := f.Value.([]any)
		return c.in(list)
	case query.Regex:
		p := c.statement.arg(f.Value)
		return func(x string) string {
			return fmt.Sprintf("%s >= 's' AND %s < 't' AND mida_regexp(%s, %s, 1)", x, x, p, x)
		}
	}
	op := operators[f.Op]
	v := encodeLeaf(f.Value)
	p := c.statement.arg(v)
	switch e := v.(type) {
	case string:
		switch {
		case e[0] == kindBigInt:
			return func(x string) string {
				return fmt.Sprintf("(%s < '' OR %s >= 'i' AND %s < 'j') AND mida_compare(%s, %s) %s 0", x, x, x, x, p, op)
			}
		case f.Op == query.Eq:
			return func(x string) string { return fmt.Sprintf("%s = %s", x, p) }
		case e[0] == kindString:
			return func(x string) string { return fmt.Sprintf("%s %s %s AND %s >= 's' AND %s < 't'", x, op, p, x, x) }
		default:
			return func(string) string { return "0" } // has no order
		}
	default:
		return func(x string) string {
			return fmt.Sprintf("%s %s %s AND %s < '' OR %s >= 'i' AND %s < 'j' AND mida_compare(%s, %s) %s 0",
				x, op, p, x, x, x, x, p, op)
		}
	}
}

// in compares with a list. Only integers beyond 64 bits, in the list or in the task, need more than equality.
func (c *compiler) in(values []any) func(x string) string {
	plain := make([]any, 0, len(values))
	var big []string
	for _, v := range values {
		switch e := encodeLeaf(v).(type) {
		case string:
			if e[0] == kindBigInt {
				big = append(big, c.statement.arg(e))
				continue
			}
			plain = append(plain, e)
		case float64:
			if math.Abs(e) >= 1<<63 || math.IsInf(e, 0) {
				big = append(big, c.statement.arg(e))
				continue
			}
			plain = append(plain, e)
		default:
			plain = append(plain, e)
		}
	}
	p := c.statement.arg(task.JSON(plain))
	return func(x string) string {
		sql := fmt.Sprintf("%s IN (SELECT value FROM json_each(%s))", x, p)
		for _, b := range big {
			sql += fmt.Sprintf(" OR (%s < '' OR %s >= 'i' AND %s < 'j') AND mida_compare(%s, %s) = 0", x, x, x, x, b)
		}
		return sql
	}
}
