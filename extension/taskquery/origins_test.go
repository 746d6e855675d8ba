package taskquery

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func TestOrigins(t *testing.T) {
	a := start(t)
	image := fileClaim(t, task.Generated, "/data/scan.tif")
	used := fileClaim(t, task.Used, "/data/scan.tif")
	a.stores.load(
		t,
		event("scan", func(e *task.Event) {
			e.Activity, e.Used, e.Claims = "scan", map[string]any{"gain": 1.5, "axes": []any{int64(1), int64(2)}}, []task.Claim{image}
			e.StartedAt, e.EndedAt = 1e9, 2e9
		}),
		event("big", func(e *task.Event) {
			e.Name, e.Status, e.Used, e.Claims = task.EventFailed, task.StatusFailed, map[string]any{"layers": int64(9)}, []task.Claim{used}
			e.Attributes, e.StartedAt, e.EndedAt = map[string]any{"exception.type": "MemoryError"}, 3e9, 4500e6
		}),
		event("small", func(e *task.Event) {
			e.Used, e.Claims, e.StartedAt, e.EndedAt = map[string]any{"layers": int64(1)}, []task.Claim{used}, 5e9, 6e9
		}),
	)
	failed, layers := url.QueryEscape(`{"error.type": "out_of_memory"}`), url.QueryEscape(`{"used.layers": 1}`)
	found := a.ok("GET", "/api/v1/origins?filter="+failed+"&fields=started_at,elapsed&time=iso", "")
	rows := found["rows"].([]any)
	require.Len(t, rows, 1)
	row := rows[0].(map[string]any)
	assert.Equal(t, []any{"big", "out_of_memory", int64(9), "1970-01-01T00:00:03Z", 1.5}, []any{row["task_id"], row["error.type"], row["used.layers"], row["started_at"], row["elapsed"]})
	assert.Equal(t, []any{"/data/scan.tif", "/data/scan.tif", "scan", 1.5}, []any{row["dataset"], row["raw"], row["raw.task_id"], row["raw.used.gain"]})
	assert.NotContains(t, found, "contrast")

	resp, body := a.page("/api/v1/origins?format=csv&filter=" + failed)
	assert.Equal(t, "text/csv; charset=utf-8; header=present", resp.Header.Get("Content-Type"))
	lines, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 2)
	assert.Contains(t, lines[1], "[1,2]")

	found = a.ok("GET", "/api/v1/origins?filter="+failed+"&against="+layers, "")
	assert.Len(t, found["rows"], 2)
	columns := found["contrast"].(map[string]any)["columns"].([]any)
	for _, c := range columns {
		m := c.(map[string]any)
		if m["column"] == "used.layers" {
			assert.Equal(t, "2 tasks have both, fewer than 3", m["reason"])
			assert.Equal(t, map[string]any{"tasks": int64(1), "distinct": int64(1), "min": int64(9), "max": int64(9), "values": []any{int64(9)}}, m["filter"])
		}
	}

	found = a.ok("GET", "/api/v1/origins?filter="+failed+"&fields=used.layrs", "")
	assert.Contains(t, found["warnings"].([]any)[0], "used.layers")
	for path, want := range map[string]string{
		"":                                     "filter: missing",
		"filter={":                             "filter",
		"filter=" + failed + "&against=3":      "filter",
		"filter=" + failed + "&fields=nowhere": "fields",
		"filter=" + failed + "&limit=0":        "limit",
		"filter=" + failed + "&format=xml":     "format",
		"filter=" + failed + "&fitler=1":       "fitler",
	} {
		resp, body := a.page("/api/v1/origins?" + path)
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode, path)
		assert.Contains(t, body, want, path)
	}
}
