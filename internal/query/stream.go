package query

import (
	"fmt"
	"regexp"
	"slices"
)

// Stream evaluates a query over documents that come one by one, in any order, as a store reads them. Documents are those
// of Evaluate, of which the query's fields are enough where none of them is ambiguous.
type Stream struct {
	q        *Query
	position *Position
	matcher  matcher
	doubts   []*doubt

	total  int64
	behind int64     // matching tasks behind the cursor
	page   []*listed // the first of them; cut now and then
	groups *grouping
}

type listed struct {
	doc  *document
	keys []any
	id   string
}

// NewStream begins an evaluation.
func NewStream(q *Query) (*Stream, error) {
	position, err := q.Position()
	if err != nil {
		return nil, err
	}
	s := &Stream{q: q, position: position, matcher: matcher{patterns: map[string]*regexp.Regexp{}}, doubts: doubtsOf(q)}
	if len(q.Aggregation) > 0 {
		s.groups = newGrouping(q)
	}
	return s, nil
}

// Add takes one document, which the stream keeps.
func (s *Stream) Add(doc map[string]any) {
	d := newDocument(doc)
	for _, x := range s.doubts {
		x.weigh(&s.matcher, s.q.Filter, d)
	}
	if !s.matcher.matches(s.q.Filter, d) {
		return
	}
	s.total++
	if s.groups != nil {
		s.groups.add(d)
		return
	}
	l := &listed{doc: d, keys: s.q.sortValues(d), id: id(d)}
	if p := s.position; p != nil && s.q.compareKeys(l.keys, l.id, p.Keys, p.ID) <= 0 {
		return
	}
	s.behind++
	if s.page = append(s.page, l); len(s.page) >= 2*s.q.PageSize()+100 {
		s.cut()
	}
}

// cut keeps what may be on the page.
func (s *Stream) cut() {
	slices.SortFunc(s.page, func(x, y *listed) int { return s.q.compareKeys(x.keys, x.id, y.keys, y.id) })
	if n := s.q.PageSize(); len(s.page) > n {
		clear(s.page[n:])
		s.page = s.page[:n]
	}
}

// Counted says that only the rows of the page were added: a store that sorts and filters exactly found them among total
// matching tasks, and behind of those behind the cursor.
func (s *Stream) Counted(total, behind int64) { s.total, s.behind = total, behind }

// Answer is the answer over the documents so far. The rows of a list are those of IDs.
func (s *Stream) Answer() (*Answer, error) {
	for _, x := range s.doubts {
		if x.tasks > 0 {
			return nil, AmbiguousError(x.field, x.tasks, x.names)
		}
	}
	if s.groups != nil {
		return s.groups.answer(s.position), nil
	}
	s.cut()
	if s.behind > 0 && len(s.page) == 0 {
		return nil, fmt.Errorf("%d tasks are behind the cursor, and none of them is on the page", s.behind)
	}
	a := &Answer{Total: s.total, Rows: []map[string]any{}}
	for _, l := range s.page {
		a.Rows = append(a.Rows, l.doc.row(s.q.Projection))
	}
	if n := len(s.page); s.behind > int64(n) {
		last := s.page[n-1]
		a.Truncated, a.NextCursor, a.Live = true, s.q.CursorAfter(last.keys, last.id), !s.q.Stable()
	}
	return a, nil
}

// IDs are the ids of the rows of a list, in their order, once there is an Answer.
func (s *Stream) IDs() []string {
	out := make([]string, len(s.page))
	for i, l := range s.page {
		out[i] = l.id
	}
	return out
}

// Matches says whether a document matches a filter.
func Matches(f Filter, doc map[string]any) bool {
	m := matcher{patterns: map[string]*regexp.Regexp{}}
	return m.matches(f, newDocument(doc))
}

// Group is one group that a store has counted itself.
type Group struct {
	Values  []any // of Query.Groups; nil and not present where its tasks have none
	Present []bool
	Count   int64
	Counts  []int64          // per aggregate that counts: tasks that have the field
	Numbers map[string][]any // by field: numbers with the same aggregates as all of the group's
	Results map[int]any      // per aggregate that is known, where Numbers do not tell it
}

// Key is that of groups of equal values.
func (c Group) Key() string { return groupKey(c.Values, c.Present) }

// AddGroup takes a group in place of its tasks, none of which is added. Groups of equal values are one; those with Results
// are added once. Nothing may be sorted by a maximum.
func (s *Stream) AddGroup(c Group) {
	g := s.groups.find(c.Values, c.Present)
	g.count += c.Count
	for i, n := range c.Counts {
		g.counts[i] += n
	}
	g.results = c.Results
	for f, numbers := range c.Numbers {
		g.numbers[f] = append(g.numbers[f], numbers...)
	}
}
