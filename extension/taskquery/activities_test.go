package taskquery

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func claimOn(role task.Role, entity string, at int64) task.Claim {
	return task.Claim{Role: role, Entity: entity, Evidence: "path", Confidence: 0.95, Time: at, TimeSource: "event"}
}

// imagesAndTrainings are n images, and as many trainings of which each used one; one training is of another campaign.
func imagesAndTrainings(n int) []*task.Event {
	var events []*task.Event
	for i := range n {
		entity := fmt.Sprintf("file:s:/%d", i)
		events = append(events,
			ran(fmt.Sprint("image", i), 0, 1, func(e *task.Event) {
				e.Activity, e.WorkflowName, e.Claims = "image", "scope", []task.Claim{claimOn(task.Generated, entity, 1001*second)}
			}),
			ran(fmt.Sprint("train", i), 5, 6, func(e *task.Event) {
				e.Claims = []task.Claim{claimOn(task.Used, entity, 1005*second)}
				if i == 0 {
					e.Campaign, e.Status = "c2", task.StatusFailed
				}
			}))
	}
	return events
}

func TestLineageOfActivities(t *testing.T) {
	a := start(t)
	a.stores.load(t, imagesAndTrainings(20)...)
	m := a.ok("GET", "/api/v1/lineage/activities?filter="+url.QueryEscape(`{"campaign_id":"c1"}`), "")
	activities := m["activities"].([]any)
	require.Len(t, activities, 2)
	assert.Equal(t, map[string]any{
		"campaign_id": "c1", "kind": "test", "activity_id": "image", "tasks": int64(20), "by_status": map[string]any{"FINISHED": int64(20)},
		"workflow_names": []any{"scope"},
	}, activities[0])
	links := m["links"].([]any)
	require.Len(t, links, 1)
	link := links[0].(map[string]any)
	assert.EqualValues(t, 0, link["from"])
	assert.EqualValues(t, 1, link["to"])
	assert.EqualValues(t, 19, link["links"])
	assert.EqualValues(t, 19, link["producers"])
	assert.Equal(t, map[string]any{"path": int64(19)}, link["evidence"])
	assert.EqualValues(t, 39, m["looked_at"])

	m = a.ok("GET", "/api/v1/lineage/activities?filter="+url.QueryEscape(`{"campaign_id":"c2"}`), "")
	activities = m["activities"].([]any)
	require.Len(t, activities, 2, "what made its inputs is there too")
	assert.Equal(t, true, activities[1].(map[string]any)["outside"])
	assert.Equal(t, "c1", activities[1].(map[string]any)["campaign_id"])
}

func TestLineageOfActivitiesOfASample(t *testing.T) {
	a := start(t)
	a.stores.load(t, imagesAndTrainings(500)...)
	m := a.ok("GET", "/api/v1/lineage/activities?sample=100", "")
	assert.EqualValues(t, 100, m["looked_at"])
	assert.EqualValues(t, 1000, m["total"])
	var tasks int64
	for _, x := range m["activities"].([]any) {
		tasks += x.(map[string]any)["tasks"].(int64)
	}
	assert.EqualValues(t, 1000, tasks, "tasks are counted, not sampled")
	assert.NotEmpty(t, m["links"])
	a.refused(400, "GET", "/api/v1/lineage/activities?sample=0", "")
}
