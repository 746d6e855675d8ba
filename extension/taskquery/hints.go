package taskquery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// A field below used, generated, … may be one that no task has yet, so it is no mistake to ask for it; but it may also be
// misspelt, and then the answer is silently empty or silently everything. Where an answer shows nothing of a field, a
// sample of the tasks is looked at, and what it lacks is a warning with the nearest name.

// hintSample is how many tasks are looked at. Without a sort they come by id, a hash: a fair sample.
const hintSample = 200

// fieldsOfPeople are what annotations write. That nobody said anything yet makes none of these names a wrong one, and the web
// page asks for them beside whatever else it shows.
var fieldsOfPeople = map[string]bool{"custom.people.excluded": true, "custom.people.log": true}

// hints are the warnings about fields that tasks do not seem to have.
func hints(ctx context.Context, st store.Reader, q *query.Query, answer *query.Answer) []string {
	if q.Cursor != "" {
		return nil // said with the first page
	}
	fields := doubtful(q, answer)
	if len(fields) == 0 {
		return nil
	}
	sample := &query.Query{Filter: onlyScalars(q.Filter), Limit: hintSample}
	for _, f := range fields {
		sample.Projection = appendRoot(sample.Projection, f.Root)
	}
	for _, root := range []string{"used", "generated"} { // for those who mistook one for the other
		sample.Projection = appendRoot(sample.Projection, root)
	}
	looked, err := st.Query(ctx, sample)
	if err != nil || len(looked.Rows) == 0 {
		return nil // the answer stands without a hint
	}
	names := namesIn(looked.Rows)
	var out []string
	for _, f := range fields {
		if names.have(f) {
			continue
		}
		text := fmt.Sprintf("%s: none of the %d tasks looked at has this field", f.Name, len(looked.Rows))
		if !looked.Truncated {
			text = f.Name + ": no task has this field"
			if sample.Filter != nil {
				text = f.Name + ": none of the tasks that the rest of the filter selects has this field"
			}
		}
		text += names.instead(f)
		out = append(out, text)
	}
	return out
}

func appendRoot(list []query.Field, root string) []query.Field {
	f := query.Field{Name: root, Root: root, Type: query.Object}
	if slices.Contains(list, f) {
		return list
	}
	return append(list, f)
}

// doubtful are the leaves that the query names and the answer does not show to exist.
func doubtful(q *query.Query, answer *query.Answer) []query.Field {
	var out []query.Field
	add := func(f query.Field) {
		if f.Path != "" && !fieldsOfPeople[f.Name] && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	nothing := len(answer.Rows) == 0 ||
		len(q.Aggregation) > 0 && len(q.Groups()) == 0 && answer.Rows[0][query.ColumnCount] == int64(0)
	query.EachCompare(q.Filter, func(c query.Compare, negated bool) {
		// What matches tasks without the field too tells nothing of it.
		without := c.Op == query.Ne || c.Op == query.Nin || c.Op == query.Exists && c.Value == false
		if nothing || without != negated {
			add(c.Field)
		}
	})
	if nothing {
		return out
	}
	shown := func(column string) bool {
		return slices.ContainsFunc(answer.Rows, func(row map[string]any) bool {
			v, ok := row[column]
			return ok && !(strings.HasPrefix(column, "count(") && v == int64(0))
		})
	}
	for _, f := range q.Projection {
		if len(q.Aggregation) > 0 && !slices.Contains(q.Groups(), f) {
			continue // it only names the aggregate's field
		}
		if !shown(f.Name) {
			add(f)
		}
	}
	for _, a := range q.Aggregation {
		if !shown(a.Column()) {
			add(a.Field)
		}
	}
	for _, k := range q.Sort {
		if k.By == query.ByMaximum || k.By == query.ByField && !shown(k.Field.Name) {
			add(k.Field)
		}
	}
	return out
}

// onlyScalars is what a filter demands of fields that every task may have: campaign, status, host, …
func onlyScalars(f query.Filter) query.Filter {
	parts := []query.Filter{f}
	if and, ok := f.(query.And); ok {
		parts = and.Parts
	}
	var kept []query.Filter
	for _, p := range parts {
		scalar := p != nil
		query.EachCompare(p, func(c query.Compare, _ bool) { scalar = scalar && c.Field.Path == "" })
		if scalar {
			kept = append(kept, p)
		}
	}
	if kept == nil {
		return nil
	}
	return query.And{Parts: kept}
}

// fieldNames are the names below each map of the tasks looked at.
type fieldNames map[string]map[string]bool

func namesIn(rows []map[string]any) fieldNames {
	names := fieldNames{}
	for _, row := range rows {
		for root, v := range row {
			m, _ := v.(map[string]any)
			leaves, ambiguous := query.Leaves(root, m)
			if names[root] == nil {
				names[root] = map[string]bool{}
			}
			for path := range leaves {
				names[root][path] = true
			}
			for path := range ambiguous {
				names[root][path] = true
			}
		}
	}
	return names
}

// have says whether there is a leaf of that name, or one below it.
func (n fieldNames) have(f query.Field) bool {
	if n[f.Root][f.Path] {
		return true
	}
	for path := range n[f.Root] {
		if strings.HasPrefix(path, f.Path+".") {
			return true
		}
	}
	return false
}

// namesShown is how many names are shown where none is like the one given.
const namesShown = 10

// instead says what may have been meant: the same name elsewhere, one spelt almost like it, or what there is.
func (n fieldNames) instead(f query.Field) string {
	roots := []string{f.Root, "used", "generated"}
	for _, root := range roots {
		if n[root][f.Path] {
			return fmt.Sprintf("; did you mean %q?", root+"."+f.Path)
		}
	}
	for _, root := range roots {
		if path := query.Nearest(f.Path, slices.Collect(maps.Keys(n[root]))); path != "" {
			return fmt.Sprintf("; did you mean %q?", root+"."+path)
		}
	}
	var there []string
	for _, path := range slices.Sorted(maps.Keys(n[f.Root])) {
		if len(there) == namesShown {
			there = append(there, "…")
			break
		}
		there = append(there, f.Root+"."+path)
	}
	if there == nil {
		return ""
	}
	return "; there is " + strings.Join(there, ", ")
}
