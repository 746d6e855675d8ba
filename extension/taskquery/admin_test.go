package taskquery

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func TestAssignAfterwards(t *testing.T) {
	a := start(t)
	var events []*task.Event
	for i := range assignBatch + 10 {
		events = append(events, event(fmt.Sprint("t", i), func(e *task.Event) { e.Campaign = "" }))
	}
	events = append(events, event("other", func(e *task.Event) { e.WorkflowID, e.WorkflowName = "w2", "evaluate" }))
	a.stores.load(t, events...)
	answer := a.ok("POST", "/api/v1/campaigns/mine/assign", `{"filter": {"campaign_id": {"$exists": false}}}`)
	assert.Equal(t, int64(assignBatch+10), answer["assigned"])
	answer = a.ok("POST", "/api/v1/query", `{"filter": {"campaign_id": "mine"}, "projection": ["task_id", "custom"], "limit": 1}`)
	assert.Equal(t, int64(assignBatch+10), answer["total"])
	row := answer["rows"].([]any)[0].(map[string]any)
	assigned := row["custom"].(map[string]any)["assigned"].(map[string]any)
	assert.NotEmpty(t, assigned["by"])
	assert.Greater(t, assigned["at"], 1.7e9)

	// An observer's later word does not undo a person's.
	a.stores.load(t, event("t0", func(e *task.Event) { e.Campaign, e.Time = "by observer", 9e18 }))
	doc := a.ok("GET", "/api/v1/tasks/t0", "")
	assert.Equal(t, "mine", doc["campaign_id"])

	answer = a.ok("POST", "/api/v1/campaigns/mine/assign", `{"workflows": ["evaluate"]}`)
	assert.Equal(t, int64(1), answer["assigned"])
	answer = a.ok("POST", "/api/v1/campaigns/mine/assign", `{"workflows": ["evaluate", "search"]}`)
	assert.Equal(t, int64(0), answer["assigned"])

	for body, field := range map[string]string{
		`{}`: "filter", `{"filter": {}}`: "filter", `{"filter": 1}`: "filter", `{"workflows": "search"}`: "workflows",
		`{"workflow": ["search"]}`: "workflow", `{"workflows": [1]}`: "workflows[0]",
		`{"filter": {"statsu": 1}}`: "filter.statsu",
	} {
		e := a.refused(http.StatusBadRequest, "POST", "/api/v1/campaigns/mine/assign", body)
		assert.Equal(t, field, e["field"], body)
	}
	a.refused(http.StatusBadRequest, "POST", "/api/v1/campaigns/mine/assign", `[]`)
	a.refused(http.StatusBadRequest, "POST", "/api/v1/campaigns/%20/assign", `{"workflows": ["search"]}`)
}

func TestDelete(t *testing.T) {
	a := start(t)
	a.stores.load(t, event("a", nil), event("b", nil), event("c", func(e *task.Event) { e.Campaign = "my campaign/2" }))
	e := a.refused(http.StatusNotFound, "DELETE", "/api/v1/campaigns/c2", "")
	assert.Equal(t, "c1", e["suggestion"])
	assert.Equal(t, int64(2), a.ok("DELETE", "/api/v1/campaigns/c1", "")["deleted"])
	assert.Equal(t, int64(1), a.ok("POST", "/api/v1/query", "")["total"])
	assert.Equal(t, int64(1), a.ok("DELETE", "/api/v1/campaigns/my%20campaign%2F2", "")["deleted"])
}

func TestBackup(t *testing.T) {
	a := start(t)
	a.stores.load(t, event("a", nil))
	path := filepath.Join(t.TempDir(), "backup.db")
	assert.Equal(t, path, a.ok("POST", "/api/v1/backup", `{"path": "`+path+`"}`)["path"])
	require.FileExists(t, path)
	e := a.refused(http.StatusBadRequest, "POST", "/api/v1/backup", `{"path": "`+path+`"}`)
	assert.Contains(t, e["message"], "exists already")
	e = a.refused(http.StatusBadRequest, "POST", "/api/v1/backup", `{"path": "backup.db"}`)
	assert.Contains(t, e["message"], "not an absolute path")
	e = a.refused(http.StatusBadRequest, "POST", "/api/v1/backup", `{"path": 5}`)
	assert.Contains(t, e["message"], "path: 5 is not an absolute path")
	e = a.refused(http.StatusBadRequest, "POST", "/api/v1/backup", `{"path": "/no/such/directory/backup.db"}`)
	assert.Contains(t, e["message"], "cannot be written: no such file or directory")
	e = a.refused(http.StatusBadRequest, "POST", "/api/v1/backup", `{"paht": "x"}`)
	assert.Equal(t, "path", e["suggestion"])
}
