package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// counting says whether an aggregation only counts tasks, by columns: SQLite can do that exactly, without a row for each
// task.
func counting(q *query.Query) bool {
	if len(q.Aggregation) == 0 {
		return false
	}
	plain := func(f query.Field) bool { return !encodedField(f) }
	for _, f := range q.Groups() {
		if !plain(f) {
			return false
		}
	}
	for _, a := range q.Aggregation {
		if a.Op != query.Count || !plain(a.Field) {
			return false
		}
	}
	for _, k := range q.Sort {
		if k.By == query.ByMaximum {
			return false
		}
	}
	return true
}

// count fills the groups of such an aggregation.
func (g *grouping) count(ctx context.Context, tx *sql.Tx, st *statement, names []string, pushed, rest string) error {
	groups := strings.Join(names[:g.groups], ", ")
	text := "SELECT " + strings.Join(append(names[:g.groups:g.groups], "count(*)"), ", ")
	for i := range g.q.Aggregation {
		text += ", count(CASE WHEN " + names[g.groups+i] + " THEN 1 END)"
	}
	if text += " FROM " + st.from(pushed) + whereOf(rest); groups != "" {
		text += " GROUP BY " + groups
	}
	values := make([]any, g.groups+1+len(g.q.Aggregation))
	dest := make([]any, len(values))
	for i := range values {
		dest[i] = &values[i]
	}
	return each(ctx, tx, func(r *sql.Rows) error {
		if err := r.Scan(dest...); err != nil {
			return err
		}
		gr := g.newGroup(values)
		gr.count, _ = values[g.groups].(int64)
		for i := range gr.counts {
			gr.counts[i], _ = values[g.groups+1+i].(int64)
		}
		if gr.count > 0 || g.groups > 0 {
			g.list = append(g.list, gr)
		}
		return nil
	}, text, st.args...)
}
