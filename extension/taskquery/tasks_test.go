package taskquery

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const image = "file:lab/lattice.npz"

func claim(role task.Role, at int64) task.Claim {
	return task.Claim{Role: role, Entity: image, Time: at, Evidence: "path", Confidence: 0.95, Field: "used.image", Label: "lattice.npz"}
}

func TestTaskWithUpstream(t *testing.T) {
	a := start(t)
	skewed := event("skewed", func(e *task.Event) { e.StartedAt, e.EndedAt = 110e9, 109e9 })
	made := event("acquire", func(e *task.Event) { e.Claims = []task.Claim{claim(task.Generated, 101e9)} })
	used := event("train", func(e *task.Event) {
		e.StartedAt, e.EndedAt = 110e9, 120e9
		e.Claims = []task.Claim{claim(task.Used, 110e9)}
		e.Environment = "unknown yet"
	})
	a.stores.load(t, made, used, skewed)
	for _, id := range []string{used.ID(), "train"} {
		doc := a.ok("GET", "/api/v1/tasks/"+id, "")
		assert.Equal(t, used.ID(), doc["id"])
		assert.Equal(t, 110.0, doc["started_at"])
		assert.Equal(t, 10.0, doc["elapsed"])
		assert.Equal(t, map[string]any{"digest": "unknown yet"}, doc["environment"])
		assert.Equal(t, []any{map[string]any{
			"id": made.ID(), "task_id": "acquire", "entity": image, "evidence": "path", "confidence": 0.95, "field": "used.image",
		}}, doc["upstream"])
	}
	assert.Equal(t, 0.0, a.ok("GET", "/api/v1/tasks/skewed", "")["elapsed"], "two clocks")
	e := a.refused(http.StatusNotFound, "GET", "/api/v1/tasks/trian", "")
	assert.Equal(t, `no task has the id or the task_id "trian"`, e["message"])
}

func TestAmbiguousTaskID(t *testing.T) {
	a := start(t)
	one := event("same", nil)
	two := event("same", func(e *task.Event) { e.Scope = "other" })
	a.stores.load(t, one, two)
	e := a.refused(http.StatusBadRequest, "GET", "/api/v1/tasks/same", "")
	assert.ElementsMatch(t, []any{one.ID(), two.ID()}, e["valid"])
}

func TestLineage(t *testing.T) {
	a := start(t)
	a.stores.load(t,
		event("acquire", func(e *task.Event) { e.Claims = []task.Claim{claim(task.Generated, 101e9)} }),
		event("train", func(e *task.Event) {
			e.StartedAt, e.EndedAt = 110e9, 120e9
			e.Claims = []task.Claim{claim(task.Used, 110e9)}
		}),
		event("evaluate", func(e *task.Event) {
			e.StartedAt, e.EndedAt = 130e9, 140e9
			e.Dependencies = []task.Ref{{Kind: "test", Scope: "s", Key: "train"}}
		}))
	graph := a.ok("GET", "/api/v1/lineage?id=evaluate", "")
	assert.Len(t, graph["tasks"], 3)
	assert.Len(t, graph["links"], 2)
	assert.Equal(t, false, graph["truncated"])
	graph = a.ok("GET", "/api/v1/lineage?id=evaluate&depth=1&time=iso", "")
	assert.Len(t, graph["tasks"], 2)
	link := graph["links"].([]any)[0].(map[string]any)
	assert.Equal(t, "declared", link["evidence"])
	graph = a.ok("GET", "/api/v1/lineage?id=train&direction=both", "")
	assert.Len(t, graph["tasks"], 3)
	graph = a.ok("GET", "/api/v1/lineage?id=acquire&direction=downstream&depth=1", "")
	link = graph["links"].([]any)[0].(map[string]any)
	assert.Equal(t, 101.0, link["generated_at"])
	assert.Equal(t, 110.0, link["used_at"])

	for query, field := range map[string]string{
		"": "id", "?id=train&depth=0": "depth", "?id=train&depth=all": "depth", "?id=train&direction=up": "direction", "?di=train": "di",
	} {
		e := a.refused(http.StatusBadRequest, "GET", "/api/v1/lineage"+query, "")
		assert.Equal(t, field, e["field"], query)
	}
	a.refused(http.StatusNotFound, "GET", "/api/v1/lineage?id=nosuch", "")
}

func TestOverviews(t *testing.T) {
	a := start(t)
	a.stores.load(t, event("a", nil), event("b", func(e *task.Event) {
		e.Name, e.Status, e.EndedAt = task.EventStarted, task.StatusRunning, 0
	}))
	campaign := a.ok("GET", "/api/v1/campaigns?time=iso", "")["campaigns"].([]any)[0].(map[string]any)
	assert.Equal(t, "c1", campaign["campaign_id"])
	assert.Equal(t, map[string]any{"FINISHED": int64(1), "RUNNING": int64(1)}, campaign["by_status"])
	assert.Equal(t, "1970-01-01T00:01:40.5Z", campaign["first_at"])
	workflow := a.ok("GET", "/api/v1/workflows?campaign=c1", "")["workflows"].([]any)[0].(map[string]any)
	assert.Equal(t, "search", workflow["workflow_name"])
	assert.Equal(t, int64(2), workflow["tasks"])
	assert.Empty(t, a.ok("GET", "/api/v1/workflows?campaign=c2", "")["workflows"])

	// A log whose lines have no time counts them.
	a.stores.load(t, &task.Event{Name: task.EventWorkflowStarted, Time: 3, Kind: "log", Campaign: "c2", WorkflowID: "w9", Attempt: task.NoAttempt})
	for _, list := range []string{"campaigns", "workflows"} {
		for _, row := range a.ok("GET", "/api/v1/"+list, "")[list].([]any) {
			if row := row.(map[string]any); row["campaign_id"] == "c2" {
				assert.NotContains(t, row, "first_at", list)
				assert.NotContains(t, row, "last_at", list)
			}
		}
	}
	assert.NotEmpty(t, a.ok("GET", "/api/v1/workflows?campaign=c2", "")["workflows"])
}
