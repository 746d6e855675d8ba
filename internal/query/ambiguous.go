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

func (m *matcher) checkAmbiguous(docs []*document, q *Query) error {
	shown := map[string]bool{}
	for _, f := range q.ShownFields() {
		shown[f.Name] = true
	}
	for _, f := range q.Fields() {
		if !f.Shortened() {
			continue
		}
		var tasks int64
		var names []string
		for _, d := range docs {
			full := d.ambiguousIn(f)
			if full == nil {
				continue
			}
			if surely, possibly := m.bounds(q.Filter, d); !possibly || surely && !shown[f.Name] {
				continue
			}
			tasks++
			if names == nil || task.JSON(full) < task.JSON(names) {
				names = full
			}
		}
		if tasks > 0 {
			return AmbiguousError(f, tasks, names)
		}
	}
	return nil
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
