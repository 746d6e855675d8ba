package taskquery

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

var scatterParameters = []string{"campaign_id", "filter", "x", "y", "limit", "time"}

const defaultPoints = 1_000

// scatter answers GET /api/v1/correlation/scatter: the tasks behind one cell of the matrix. Of many they are those with
// the lowest ids, which are hashes: a fair sample, and the same one each time.
func (s *server) scatter(ctx context.Context, r *http.Request) (any, error) {
	v := r.URL.Query()
	q, x, y, err := scatterQuery(v)
	if err != nil {
		return nil, err
	}
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	answer, err := st.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	points := []any{}
	for _, row := range answer.Rows {
		p := map[string]any{"id": row["id"], "task_id": row["task_id"], "x": row[x.Name], "y": row[y.Name]}
		points = append(points, form.row(p, timeAxes(x, y)))
	}
	out := map[string]any{
		"x": x.Name, "y": y.Name, "points": points, "total": answer.Total, "sampled": answer.Truncated, "partial": answer.Partial,
	}
	if warnings := slices.Concat(answer.Warnings, hints(ctx, st, q, answer)); len(warnings) > 0 {
		out["warnings"] = warnings
	}
	return out, nil
}

// scatterQuery selects the tasks that have both fields.
func scatterQuery(v url.Values) (q *query.Query, x, y query.Field, err error) {
	filter, err := selection(v)
	if err != nil {
		return nil, x, y, err
	}
	q = &query.Query{Limit: defaultPoints}
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > query.MaxLimit {
			return nil, x, y, &query.Error{Field: "limit", Problem: fmt.Sprintf("%q is not a number of points; want 1 to %d", text, query.MaxLimit)}
		}
	}
	for _, name := range []string{"id", "task_id"} {
		f, err := query.LookupField("", name)
		if err != nil {
			return nil, x, y, err
		}
		q.Projection = append(q.Projection, f)
	}
	parts := []query.Filter{}
	if filter != nil {
		parts = append(parts, filter)
	}
	if x, err = axis("x", v.Get("x")); err != nil {
		return nil, x, y, err
	}
	if y, err = axis("y", v.Get("y")); err != nil {
		return nil, x, y, err
	}
	for _, f := range []query.Field{x, y} {
		parts = append(parts, query.Compare{Field: f, Op: query.Exists, Value: true})
	}
	q.Projection = append(q.Projection, x, y)
	q.Filter = query.And{Parts: parts}
	return q, x, y, nil
}

func axis(at, name string) (query.Field, error) {
	if name == "" {
		return query.Field{}, &query.Error{Field: at, Problem: "missing; want a field such as used.layers or elapsed"}
	}
	f, err := query.LookupField(at, name)
	if err == nil && f.Type == query.Object {
		err = &query.Error{Field: at, Problem: fmt.Sprintf("%q is not one field; want one such as used.layers or elapsed", name)}
	}
	return f, err
}

func timeAxes(x, y query.Field) []string {
	var out []string
	if x.Type == query.Time {
		out = append(out, "x")
	}
	if y.Type == query.Time {
		out = append(out, "y")
	}
	return out
}
