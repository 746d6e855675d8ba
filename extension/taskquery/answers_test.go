package taskquery

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Every answer has the form that the description for programs says: no key that it does not know, none missing.
func TestAnswersAreAsDescribed(t *testing.T) {
	a := start(t)
	loadEverything(a)
	v, err := task.DecodeJSON(openAPIDocument)
	require.NoError(t, err)
	d := description{t, v.(map[string]any)}
	backup := filepath.Join(t.TempDir(), "b.db")
	for _, c := range []struct {
		method, path, query, body string
		status                    int
	}{
		{"GET", "/healthz", "", "", http.StatusOK},
		{"POST", "/api/v1/query", "", `{"limit": 1}`, http.StatusOK},
		{"POST", "/api/v1/query", "?time=iso", `{"aggregation": [["min", "generated.x"], ["max", "ended_at"]]}`, http.StatusOK},
		{"POST", "/api/v1/query", "", `{"filter": {"statsu": 1}}`, http.StatusBadRequest},
		{"GET", "/api/v1/tasks/train", "", "", http.StatusOK},
		{"GET", "/api/v1/tasks/train", "?time=iso", "", http.StatusOK},
		{"GET", "/api/v1/tasks/nosuch", "", "", http.StatusNotFound},
		{"GET", "/api/v1/lineage", "?id=train&direction=both", "", http.StatusOK},
		{"GET", "/api/v1/lineage", "?id=train&time=iso", "", http.StatusOK},
		{"GET", "/api/v1/lineage", "?id=train&cost=true", "", http.StatusOK},
		{"GET", "/api/v1/report", "?metric=generated.x", "", http.StatusOK},
		{"GET", "/api/v1/report", "?metric=generated.nothing&time=iso", "", http.StatusOK},
		{"GET", "/api/v1/report", "?metric=loss", "", http.StatusBadRequest},
		{"GET", "/api/v1/campaigns", "?time=iso", "", http.StatusOK},
		{"GET", "/api/v1/workflows", "", "", http.StatusOK},
		{"GET", "/api/v1/completeness", "?time=iso", "", http.StatusOK},
		{"GET", "/api/v1/completeness", "?cmpaign=c1", "", http.StatusBadRequest},
		{"GET", "/api/v1/correlation", "?x=used.*,attempt&y=generated.*,elapsed,ended_at", "", http.StatusOK},
		{"GET", "/api/v1/correlation", "?method=kendall", "", http.StatusBadRequest},
		{"GET", "/api/v1/correlation/scatter", "?x=generated.x&y=ended_at&time=iso", "", http.StatusOK},
		{"GET", "/api/v1/correlation/scatter", "?x=generated.x", "", http.StatusBadRequest},
		{"POST", "/api/v1/backup", "", `{"path": "` + backup + `"}`, http.StatusOK},
		{"POST", "/api/v1/campaigns/c2/assign", "", `{"workflows": ["search"]}`, http.StatusOK},
		{"DELETE", "/api/v1/campaigns/c3", "", "", http.StatusNotFound},
		{"DELETE", "/api/v1/campaigns/c2", "", "", http.StatusOK},
	} {
		name := fmt.Sprintf("%s %s%s %d", c.method, c.path, c.query, c.status)
		status, answer := a.send(c.method, c.path+c.query, c.body)
		require.Equal(t, c.status, status, "%s: %v", name, answer)
		d.conforms(name, d.answer(c.method, c.path, status), answer)
		if strings.HasPrefix(c.path, "/api/v1/query") && status == http.StatusOK && !strings.Contains(c.body, "aggregation") {
			schemas := d.document["components"].(map[string]any)["schemas"].(map[string]any)
			d.conforms(name, schemas["Task"].(map[string]any), answer["rows"].([]any)[0])
		}
	}
}

// loadEverything loads tasks with every field that the API shows.
func loadEverything(a *api) {
	a.stores.load(a.t,
		&task.Event{
			Name: task.EventEnvironment, Time: 1, Kind: "test", Attempt: task.NoAttempt, Environment: "d1",
			Record: map[string]any{"python": "3.11"},
		},
		event("acquire", func(e *task.Event) { e.Claims = []task.Claim{claim(task.Generated, 101e9)} }),
		event("train", func(e *task.Event) {
			e.Name, e.Status, e.Attempt = task.EventFailed, task.StatusFailed, 1
			e.Attributes["exception.type"] = "E"
		}),
		event("train", func(e *task.Event) {
			e.Attempt, e.Time, e.ObserverID, e.Seq = 2, 2e9, "o", 1
			e.SubmittedAt, e.StartedAt, e.EndedAt = 109e9, 110e9, 120e9
			e.Claims = []task.Claim{claim(task.Used, 0)}
			e.Environment, e.Execution, e.WorkflowParentID, e.Stdout, e.Stderr = "d1", "x", "w0", "out", "err"
			e.Used, e.Generated, e.Custom = map[string]any{"image": "x"}, map[string]any{"x": 1.5}, map[string]any{"a": int64(1)}
			e.TelemetryStart, e.TelemetryEnd = map[string]any{"m": int64(1)}, map[string]any{"m": int64(2)}
			e.TelemetryPeak, e.Tags = map[string]any{"m": int64(3)}, []string{"good"}
			parent := task.Ref{Kind: "test", Scope: "s", Key: "round"}
			e.Parent, e.Dependencies, e.Refs = &parent, []task.Ref{{Kind: "test", Scope: "s", Key: "acquire"}}, map[string]string{"image": "acquire"}
			for k, v := range map[string]any{
				"user.name": "ada", task.AttrSite: "lab", task.AttrJobPrefix + "id": "7", "exception.type": "E", "thread.id": int64(3),
			} {
				e.Attributes[k] = v
			}
		}),
		&task.Event{
			Name: task.EventCheckpoint, Time: 200e9, Kind: "test", Attempt: task.NoAttempt, Campaign: "c1", ObserverID: "o",
			Record:   map[string]any{"last_seq": int64(3), "dropped": []any{[]any{int64(2), int64(2), "queue full"}}, "final": true},
			Resource: map[string]any{"host.name": "node-1"},
		})
}

type description struct {
	t        *testing.T
	document map[string]any
}

// answer is the schema of an answer.
func (d description) answer(method, path string, status int) map[string]any {
	d.t.Helper()
	for pattern, item := range d.document["paths"].(map[string]any) {
		op, ok := item.(map[string]any)[strings.ToLower(method)].(map[string]any)
		if fits, err := filepath.Match(strings.ReplaceAll(pattern, "{id}", "*"), path); !ok || !fits || err != nil {
			continue
		}
		response, ok := op["responses"].(map[string]any)[fmt.Sprint(status)].(map[string]any)
		require.True(d.t, ok, "%s %s does not describe %d", method, pattern, status)
		content := response["content"].(map[string]any)["application/json"].(map[string]any)
		return content["schema"].(map[string]any)
	}
	d.t.Fatalf("%s %s is not described", method, path)
	return nil
}

func (d description) conforms(at string, schema map[string]any, v any) {
	d.t.Helper()
	if problem := d.check(at, schema, v); problem != "" {
		assert.Fail(d.t, problem)
	}
}

// check returns what is wrong with a value, or "".
func (d description) check(at string, schema map[string]any, v any) string {
	schema = resolve(d.t, d.document, schema)
	if choices, ok := schema["oneOf"].([]any); ok {
		fits := slices.ContainsFunc(choices, func(c any) bool { return d.check(at, c.(map[string]any), v) == "" })
		if !fits {
			return fmt.Sprintf("%s: %v is none of what it may be", at, v)
		}
		return ""
	}
	if values, ok := schema["enum"].([]any); ok && !slices.Contains(values, v) {
		return fmt.Sprintf("%s: %v is none of %v", at, v, values)
	}
	ok := true
	switch schema["type"] {
	case nil:
	case "string":
		_, ok = v.(string)
	case "boolean":
		_, ok = v.(bool)
	case "integer":
		_, ok = v.(int64)
	case "number":
		_, isFloat := v.(float64)
		_, isInt := v.(int64)
		ok = isFloat || isInt
	case "array":
		list, isList := v.([]any)
		items, _ := schema["items"].(map[string]any)
		for i, e := range list {
			if problem := d.check(fmt.Sprintf("%s[%d]", at, i), items, e); problem != "" {
				return problem
			}
		}
		ok = isList
	case "object":
		return d.object(at, schema, v)
	}
	if !ok {
		return fmt.Sprintf("%s: %v is not of type %v", at, v, schema["type"])
	}
	return ""
}

func (d description) object(at string, schema map[string]any, v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s: %v is no object", at, v)
	}
	required, _ := schema["required"].([]any)
	for _, k := range required {
		if _, ok := m[k.(string)]; !ok {
			return fmt.Sprintf("%s: %v is missing", at, k)
		}
	}
	known, _ := schema["properties"].(map[string]any)
	others, open := schema["additionalProperties"].(map[string]any)
	for k, e := range m {
		s, ok := known[k].(map[string]any)
		if !ok && !open {
			return fmt.Sprintf("%s: %s is not described", at, k)
		}
		if !ok {
			s = others
		}
		if problem := d.check(at+"."+k, s, e); problem != "" {
			return problem
		}
	}
	return ""
}
