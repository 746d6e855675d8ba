package elastic

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var documented = regexp.MustCompile("(?s)```\nPOST mida-tasks-v1/_search\n(.*?)```")

// The queries of docs/elasticsearch.md run, and have the answers of the API.
func TestDocumentedQueries(t *testing.T) {
	text, err := os.ReadFile("../../../docs/elasticsearch.md")
	require.NoError(t, err)
	blocks := documented.FindAllSubmatch(text, -1)
	require.Len(t, blocks, 3)
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		for i := range 30 {
			write(t, s, event(string(rune('a'+i)), func(e *task.Event) {
				e.Campaign, e.Activity, e.EndedAt = "my_campaign_1", []string{"train", "test"}[i%2], int64(1000+i)
				e.Used, e.Generated = map[string]any{"layers": int64(i % 3)}, map[string]any{"loss": float64(i) / 7}
				e.Resource = map[string]any{"host.name": "node-3"}
				if i%4 == 0 {
					e.Name, e.Status = task.EventFailed, task.StatusFailed
				}
			}))
		}
		require.NoError(t, s.refresh(t.Context(), s.index(tasks)))
		type bucket struct {
			Key      any
			Count    int64 `json:"doc_count"`
			Loss     struct{ Value float64 }
			Activity struct{ Buckets []bucket }
		}
		var a [3]struct {
			Hits struct {
				Hits []struct {
					Source map[string]any `json:"_source"`
				}
			}
			Aggregations struct{ Layers, Status struct{ Buckets []bucket } }
		}
		for i, b := range blocks {
			r := request{method: http.MethodPost, path: "/" + s.index(tasks) + "/_search", body: json.RawMessage(b[1])}
			require.NoError(t, s.client.do(t.Context(), r, &a[i]))
		}
		api := func(body string) []map[string]any {
			q, err := query.ParseJSON([]byte(body))
			require.NoError(t, err)
			answer, err := s.Query(t.Context(), q)
			require.NoError(t, err)
			return answer.Rows
		}
		loss := map[float64]float64{}
		for _, b := range a[0].Aggregations.Layers.Buckets {
			loss[b.Key.(float64)] = b.Loss.Value
		}
		for _, r := range api(`{"projection": ["used.layers"], "aggregation": [["min", "generated.loss"]]}`) {
			require.Equal(t, r["min(generated.loss)"], loss[float64(r["used.layers"].(int64))])
		}
		counts := map[[2]any]int64{}
		for _, b := range a[1].Aggregations.Status.Buckets {
			for _, c := range b.Activity.Buckets {
				counts[[2]any{b.Key, c.Key}] = c.Count
			}
		}
		rows := api(`{"projection": ["status", "activity_id"], "aggregation": [["count", "id"]]}`)
		require.Len(t, counts, len(rows))
		for _, r := range rows {
			require.Equal(t, r["count"], counts[[2]any{r["status"], r["activity_id"]}])
		}
		rows = api(`{"filter": {"status": "FAILED", "host": "node-3"}, "sort": [["ended_at", "descending"]], "projection": ["task_id"]}`)
		require.Len(t, a[2].Hits.Hits, len(rows))
		for i, r := range rows {
			require.Equal(t, r["task_id"], a[2].Hits.Hits[i].Source["task_id"])
		}
	})
}
