package taskquery

import (
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// query answers POST /api/v1/query.
func (s *server) query(ctx context.Context, r *http.Request) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	q, err := query.ParseJSON(body)
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
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	rows, err := show(ctx, st, q, answer, form)
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"rows": rows, "total": answer.Total, "truncated": answer.Truncated, "partial": answer.Partial,
	}
	if answer.NextCursor != "" {
		out["next_cursor"] = answer.NextCursor
		out["live"] = answer.Live
	}
	if warnings := slices.Concat(answer.Warnings, hints(ctx, st, q, answer)); len(warnings) > 0 {
		out["warnings"] = warnings
	}
	return out, nil
}

// show brings rows into the form of the API.
func show(ctx context.Context, st store.Reader, q *query.Query, answer *query.Answer, form clock) ([]any, error) {
	rows := make([]any, len(answer.Rows))
	if len(q.Projection) > 0 || len(q.Aggregation) > 0 {
		times := timeColumns(q)
		for i, row := range answer.Rows {
			rows[i] = form.row(row, times)
		}
		return rows, nil
	}
	environments, err := environmentsOf(ctx, st, answer.Rows)
	if err != nil {
		return nil, err
	}
	for i, doc := range answer.Rows {
		rows[i] = form.document(doc, environments)
	}
	return rows, nil
}

// environmentsOf reads the environment records that documents name.
func environmentsOf(ctx context.Context, st store.Reader, docs []map[string]any) (map[string]map[string]any, error) {
	seen := map[string]bool{}
	var digests []string
	for _, doc := range docs {
		if d, ok := doc["environment"].(string); ok && !seen[d] {
			seen[d] = true
			digests = append(digests, d)
		}
	}
	if len(digests) == 0 {
		return nil, nil
	}
	return st.Environments(ctx, digests)
}
