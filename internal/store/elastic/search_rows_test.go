package elastic

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// searchRows runs a search of the server, and gives its answer the form of the API's: a row for each innermost bucket, or
// for each hit, by the API's names of columns.
func searchRows(t *testing.T, s *Store, index string, body json.RawMessage) []map[string]any {
	t.Helper()
	var asked struct{ Aggs map[string]any }
	require.NoError(t, json.Unmarshal(body, &asked))
	var answer struct {
		Hits struct {
			Hits []struct {
				Source map[string]any `json:"_source"`
			}
		}
		Aggregations map[string]any
	}
	require.NoError(t, s.client.do(t.Context(), request{method: http.MethodPost, path: "/" + index + "/_search", body: body}, &answer))
	rows := []map[string]any{}
	if asked.Aggs != nil {
		bucketRows(asked.Aggs, answer.Aggregations, nil, &rows)
		return rows
	}
	for _, h := range answer.Hits.Hits {
		row := map[string]any{}
		flatten("", h.Source, row)
		rows = append(rows, row)
	}
	return rows
}

// missing is what a terms aggregation is told to call tasks without a value; the API leaves the column out.
const missing = "__missing__"

func bucketRows(asked, answer, outer map[string]any, rows *[]map[string]any) {
	row := map[string]any{"count": answer["doc_count"]}
	maps.Copy(row, outer)
	deeper := false
	for _, id := range sortedKeys(asked) {
		def := asked[id].(map[string]any)
		for kind, params := range def {
			if kind == "aggs" {
				continue
			}
			field := pathOf(params.(map[string]any)["field"].(string))
			got := answer[id].(map[string]any)
			if kind != "terms" && kind != "date_histogram" {
				if v := got["value"]; v != nil {
					row[kind+"("+field+")"] = v
				}
				continue
			}
			deeper = true
			for _, b := range got["buckets"].([]any) {
				bucket, inner := b.(map[string]any), map[string]any{}
				maps.Copy(inner, outer)
				if bucket["key"] != missing {
					inner[field] = bucket["key"]
				}
				subs, _ := def["aggs"].(map[string]any)
				bucketRows(subs, bucket, inner, rows)
			}
		}
	}
	if !deeper {
		*rows = append(*rows, row)
	}
}

func flatten(prefix string, from, to map[string]any) {
	for name, v := range from {
		if inner, ok := v.(map[string]any); ok {
			flatten(prefix+name+".", inner, to)
		} else {
			to[pathOf(prefix+name)] = v
		}
	}
}

// pathOf is the API's name of a field of the index.
func pathOf(field string) string { return strings.ReplaceAll(field, "/", ".") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// apiRows are the rows of the API's answer, with numbers as the server's JSON has them.
func apiRows(t *testing.T, s *Store, body string) []map[string]any {
	t.Helper()
	q, err := query.ParseJSON([]byte(body))
	require.NoError(t, err, body)
	answer, err := s.Query(t.Context(), q)
	require.NoError(t, err)
	require.False(t, answer.Truncated || answer.Partial)
	require.Empty(t, answer.Warnings)
	text, err := json.Marshal(answer.Rows)
	require.NoError(t, err)
	var rows []map[string]any
	require.NoError(t, json.Unmarshal(text, &rows))
	return rows
}

// requireSame compares rows: in their order, or whatever the order. There must be some.
func requireSame(t *testing.T, want, have []map[string]any, ordered bool) {
	t.Helper()
	require.NotEmpty(t, want)
	w, h := shown(want), shown(have)
	if !ordered {
		slices.Sort(w)
		slices.Sort(h)
	}
	require.Equal(t, w, h)
}

// shown makes rows comparable: sums of floating-point numbers differ in their last digits with the order of the tasks.
func shown(rows []map[string]any) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		var b strings.Builder
		for _, k := range sortedKeys(r) {
			if n, ok := r[k].(float64); ok {
				fmt.Fprintf(&b, "%s=%.12g ", k, n)
			} else {
				fmt.Fprintf(&b, "%s=%v ", k, r[k])
			}
		}
		out[i] = b.String()
	}
	return out
}
