package taskquery

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// A field that no task has is no mistake, but an answer that shows nothing of it says so, with the name that was meant.
func TestFieldsThatNoTaskHas(t *testing.T) {
	a := start(t)
	for i := range 3 {
		a.stores.load(t, event(fmt.Sprint("t", i), func(e *task.Event) {
			e.Used = map[string]any{"layers": int64(i), "cfg": map[string]any{"depth": int64(2)}}
			e.Generated = map[string]any{"loss": 0.5}
		}))
	}
	a.stores.load(t, event("other", func(e *task.Event) { e.Campaign, e.Used = "c2", map[string]any{"angle": 1.5} }))
	const meant = `used.layrs: no task has this field; did you mean "used.layers"?`
	for body, want := range map[string]any{
		`{"filter": {"used.layrs": 2}}`:                                                            []any{meant},
		`{"filter": {"used.layrs": {"$ne": 2}}}`:                                                   []any{meant},
		`{"filter": {"$nor": [{"used.layrs": 2}]}}`:                                                []any{meant},
		`{"filter": {"used.layrs": {"$exists": false}}}`:                                           []any{meant},
		`{"projection": ["task_id", "used.layrs"]}`:                                                []any{meant},
		`{"sort": ["used.layrs"]}`:                                                                 []any{meant},
		`{"projection": ["used.layrs"], "aggregation": [["count", "id"]]}`:                         []any{meant},
		`{"aggregation": [["count", "used.layrs"]]}`:                                               []any{meant},
		`{"filter": {"used.los": 1}}`:                                                              []any{`used.los: no task has this field; did you mean "generated.loss"?`},
		`{"aggregation": [["min", "used.loss"]]}`:                                                  []any{`used.loss: no task has this field; did you mean "generated.loss"?`},
		`{"filter": {"used.unheard_of": 1}}`:                                                       []any{"used.unheard_of: no task has this field; there is used.angle, used.cfg.depth, used.depth, used.layers"},
		`{"filter": {"job.id": "1"}}`:                                                              []any{"job.id: no task has this field"},
		`{"filter": {"campaign_id": "c1", "used.angle": 1.5}}`:                                     []any{"used.angle: none of the tasks that the rest of the filter selects has this field; there is used.cfg.depth, used.depth, used.layers"},
		`{"aggregation": [["min", "generated.los"]], "filter": {"campaign_id": "c1"}, "limit": 1}`: []any{`generated.los: none of the tasks that the rest of the filter selects has this field; did you mean "generated.loss"?`},
		// What tasks have is no matter for a hint, nor is a filter that selects nothing by other fields.
		`{"filter": {"used.layers": 77}}`:                                      nil,
		`{"filter": {"used.cfg": {"$exists": true}}}`:                          nil,
		`{"filter": {"used.depth": 2}, "projection": ["used.depth"]}`:          nil,
		`{"filter": {"campaign_id": "nosuch", "used.layrs": 2}}`:               nil,
		`{"projection": ["generated.loss"], "limit": 4, "sort": ["used.cfg"]}`: nil,
		`{"aggregation": [["count", "used.layers"], ["max", "used.layers"]]}`:  nil,
		`{"projection": ["used"]}`:                                             nil,
		// Nobody said anything yet; what a person may say is a name all the same, and a misspelt one is none.
		`{"projection": ["task_id", "custom.people.excluded"]}`: nil,
		`{"filter": {"custom.people.excluded": true}}`:          nil,
		`{"filter": {"custom.people.exluded": true}}`:           []any{"custom.people.exluded: no task has this field"},
	} {
		assert.Equal(t, want, a.ok("POST", "/api/v1/query", body)["warnings"], body)
	}
	q, err := query.ParseJSON([]byte(`{"aggregation": [["count", "used.layrs"]]}`))
	require.NoError(t, err)
	answer := a.ok("POST", "/api/v1/query", `{"aggregation": [["count", "used.layrs"]], "cursor": "`+q.CursorAt(5)+`"}`)
	assert.Empty(t, answer["rows"])
	assert.NotContains(t, answer, "warnings", "said with the first page")
	for i := range hintSample {
		a.stores.load(t, event(fmt.Sprint("more", i), func(e *task.Event) { e.Used = map[string]any{"layers": int64(1)} }))
	}
	assert.Equal(t, []any{`used.layrs: none of the 200 tasks looked at has this field; did you mean "used.layers"?`},
		a.ok("POST", "/api/v1/query", `{"filter": {"used.layrs": 2}}`)["warnings"])
}
