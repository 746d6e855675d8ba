package taskquery

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func TestListingOne(t *testing.T) {
	a := start(t)
	for i, loss := range []float64{0.9, 0.5, 0.1, 0.4} {
		a.stores.load(t, event(string(rune('a'+i)), func(e *task.Event) {
			e.Used = map[string]any{"layers": int64(1 + i/2)}
			e.Generated = map[string]any{"loss": loss}
		}))
	}
	answer := a.ok("POST", "/api/v1/query", `{
		"projection": ["used.layers", "generated.loss"], "aggregation": [["min", "generated.loss"]],
		"filter": {"workflow_name": "search", "status": "FINISHED"}, "sort": [["min(generated.loss)", "ascending"]], "limit": 10}`)
	assert.Equal(t, map[string]any{
		"rows": []any{
			map[string]any{"used.layers": int64(2), "min(generated.loss)": 0.1, "count": int64(2)},
			map[string]any{"used.layers": int64(1), "min(generated.loss)": 0.5, "count": int64(2)},
		},
		"total": int64(2), "truncated": false, "partial": false,
	}, answer)
}

func TestTimesAndEnvironment(t *testing.T) {
	a := start(t)
	a.stores.load(t,
		&task.Event{
			Name: task.EventEnvironment, Time: 1, Kind: "test", Attempt: task.NoAttempt, Environment: "d1",
			Record: map[string]any{"python": "3.11"},
		},
		event("a", func(e *task.Event) {
			e.Environment = "d1"
			e.Generated = map[string]any{"n": int64(1), "x": 1.0}
		}))
	row := a.ok("POST", "/api/v1/query", `{}`)["rows"].([]any)[0].(map[string]any)
	assert.Equal(t, 100.5, row["started_at"])
	assert.Equal(t, 1.0, row["elapsed"])
	assert.Equal(t, map[string]any{"python": "3.11"}, row["environment"])
	assert.Equal(t, map[string]any{"n": int64(1), "x": 1.0}, row["generated"])

	row = a.ok("POST", "/api/v1/query?time=iso", `{"projection": ["started_at", "elapsed"]}`)["rows"].([]any)[0].(map[string]any)
	assert.Equal(t, map[string]any{"started_at": "1970-01-01T00:01:40.5Z", "elapsed": 1.0}, row)

	row = a.ok("POST", "/api/v1/query", `{"aggregation": [["max", "ended_at"], ["count", "ended_at"]]}`)["rows"].([]any)[0].(map[string]any)
	assert.Equal(t, map[string]any{"max(ended_at)": 101.5, "count(ended_at)": int64(1), "count": int64(1)}, row)
}

func TestPages(t *testing.T) {
	a := start(t)
	for i := range 5 {
		a.stores.load(t, event(string(rune('a'+i)), nil))
	}
	first := a.ok("POST", "/api/v1/query", `{"projection": ["task_id"], "sort": ["task_id"], "limit": 3}`)
	assert.Equal(t, int64(5), first["total"])
	assert.Equal(t, true, first["truncated"])
	assert.Equal(t, false, first["live"])
	second := a.ok("POST", "/api/v1/query", `{"projection": ["task_id"], "sort": ["task_id"], "limit": 3, "cursor": "`+first["next_cursor"].(string)+`"}`)
	assert.Equal(t, []any{map[string]any{"task_id": "d"}, map[string]any{"task_id": "e"}}, second["rows"])
	assert.NotContains(t, second, "next_cursor")
}

func TestMistakes(t *testing.T) {
	a := start(t)
	e := a.refused(http.StatusBadRequest, "POST", "/api/v1/query", `{"filter": {"statsu": "FINISHED"}}`)
	assert.Equal(t, "filter.statsu", e["field"])
	assert.Equal(t, "status", e["suggestion"])
	assert.Contains(t, e["valid"], "used.*")
	assert.Contains(t, e["message"], `did you mean "status"?`)

	e = a.refused(http.StatusBadRequest, "POST", "/api/v1/query?tmie=iso", `{}`)
	assert.Equal(t, "time", e["suggestion"])
	e = a.refused(http.StatusBadRequest, "POST", "/api/v1/query?time=utc", `{}`)
	assert.Equal(t, []any{"seconds", "iso"}, e["valid"])
	e = a.refused(http.StatusBadRequest, "GET", "/api/v1/workflows?campaign=a&campaign=b", "")
	assert.Equal(t, "campaign: given 2 times; want it once", e["message"])
	many := strings.Repeat(`"used.x", `, 400) + `"used.y"`
	e = a.refused(http.StatusBadRequest, "POST", "/api/v1/query", `{"projection": [`+many+`]}`)
	assert.Contains(t, e["message"], "projection: 401 entries; want 400 at most")
	a.refused(http.StatusBadRequest, "POST", "/api/v1/query", "\xff{")
	e = a.refused(http.StatusMethodNotAllowed, "GET", "/api/v1/query", "")
	assert.Equal(t, []any{"POST"}, e["valid"])
	e = a.refused(http.StatusNotFound, "GET", "/api/v2/query", "")
	assert.Contains(t, e["valid"], "POST /api/v1/query")
}

func TestLargeRequest(t *testing.T) {
	a := start(t, func(c *Config) { c.MaxRequestBodySize = 100 })
	big := make([]byte, 1000)
	for i := range big {
		big[i] = ' '
	}
	e := a.refused(http.StatusRequestEntityTooLarge, "POST", "/api/v1/query", string(big))
	assert.Contains(t, e["message"], "max_request_body_size")
}

func TestTimeout(t *testing.T) {
	a := start(t, func(c *Config) { c.QueryTimeout = 1 })
	e := a.refused(http.StatusGatewayTimeout, "POST", "/api/v1/query", `{}`)
	assert.Contains(t, e["message"], "query_timeout")
}
