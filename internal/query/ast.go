// Package query is the query language of the task view: what a query asks for, its validation, and the reference
// evaluation that every store must equal (docs/query.md; behaviour by example in testdata/*.txt).
package query

// Query is a validated query. The zero value asks for all tasks.
type Query struct {
	Filter      Filter // nil = all tasks
	Projection  []Field
	Aggregation []Aggregate
	Sort        []SortKey
	Limit       int // rows returned; 0 = DefaultLimit
	Cursor      string

	fingerprint string // which queries a cursor belongs to
}

// Limits of a query. What is over MaxLimit is cut into pages.
const (
	DefaultLimit = 100
	MaxLimit     = 10_000
)

// PageSize is the number of rows of one answer.
func (q *Query) PageSize() int {
	switch {
	case q.Limit <= 0:
		return DefaultLimit
	case q.Limit > MaxLimit:
		return MaxLimit
	default:
		return q.Limit
	}
}

// Groups are the fields that make the groups of an aggregation: those projected and not aggregated, in their order.
func (q *Query) Groups() []Field {
	if len(q.Aggregation) == 0 {
		return nil
	}
	var groups []Field
next:
	for _, f := range q.Projection {
		for _, a := range q.Aggregation {
			if a.Field.Name == f.Name {
				continue next
			}
		}
		groups = append(groups, f)
	}
	return groups
}

// ColumnCount is the column of an aggregation's rows that says how many tasks the group has.
const ColumnCount = "count"

// Filter is one node of a filter: And, Or, Nor, Not or Compare.
type Filter interface{ isFilter() }

// And matches when all of its parts match; an empty And matches everything.
type And struct{ Parts []Filter }

// Or matches when any of its parts matches.
type Or struct{ Parts []Filter }

// Nor matches when none of its parts matches.
type Nor struct{ Parts []Filter }

// Not matches when its part does not match; a missing field makes Not match, as in MongoDB.
type Not struct{ Part Filter }

// Compare matches when any value of the field satisfies the operator. $ne and $nin match when no value does.
type Compare struct {
	Field Field
	Op    Op
	Value any // in the value set of package task; []any for In and Nin; bool for Exists; string (RE2) for Regex
}

func (And) isFilter()     {}
func (Or) isFilter()      {}
func (Nor) isFilter()     {}
func (Not) isFilter()     {}
func (Compare) isFilter() {}

// EachCompare visits the comparisons of a filter, nil included; negated is true within an odd number of Nor and Not.
func EachCompare(f Filter, visit func(c Compare, negated bool)) { eachCompare(f, false, visit) }

func eachCompare(f Filter, negated bool, visit func(c Compare, negated bool)) {
	var parts []Filter
	switch f := f.(type) {
	case And:
		parts = f.Parts
	case Or:
		parts = f.Parts
	case Nor:
		parts, negated = f.Parts, !negated
	case Not:
		parts, negated = []Filter{f.Part}, !negated
	case Compare:
		visit(f, negated)
	}
	for _, p := range parts {
		eachCompare(p, negated, visit)
	}
}

// Op is a comparison operator.
type Op string

// The operators, as in MongoDB.
const (
	Eq     Op = "$eq"
	Ne     Op = "$ne"
	Lt     Op = "$lt"
	Lte    Op = "$lte"
	Gt     Op = "$gt"
	Gte    Op = "$gte"
	In     Op = "$in"
	Nin    Op = "$nin"
	Exists Op = "$exists"
	Regex  Op = "$regex"
)

// Field is a field of the task document: a scalar such as "status" (Path empty), or a leaf of a map such as
// "used.cfg.layers" (Root "used", Path "cfg.layers"). Name is the whole.
type Field struct {
	Name, Root, Path string
	Type             FieldType
}

// FieldType says how a field's values compare.
type FieldType uint8

// The types of fields.
const (
	Dynamic  FieldType = iota // any value of package task
	String                    // keyword
	Integer                   // int64
	Time                      // unix ns inside; seconds (float) or RFC 3339 at the API
	Duration                  // seconds (float): elapsed
	Strings                   // list of keywords: tags
	Enum                      // keyword of a fixed set: status
	Object                    // a whole map, such as "used": for projections and $exists only
)

// AggregateOp is an aggregation operation.
type AggregateOp string

// The aggregations. Stddev is of the sample.
const (
	Min    AggregateOp = "min"
	Max    AggregateOp = "max"
	Avg    AggregateOp = "avg"
	Sum    AggregateOp = "sum"
	Count  AggregateOp = "count"
	Stddev AggregateOp = "stddev"
	Median AggregateOp = "median"
	P95    AggregateOp = "p95"
)

// Aggregate is one aggregated field.
type Aggregate struct {
	Op    AggregateOp
	Field Field
}

// Column is the name of the aggregate in a row: "min(generated.loss)".
func (a Aggregate) Column() string { return string(a.Op) + "(" + a.Field.Name + ")" }

// SortKey orders rows. Every sort ends with a tie-break: the task's id, or the values of the group in their order.
type SortKey struct {
	Field      Field
	Descending bool
	By         SortBy
	Aggregate  int // with ByAggregate: the index into Query.Aggregation
}

// SortBy says what of a row a SortKey looks at.
type SortBy uint8

// What rows are ordered by. The other than ByField are for groups only.
const (
	ByField     SortBy = iota // the value of the field; of a group, one of its own fields
	ByAggregate               // an aggregated column
	ByCount                   // the number of tasks in the group
	ByMaximum                 // the greatest value of the field in the group
)

// Answer is the answer to a query. Rows are flat: field name → value. Total counts all matching tasks, or all groups.
type Answer struct {
	Rows       []map[string]any
	Total      int64
	Truncated  bool
	Partial    bool
	Warnings   []string // e.g. values left out of an aggregate: which field, why, how many
	NextCursor string
	Live       bool // the cursor is not stable while the view changes
}
