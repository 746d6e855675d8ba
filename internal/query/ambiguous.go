package query

import (
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// A field that several arguments of a task have, and the task does not have for itself, is ambiguous there: nobody knows
// which is meant. The query is refused when such a task counts: when it is among those that the rest of the filter
// selects. Tasks that the rest of the filter leaves out have no say.

// AmbiguousError is the error for a field that is ambiguous in some of the tasks that a query is about.
func AmbiguousError(f Field, tasks int64, fullNames []string) *Error {
	in := fmt.Sprintf("%d of the tasks asked for", tasks)
	if tasks == 1 {
		in = "a task asked for"
	}
	return &Error{
		Field: f.Name, Valid: fullNames,
		Problem: fmt.Sprintf("%q is ambiguous: several arguments of %s have it; name one in full, or leave those tasks out by the filter",
			f.Name, in),
	}
}

// Shortened says whether the field may stand for one of an argument's.
func (f Field) Shortened() bool { return f.Root == "used" && f.Path != "" }

// ShownFields are the fields that the query projects, aggregates or sorts by.
func (q *Query) ShownFields() []Field {
	shown := *q
	shown.Filter = nil
	return shown.Fields()
}

// doubt is a field that a query names and that may be ambiguous, with the tasks that count in which it is.
type doubt struct {
	field Field
	shown bool // projected, aggregated or sorted by, not only filtered by
	tasks int64
	names []string // the full names, of the task with the least
}

func doubtsOf(q *Query) []*doubt {
	shown := map[string]bool{}
	for _, f := range q.ShownFields() {
		shown[f.Name] = true
	}
	var out []*doubt
	for _, f := range q.Fields() {
		if f.Shortened() {
			out = append(out, &doubt{field: f, shown: shown[f.Name]})
		}
	}
	return out
}

// weigh looks at one task.
func (x *doubt) weigh(m *matcher, filter Filter, d *document) {
	full := d.ambiguousIn(x.field)
	if full == nil {
		return
	}
	if surely, possibly := m.bounds(filter, d); !possibly || surely && !x.shown {
		return
	}
	x.tasks++
	if x.names == nil || task.JSON(full) < task.JSON(x.names) {
		x.names = full
	}
}

// ambiguousIn returns the full names of a field that is ambiguous in the task, else nil.
func (d *document) ambiguousIn(f Field) []string {
	if !f.Shortened() {
		return nil
	}
	d.leavesOf(f.Root)
	return d.ambiguous[f.Path]
}

// bounds says whether a task matches whatever its ambiguous fields stand for, and whether it may match.
func (m *matcher) bounds(f Filter, d *document) (surely, possibly bool) {
	switch f := f.(type) {
	case And:
		surely, possibly = true, true
		for _, p := range f.Parts {
			s, c := m.bounds(p, d)
			surely, possibly = surely && s, possibly && c
		}
		return surely, possibly
	case Or:
		for _, p := range f.Parts {
			s, c := m.bounds(p, d)
			surely, possibly = surely || s, possibly || c
		}
		return surely, possibly
	case Nor:
		s, c := m.bounds(Or(f), d)
		return !c, !s
	case Not:
		s, c := m.bounds(f.Part, d)
		return !c, !s
	case Compare:
		if d.ambiguousIn(f.Field) != nil {
			return false, true
		}
		matches := m.compare(f, d)
		return matches, matches
	default:
		return true, true
	}
}
