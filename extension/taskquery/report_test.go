package taskquery

import (
	"bytes"
	"context"
	pixels "image"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// fileClaim is the claim that the provenance processor makes of a file of this machine.
func fileClaim(t *testing.T, role task.Role, path string) task.Claim {
	t.Helper()
	info, err := entity.NewResolver().Resolve(path, "")
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	e, ok := entity.Canonical("", path, &info, entity.Where{Host: host, Site: "lab"})
	require.True(t, ok)
	return task.Claim{Role: role, Entity: e.ID, Evidence: "path", Confidence: 0.9, Field: string(role) + ".path", Label: path}
}

func (a *api) page(path string) (*http.Response, string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, a.url+path, http.NoBody)
	require.NoError(a.t, err)
	r.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	return resp, string(body)
}

func TestReportForms(t *testing.T) {
	dir := t.TempDir()
	var plot bytes.Buffer
	require.NoError(t, png.Encode(&plot, pixels.NewGray(pixels.Rect(0, 0, 3, 2))))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plot.png"), plot.Bytes(), 0o600))
	load := func(a *api) {
		a.stores.load(t, event("train", func(e *task.Event) {
			e.Used, e.Generated = map[string]any{"layers": int64(2)}, map[string]any{"loss": 0.5, "path": filepath.Join(dir, "plot.png")}
			e.Claims = []task.Claim{fileClaim(t, task.Generated, filepath.Join(dir, "plot.png"))}
		}), event("worse", func(e *task.Event) { e.Generated = map[string]any{"loss": 0.7} }))
	}
	a := start(t, func(c *Config) { c.Report.ReadFiles = []string{dir} })
	load(a)
	resp, body := a.page("/api/v1/report?metric=generated.loss&format=html")
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "sandbox")
	assert.Contains(t, body, `<img src="data:image/png;base64,`)
	resp, body = a.page("/api/v1/report?metric=generated.loss&format=markdown")
	assert.Equal(t, "text/markdown; charset=utf-8", resp.Header.Get("Content-Type"))
	assert.Contains(t, body, "(data:image/png;base64,")

	results := a.ok("GET", "/api/v1/report?metric=generated.loss", "")["results"].([]any)
	require.Len(t, results, 2)
	assert.Equal(t, "train", results[0].(map[string]any)["task"].(map[string]any)["task_id"])
	results = a.ok("GET", "/api/v1/report?metric=generated.loss&order=descending&k=1&campaign_id=c1", "")["results"].([]any)
	require.Len(t, results, 1)
	assert.Equal(t, 0.7, results[0].(map[string]any)["value"])
	filter := url.QueryEscape(`{"used.layers": 2}`)
	assert.Equal(t, int64(1), a.ok("GET", "/api/v1/report?metric=generated.loss&filter="+filter, "")["total"])

	// By default nothing is read, and the report says how to allow it.
	a = start(t)
	load(a)
	_, body = a.page("/api/v1/report?metric=generated.loss&format=html")
	assert.NotContains(t, body, "<img")
	assert.Contains(t, body, "no file may be read: extensions::taskquery::report::read_files allows none")
}

func TestReportOfNothing(t *testing.T) {
	a := start(t)
	answer := a.ok("GET", "/api/v1/report?metric=generated.loss", "")
	assert.Empty(t, answer["results"])
	a.stores.load(t, event("train", func(e *task.Event) { e.Generated = map[string]any{"loss": 0.5, "text": "low"} }))
	answer = a.ok("GET", "/api/v1/report?metric=generated.los", "")
	assert.Empty(t, answer["results"])
	assert.Contains(t, answer["warnings"].([]any)[0], `did you mean "generated.loss"?`)
	answer = a.ok("GET", "/api/v1/report?metric=generated.text", "")
	assert.Empty(t, answer["results"])
	assert.Contains(t, answer["warnings"].([]any)[0], "which is no number to rank by")
}

func TestReportMistakes(t *testing.T) {
	a := start(t)
	for q, want := range map[string]string{
		"":                                       "metric: missing; want the field by which results are ranked",
		"metric=loss":                            `metric: unknown field "loss"`,
		"metric=generated.loss&k=0":              "k: 0; want a number of results from 1 to 20",
		"metric=generated.loss&k=many":           `k: "many" is no number of results`,
		"metric=generated.loss&order=up":         `order: unknown order "up"`,
		"metric=generated.loss&format=pdf":       `format: unknown format "pdf"`,
		"metric=generated.loss&filter={":         "filter: it is not JSON",
		"metric=generated.loss&filter={\"a\":1}": `unknown field "a"`,
		"metric=generated.loss&campaign=c1":      `campaign: unknown parameter`,
		"metric=generated":                       "generated",
	} {
		e := a.refused(http.StatusBadRequest, "GET", "/api/v1/report?"+strings.ReplaceAll(strings.ReplaceAll(q, `"`, "%22"), "{", "%7B"), "")
		assert.Contains(t, e["message"], want, q)
	}
}

// made is what differs between two looks.
var made = regexp.MustCompile(`Made [-0-9: ]+ UTC`)

func TestReportSaysWhoDecided(t *testing.T) {
	a := start(t)
	a.stores.load(t, event("best", func(e *task.Event) { e.Generated = map[string]any{"loss": 0.1} }),
		event("bad", func(e *task.Event) { e.Generated = map[string]any{"text": "nan"} }))
	a.ok("POST", "/api/v1/annotations", `{"ids": ["best"], "note": "take <b>this</b>", "by": "ada"}`)
	a.ok("POST", "/api/v1/annotations", `{"filter": {"task_id": "bad"}, "excluded": true, "why": "it diverged", "by": "bob", "via": "watch diverging"}`)
	a.ok("POST", "/api/v1/annotations", `{"campaign": "c1", "action": "stopped the search", "why": "good enough", "by": "eve"}`)
	list := a.ok("GET", "/api/v1/report?metric=generated.loss", "")["decisions"].([]any)
	require.Len(t, list, 3)
	newest, middle, first := list[0].(map[string]any), list[1].(map[string]any), list[2].(map[string]any)
	assert.Equal(t, "stopped the search", newest["action"])
	assert.Equal(t, true, newest["of_campaign"])
	assert.Equal(t, "it diverged", middle["why"])
	assert.Equal(t, true, middle["excluded"])
	assert.Empty(t, middle["ranks"])
	assert.Equal(t, []any{int64(1)}, first["ranks"])
	a.stores.load(t, event("leaked", func(e *task.Event) { e.Generated = map[string]any{"loss": 0.01} }))
	a.ok("POST", "/api/v1/annotations", `{"ids": ["leaked"], "excluded": true, "why": "saw the test data"}`)
	answer := a.ok("GET", "/api/v1/report?metric=generated.loss", "")
	require.Len(t, answer["results"], 1)
	assert.Equal(t, 0.1, answer["results"].([]any)[0].(map[string]any)["value"], "what people excluded is not ranked")
	assert.Contains(t, answer["warnings"], "1 tasks that have the metric are left out: people excluded them")
	both := a.ok("GET", "/api/v1/report?metric=generated.loss&format=page", "")
	assert.Len(t, both["report"].(map[string]any)["decisions"], 4)
	_, body := a.page("/api/v1/report?metric=generated.loss&format=html")
	assert.Equal(t, made.ReplaceAllString(body, ""), made.ReplaceAllString(both["html"].(string), ""))
	assert.Contains(t, body, "take &lt;b&gt;this&lt;/b&gt;")
	assert.Contains(t, body, "bob (stated) by watch diverging")
	_, body = a.page("/api/v1/report?metric=generated.loss&format=markdown")
	assert.Contains(t, body, "What people decided")
	assert.Contains(t, body, "| excluded | it diverged | train bad |")
}
