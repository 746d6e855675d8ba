package taskquery

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// uses gives a task telemetry: metrics and whose they are.
func uses(e *task.Event, delta map[string]any, coverage map[string]any) *task.Event {
	e.TelemetryDelta, e.TelemetryCoverage = delta, coverage
	return e
}

func after(keys ...string) func(*task.Event) {
	return func(e *task.Event) {
		for _, key := range keys {
			e.Dependencies = append(e.Dependencies, task.Ref{Kind: "test", Scope: "s", Key: key})
		}
	}
}

// trial is a task that makes a number to compare.
func trial(key string, change func(*task.Event)) *task.Event {
	return uses(event(key, func(e *task.Event) {
		e.Generated = map[string]any{"loss": 0.5}
		after("acquire")(e)
		if change != nil {
			change(e)
		}
	}), map[string]any{"process.cpu.time": 36.0, "task.energy": 100.0, "task.energy.cpu": 40.0, "task.energy.gpu": 60.0, "task.co2e": 2.0, "task.gpu.time": 72.0},
		map[string]any{"process.cpu.time": "exclusive", "task.energy.cpu": "cpu_share, exclusive", "task.energy.gpu": "gpu_exclusive, exclusive", "task.gpu.time": "exclusive"})
}

func TestWhatAResultCost(t *testing.T) {
	a := start(t)
	prepared := func(e *task.Event) { e.Activity = "acquire" }
	a.stores.load(t,
		uses(event("acquire", prepared), map[string]any{"process.cpu.time": 72.0, "task.energy.cpu": 30.0, "task.energy": 30.0},
			map[string]any{"process.cpu.time": "shared_by=2", "task.energy.cpu": "cpu_share, shared_by=2"}),
		trial("best", nil),
		trial("worse", nil),
		trial("failed", func(e *task.Event) {
			e.Name, e.Status, e.Generated = task.EventFailed, task.StatusFailed, nil
		}),
		trial("runs", func(e *task.Event) { e.Name, e.Status, e.EndedAt = task.EventStarted, task.StatusRunning, 0 }),
		trial("other measure", func(e *task.Event) { e.Generated = map[string]any{"epochs": int64(3)} }),
		trial("used elsewhere", nil),
		trial("goes on", after("best")),
		trial("other sweep", func(e *task.Event) {
			parent := task.Ref{Kind: "test", Scope: "s", Key: "sweep"}
			e.Parent = &parent
		}),
		trial("other workflow", func(e *task.Event) { e.WorkflowID = "w2" }),
		event("paper", func(e *task.Event) { e.Activity = "plot"; after("used elsewhere")(e) }),
		event("compare", func(e *task.Event) { e.Activity = "compare"; after("best", "worse")(e) }),
		event("model", func(e *task.Event) { e.Activity = "export"; after("best")(e) }))

	cost := a.ok("GET", "/api/v1/lineage?id=model&depth=1&cost=true", "")["cost"].(map[string]any)
	assert.Equal(t, map[string]any{
		"tasks": int64(3), "without_energy": int64(1), "without_co2e": int64(2), "without_cpu_time": int64(1), "with_gpu": int64(1),
		"shared": int64(1), "earlier_attempts": int64(0),
		"energy_joules": 115.0, "co2e_grams": 2.0, "cpu_hours": 0.02, "gpu_hours": 0.02,
	}, cost["lineage"], "all that it came from, though only one step is drawn; what two tasks share counts half")
	trials := cost["discarded_trials"].(map[string]any)
	assert.Equal(t, map[string]any{"train": int64(2)}, trials["by_activity"], "worse and failed")
	assert.InDelta(t, 200, trials["energy_joules"], 1e-9)
	total := cost["total"].(map[string]any)
	assert.Equal(t, int64(5), total["tasks"])
	assert.InDelta(t, 315, total["energy_joules"], 1e-9)
	assert.InDelta(t, 0.06, total["gpu_hours"], 1e-9)
	assert.Equal(t, false, cost["truncated"])

	assert.NotContains(t, a.ok("GET", "/api/v1/lineage?id=model", ""), "cost")
	paper := a.ok("GET", "/api/v1/lineage?id=compare&cost=true", "")["cost"].(map[string]any)
	assert.Equal(t, int64(4), paper["lineage"].(map[string]any)["tasks"])
	e := a.refused(http.StatusBadRequest, "GET", "/api/v1/lineage?id=model&cost=yes", "")
	assert.Equal(t, "cost", e["field"])
}

// What nobody measured is unknown, not zero; attempts that are not counted are said.
func TestCostOfWhatIsUnknown(t *testing.T) {
	a := start(t)
	a.stores.load(t,
		event("x", func(e *task.Event) { e.Attempt, e.Name, e.Status = 1, task.EventFailed, task.StatusFailed }),
		uses(event("x", func(e *task.Event) { e.Attempt, e.Time = 2, 3e9 }),
			map[string]any{"system.disk.io.read": int64(5)}, map[string]any{"system.disk.io.read": "host"}))
	sum := a.ok("GET", "/api/v1/lineage?id=x&cost=true", "")["cost"].(map[string]any)["total"].(map[string]any)
	require.NotContains(t, sum, "energy_joules")
	assert.NotContains(t, sum, "cpu_hours")
	assert.Equal(t, []any{int64(1), int64(1), int64(1)}, []any{sum["without_energy"], sum["without_cpu_time"], sum["earlier_attempts"]})
}
