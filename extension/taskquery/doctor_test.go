package taskquery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

type observing control.Report

func (o observing) Report() control.Report { return control.Report(o) }

func doctorEvent(key string, at time.Time, generated, used map[string]any, claims ...task.Claim) *task.Event {
	return &task.Event{
		Name: task.EventFinished, Time: at.UnixNano(), Kind: "script", Scope: "s", Key: key, Attempt: task.NoAttempt, Facet: "run",
		Status: task.StatusFinished, Campaign: "search", StartedAt: at.Add(-time.Second).UnixNano(), EndedAt: at.UnixNano(),
		Generated: generated, Used: used, Claims: claims,
	}
}

func TestDoctor(t *testing.T) {
	a := start(t)
	answer := a.ok("GET", "/api/v1/doctor", "")
	assert.Empty(t, answer["observers"])
	assert.Contains(t, answer["findings"].([]any)[0].(map[string]any)["problem"], "nothing is observed")

	leave := a.server.Join(observing{ID: "tasklog", Kind: "tasklog", Campaign: "search", Parts: []control.Part{
		{
			What: "/logs/a.log", State: control.Reached, Saw: []control.Count{{What: "entries", N: 5}}, Dropped: []control.Count{{What: "no rule", N: 1}},
			Lines: []control.Line{{Path: "/logs/a.log", Offset: 7, Text: "odd", Why: "r fits up to x"}}, Errors: []control.Error{{At: time.Unix(5, 0), Text: "oh"}},
		},
		{What: "/logs/b", State: control.Waiting, Problem: "not there"},
	}})
	a.server.Join(observing{ID: "dask", Kind: "dask", Campaign: "other", Parts: []control.Part{{What: "x", State: control.Trouble, Problem: "no"}}})
	answer = a.ok("GET", "/api/v1/doctor?campaign_id=search", "")
	require.Len(t, answer["observers"], 1, "only those of the campaign")
	o := answer["observers"].([]any)[0].(map[string]any)
	assert.Equal(t, "waiting", o["state"], "the worst of its parts")
	part := o["parts"].([]any)[0].(map[string]any)
	assert.Equal(t, "/logs/a.log", part["what"])
	assert.EqualValues(t, 5, part["saw"].(map[string]any)["entries"])
	assert.EqualValues(t, 1, part["dropped"].(map[string]any)["no rule"])
	assert.Equal(t, "odd", part["unmatched_lines"].([]any)[0].(map[string]any)["text"])
	assert.Equal(t, "oh", part["errors"].([]any)[0].(map[string]any)["error"])
	assert.Len(t, a.ok("GET", "/api/v1/doctor", "")["observers"], 2)
	leave()
	assert.Len(t, a.ok("GET", "/api/v1/doctor", "")["observers"], 1)
}

func TestDoctorFindings(t *testing.T) {
	a := start(t)
	a.server.Join(observing{ID: "dask", Kind: "dask", Campaign: "search"})
	a.stores.load(t, doctorEvent("a", time.Now().Add(3*time.Hour), nil, nil))
	find := func(path string) string {
		all := ""
		for _, f := range a.ok("GET", path, "")["findings"].([]any) {
			m := f.(map[string]any)
			all += m["about"].(string) + ": " + m["problem"].(string) + "\n"
		}
		return all
	}
	assert.Contains(t, find("/api/v1/doctor"), "campaign search: its last task is 3h0m0s ahead of this machine's clock")
	said := find("/api/v1/doctor?campaign_id=serach")
	for _, want := range []string{`no task is in the campaign "serach"; there is "search" (1 tasks)`, `did you mean "search"?`, `the observers here write to "search"`} {
		assert.Contains(t, said, want)
	}
}

func TestDoctorLink(t *testing.T) {
	a := start(t)
	now := time.Now().Add(-time.Hour)
	file := func(role task.Role, id string) task.Claim {
		return task.Claim{Role: role, Entity: id, Evidence: "path", Confidence: 0.9, Field: string(role) + ".path"}
	}
	a.stores.load(t,
		doctorEvent("a", now, map[string]any{"path": "/d/x"}, nil, file(task.Generated, "file:h:/d/x")),
		doctorEvent("b", now.Add(time.Minute), nil, map[string]any{"path": "/e/x"}, file(task.Used, "file:h:/e/x")),
		doctorEvent("c", now.Add(time.Minute), nil, map[string]any{"path": "/d/x"}, file(task.Used, "file:h:/d/x")),
	)
	answer := a.ok("GET", "/api/v1/doctor/link?from=a&to=c", "")
	assert.Equal(t, true, answer["linked"])
	assert.Len(t, answer["links"], 1)
	answer = a.ok("GET", "/api/v1/doctor/link?from=a&to=b", "")
	assert.Equal(t, false, answer["linked"])
	assert.Equal(t, []any{"file:h:/d/x"}, answer["generated"])
	assert.Equal(t, []any{"file:h:/e/x"}, answer["used"])
	assert.Equal(t, "path", answer["reasons"].([]any)[0].(map[string]any)["kind"])
	for path, want := range map[string]int{
		"/api/v1/doctor/link?from=a": 400, "/api/v1/doctor/link?from=a&to=nobody": 404, "/api/v1/doctor?campaign=x": 400,
	} {
		status, _ := a.send("GET", path, "")
		assert.Equal(t, want, status, path)
	}
}
