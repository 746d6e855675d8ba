package taskquery

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const imageX = "file:site:/data/x.npz"

// chain is an image, and in another campaign a training that used it; nobody is known to have made a second file of that one.
func chain(t *testing.T, a *api) {
	t.Helper()
	claim := func(role task.Role, entity, label string, at int64) task.Claim {
		return task.Claim{Role: role, Entity: entity, Evidence: "path", Confidence: 0.95, Time: at, Label: label}
	}
	a.stores.load(t,
		event("image", func(e *task.Event) {
			e.Campaign, e.Activity = "c0", "acquire"
			e.StartedAt, e.EndedAt, e.Claims = 99_000_000_000, 100_000_000_000, []task.Claim{claim(task.Generated, imageX, "/data/x.npz", 100_000_000_000)}
		}),
		event("train", func(e *task.Event) {
			e.Generated = map[string]any{"loss": 0.5}
			e.Claims = []task.Claim{claim(task.Used, imageX, "../data/x.npz", 100_500_000_000), claim(task.Used, "file:site:/cfg.json", "cfg.json", 100_500_000_000)}
		}))
}

func said1(t *testing.T, a *api, query string) map[string]any {
	t.Helper()
	list := a.ok("GET", "/api/v1/annotations"+query, "")["annotations"].([]any)
	require.Len(t, list, 1, query)
	return list[0].(map[string]any)
}

func TestAnnotationOfAnEntity(t *testing.T) {
	a := start(t)
	chain(t, a)
	answer := a.ok("POST", "/api/v1/annotations", `{"entity": "`+imageX+`", "excluded": true, "why": "out of focus", "by": "ada"}`)
	assert.Equal(t, imageX, answer["entity"])
	assert.Equal(t, []any{"c0"}, answer["campaigns"], "that of the task that made it")
	assert.Equal(t, int64(0), answer["tasks"])
	answer = a.ok("POST", "/api/v1/annotations", `{"entity": "file:site:/cfg.json", "note": "of the old kind", "by": "bob"}`)
	assert.Equal(t, []any{"c1"}, answer["campaigns"], "nobody made it: those of the tasks that used it")

	for _, q := range []string{"?entity=" + url.QueryEscape(imageX), "?campaign_id=c0", "?id=image"} {
		one := said1(t, a, q)
		assert.Equal(t, "entity", one["of"], q)
		assert.Equal(t, imageX, one["entity"], q)
		assert.Equal(t, "/data/x.npz", one["label"], q)
		assert.Equal(t, "out of focus", one["why"], q)
		assert.Equal(t, true, one["excluded"], q)
		assert.NotContains(t, one, "tasks", q)
		assert.Equal(t, a.ok("GET", "/api/v1/tasks/image", "")["id"], one["generated_by"], q)
	}
	list := a.ok("GET", "/api/v1/annotations?id=train", "")["annotations"].([]any)
	require.Len(t, list, 2, "of all that the task used")
	assert.Equal(t, "bob", list[0].(map[string]any)["by"], "the latest first")

	report := a.ok("GET", "/api/v1/report?metric=generated.loss", "")
	require.Len(t, report["results"], 1, "what goes back to an excluded file is ranked, and said to do so")
	assert.Contains(t, report["warnings"], "result 1 goes back to /data/x.npz, which ada excluded: out of focus")
	decisions := report["decisions"].([]any)
	require.Len(t, decisions, 2)
	one := decisions[1].(map[string]any)
	assert.Equal(t, imageX, one["entity"])
	assert.Equal(t, []any{int64(1)}, one["ranks"])
	assert.Equal(t, false, one["of_campaign"])
	_, page := a.page("/api/v1/report?metric=generated.loss&format=markdown")
	assert.Contains(t, page, "| excluded | out of focus | /data/x.npz \\(in the life of result 1\\) |")

	a.ok("POST", "/api/v1/annotations", `{"entity": "`+imageX+`", "excluded": false, "note": "it was the screen"}`)
	assert.NotContains(t, a.ok("GET", "/api/v1/report?metric=generated.loss", "")["warnings"], "result 1 goes back to /data/x.npz, which ada excluded: out of focus")
}

func TestReportOfWhatGoesBackToAnExcludedTask(t *testing.T) {
	a := start(t)
	chain(t, a)
	image := a.ok("GET", "/api/v1/tasks/image", "")["id"].(string)
	warnings := func() string {
		return fmt.Sprint(a.ok("GET", "/api/v1/report?metric=generated.loss", "")["warnings"])
	}
	assert.NotContains(t, warnings(), "goes back to")
	a.ok("POST", "/api/v1/annotations", `{"ids": ["`+image+`"], "excluded": true, "why": "the stage moved", "by": "ada"}`)
	assert.Regexp(t, `result 1 goes back to \S* ?image, which ada excluded: the stage moved`, warnings())
	a.ok("POST", "/api/v1/annotations", `{"ids": ["`+image+`"], "excluded": false, "by": "bob"}`)
	assert.NotContains(t, warnings(), "goes back to")
}

func TestAnnotationsAreListed(t *testing.T) {
	a := start(t)
	chain(t, a)
	assert.Equal(t, map[string]any{"annotations": []any{}, "total": int64(0), "truncated": false}, a.ok("GET", "/api/v1/annotations", ""))
	a.ok("POST", "/api/v1/annotations", `{"filter": {"task_id": {"$in": ["image", "train"]}}, "note": "both", "tags_added": ["seen"], "via": "watch w"}`)
	a.ok("POST", "/api/v1/annotations", `{"campaign": "c1", "action": "stopped", "why": "enough"}`)
	list := a.ok("GET", "/api/v1/annotations", "")["annotations"].([]any)
	require.Len(t, list, 2)
	campaign, both := list[0].(map[string]any), list[1].(map[string]any)
	assert.Equal(t, "campaign", campaign["of"])
	assert.Equal(t, []any{"c1"}, campaign["campaigns"])
	assert.Equal(t, "tasks", both["of"])
	assert.ElementsMatch(t, []any{"c0", "c1"}, both["campaigns"])
	assert.Equal(t, int64(2), both["tasks_total"])
	assert.Equal(t, []any{"seen"}, both["tags_added"])
	assert.Equal(t, "watch w", both["via"])
	one := said1(t, a, "?campaign_id=c0")
	assert.Equal(t, both["id"], one["id"])
	assert.Equal(t, "image", one["tasks"].([]any)[0].(map[string]any)["task_id"])
	assert.Equal(t, campaign["id"], said1(t, a, "?tasks=false")["id"], "what was said of single tasks is left out")
	cut := a.ok("GET", "/api/v1/annotations?limit=1&time=iso", "")
	assert.Equal(t, true, cut["truncated"])
	assert.Equal(t, int64(2), cut["total"])
	assert.IsType(t, "", cut["annotations"].([]any)[0].(map[string]any)["at"])
}

func TestAnnotationListMistakes(t *testing.T) {
	a := start(t)
	chain(t, a)
	for q, want := range map[string]string{
		"tasks=maybe": "tasks", "limit=0": `limit: "0"; want a number from 1 to 1000`, "limit=many": "limit:", "id=image&entity=x": "entity: given together with id",
		"id=image&id=train": "id: given 2 times", "campaign=c0": "campaign: unknown parameter",
	} {
		assert.Contains(t, a.refused(http.StatusBadRequest, "GET", "/api/v1/annotations?"+q, "")["message"], want, q)
	}
	a.refused(http.StatusNotFound, "GET", "/api/v1/annotations?id=none", "")
	e := a.refused(http.StatusNotFound, "POST", "/api/v1/annotations", `{"entity": "file:site:/none", "note": "x"}`)
	assert.Contains(t, e["message"], `an entity "file:site:/none"`)
	for body, want := range map[string]string{
		`{"entity": 3, "note": "x"}`:                           "entity: 3 is no text",
		`{"entity": "` + imageX + `", "excluded": true}`:       "why: missing",
		`{"entity": "x", "campaign": "c0", "note": "x"}`:       "2 of ids, filter, campaign and entity are given",
		`{"entity": "` + imageX + `", "by": "ada", "why": ""}`: "why: empty",
	} {
		assert.Contains(t, a.refused(http.StatusBadRequest, "POST", "/api/v1/annotations", body)["message"], want, body)
	}
}
