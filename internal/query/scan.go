package query

import (
	"regexp"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Scan asks for a few fields of many tasks. A store answers it without reading whole tasks where it can.
type Scan struct {
	Filter Filter // nil = all tasks
	// Fields are different ones. A map, such as used, stands for its leaves (task.Leaves).
	Fields []Field
	// First asks for so many tasks at most: those with the lowest ids, which are hashes and so a fair sample. 0 = all.
	First int
}

// Absent stands in the row of a scan for what the task does not have.
var Absent any = absent{}

type absent struct{}

// Query is a list of the same tasks and fields.
func (s *Scan) Query() *Query { return &Query{Filter: s.Filter, Projection: s.Fields, Limit: s.First} }

// Matcher says whether a whole document matches the filter.
func (s *Scan) Matcher() func(doc map[string]any) bool {
	m := matcher{patterns: map[string]*regexp.Regexp{}}
	return func(doc map[string]any) bool { return m.matches(s.Filter, newDocument(doc)) }
}

// Row puts the values of the fields of a whole document, with its environment's record in place, into row: as a list shows
// them, and of a map its leaves by path, if there are any.
func (s *Scan) Row(doc map[string]any, row []any) {
	d := newDocument(doc)
	for i, f := range s.Fields {
		v, ok := d.get(f)
		if f.Type == Object {
			m, _ := v.(map[string]any)
			leaves := task.Leaves(m)
			v, ok = leaves, len(leaves) > 0
		}
		if row[i] = v; !ok {
			row[i] = Absent
		}
	}
}
