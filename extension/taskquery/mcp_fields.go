package taskquery

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// fieldsFirst is the order in which an assistant is shown fields: what tasks were given and made, then how they ran.
var fieldsFirst = []string{
	"used", "generated", "error", "custom", "job", "telemetry_peak", "telemetry_delta", "telemetry_start", "telemetry_end", "environment",
}

// fieldsCounted are only counted unless asked for: there are hundreds, and few questions are about them.
var fieldsCounted = []string{"environment.packages", "telemetry_coverage", "attributes"}

const maxActivities = 100

// fieldsInShort is what an assistant asks first: the activities, and the fields that questions are about.
func (s *server) fieldsInShort(ctx context.Context, r *http.Request) (any, error) {
	found, err := s.fields(ctx, r)
	if err != nil {
		return nil, err
	}
	answer := found.(map[string]any)
	below := strings.TrimSuffix(r.URL.Query().Get("below"), ".*")
	shown, counted := []any{}, map[string]any{}
	for _, f := range answer["fields"].([]any) {
		name := f.(map[string]any)["name"].(string)
		if below != "" {
			if name == below || strings.HasPrefix(name, below+".") {
				shown = append(shown, f)
			}
			continue
		}
		if i := slices.IndexFunc(fieldsCounted, func(p string) bool { return strings.HasPrefix(name, p+".") }); i >= 0 {
			n, _ := counted[fieldsCounted[i]].(int64)
			counted[fieldsCounted[i]] = n + 1
			continue
		}
		shown = append(shown, f)
	}
	slices.SortStableFunc(shown, func(a, b any) int { return fieldPlace(a) - fieldPlace(b) })
	answer["fields"] = shown
	if below != "" {
		if len(shown) == 0 {
			answer["hint"] = "no task has a field below " + below + "; without below all are listed or counted"
		}
		return answer, nil
	}
	if len(counted) > 0 {
		answer["more_fields_below"] = counted
	}
	answer["activities"], err = s.activities(ctx, r)
	return answer, err
}

func fieldPlace(f any) int {
	root, _, _ := strings.Cut(f.(map[string]any)["name"].(string), ".")
	if i := slices.Index(fieldsFirst, root); i >= 0 {
		return i
	}
	return len(fieldsFirst)
}

// activities counts the tasks that match by activity and status.
func (s *server) activities(ctx context.Context, r *http.Request) ([]any, error) {
	filter, err := filterOf(r)
	if err != nil {
		return nil, err
	}
	q, err := query.Parse(map[string]any{
		"projection": []any{"activity_id", "kind", "status", "id"}, "aggregation": []any{[]any{"count", "id"}},
		"sort": []any{[]any{"count", "descending"}}, "limit": int64(maxActivities),
	})
	if err != nil {
		return nil, err
	}
	q.Filter = filter
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	answer, err := st.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	rows := make([]any, len(answer.Rows))
	for i, row := range answer.Rows {
		rows[i] = map[string]any{"activity_id": row["activity_id"], "kind": row["kind"], "status": row["status"], "tasks": row["count"]}
	}
	return rows, nil
}

// queryWithHint says where the values are that a filter may ask for, when it found nothing.
func (s *server) queryWithHint(ctx context.Context, r *http.Request) (any, error) {
	answer, err := s.query(ctx, r)
	if m, ok := answer.(map[string]any); ok && m["total"] == int64(0) {
		m["hint"] = `No task matches. The tool "fields" lists the activities, and the values that fields have.`
	}
	return answer, err
}
