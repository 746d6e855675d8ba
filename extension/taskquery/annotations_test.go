package taskquery

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func rowsOf(t *testing.T, a *api, body string) []any {
	t.Helper()
	return a.ok("POST", "/api/v1/query", body)["rows"].([]any)
}

func TestAnnotationsAddUp(t *testing.T) {
	a := start(t)
	train := event("train", func(e *task.Event) { e.Tags = []string{"from-tool", "odd"}; e.Generated = map[string]any{"loss": 0.5} })
	a.stores.load(t, train, event("other", nil))
	first := a.ok("POST", "/api/v1/annotations", `{"ids": ["train"], "note": "looks good", "tags_added": ["good"], "tags_removed": ["odd"], "by": "ada"}`)
	assert.Equal(t, int64(1), first["tasks"])
	assert.Equal(t, "stated", first["by_source"])
	a.ok("POST", "/api/v1/annotations", `{"filter": {"task_id": "train"}, "excluded": true, "why": "wrong data", "by": "bob"}`)
	a.ok("POST", "/api/v1/campaigns/c2/assign", `{"filter": {"task_id": "train"}}`)
	a.ok("POST", "/api/v1/annotations", fmt.Sprintf(`{"ids": [%q], "action": "stopped", "why": "loss rises", "via": "watch w", "tags_removed": ["good"]}`, train.ID()))

	doc := a.ok("GET", "/api/v1/tasks/train", "")
	assert.Equal(t, "c2", doc["campaign_id"], "an annotation takes no assignment back")
	assert.Equal(t, []any{"from-tool"}, doc["tags"])
	people := doc["custom"].(map[string]any)["people"].(map[string]any)
	assert.Equal(t, true, people["excluded"])
	log := people["log"].([]any)
	require.Len(t, log, 3)
	entry := log[0].(map[string]any)
	assert.Equal(t, "looks good", entry["note"])
	assert.Equal(t, "ada", entry["by"])
	assert.Equal(t, first["id"], entry["id"])
	assert.Equal(t, first["at"], entry["at"])
	assert.Equal(t, "wrong data", log[1].(map[string]any)["why"])
	last := log[2].(map[string]any)
	assert.Equal(t, "collector", last["by_source"])
	assert.Equal(t, "watch w", last["via"])

	for _, filter := range []string{
		`{"custom.people.excluded": true}`, `{"custom.people.log.action": "stopped"}`, `{"custom.people.log.by": "ada"}`,
		`{"custom.people.log.note": {"$regex": "good"}}`, `{"tags": "from-tool"}`,
	} {
		rows := rowsOf(t, a, `{"projection": ["task_id"], "filter": `+filter+`}`)
		assert.Equal(t, []any{map[string]any{"task_id": "train"}}, rows, filter)
	}
	a.ok("POST", "/api/v1/annotations", `{"ids": ["train"], "excluded": false}`)
	assert.Empty(t, rowsOf(t, a, `{"filter": {"custom.people.excluded": true}}`))
	// What the tool says later changes nothing of it.
	a.stores.load(t, event("train", func(e *task.Event) { e.Time++; e.Custom = map[string]any{"x": int64(1)} }))
	assert.Len(t, rowsOf(t, a, `{"filter": {"custom.people.log.by": "ada", "custom.x": 1}}`), 1)
}

func TestAnnotationsAtTheSameTime(t *testing.T) {
	a := start(t)
	a.stores.load(t, event("train", nil))
	var all sync.WaitGroup
	for i := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			status, m := a.send("POST", "/api/v1/annotations", fmt.Sprintf(`{"ids": ["train"], "note": "n%d"}`, i))
			assert.Equal(t, http.StatusOK, status, "%v", m)
		}()
	}
	all.Wait()
	people := a.ok("GET", "/api/v1/tasks/train", "")["custom"].(map[string]any)["people"].(map[string]any)
	assert.Len(t, people["log"], 8)
	assert.NotContains(t, people, "excluded")
}

func TestAnnotationOfACampaign(t *testing.T) {
	a := start(t)
	a.stores.load(t, event("train", nil))
	answer := a.ok("POST", "/api/v1/annotations", `{"campaign": "c1", "action": "stopped the search", "why": "it diverges", "by": "ada"}`)
	assert.Equal(t, "c1", answer["campaign_id"])
	rows := rowsOf(t, a, `{"filter": {"kind": "people", "campaign_id": "c1"}, "projection": ["user", "activity_id", "custom.people.log.why"]}`)
	require.Len(t, rows, 1)
	assert.Equal(t, map[string]any{"user": "ada", "activity_id": "annotation", "custom.people.log.why": []any{"it diverges"}}, rows[0])
}

func TestAnnotationMistakes(t *testing.T) {
	a := start(t)
	a.stores.load(t, event("train", nil))
	for body, want := range map[string]string{
		`{"ids": ["train"]}`: "nothing is said",
		`{"note": "x"}`:      "0 of ids, filter, campaign and entity are given",
		`{"ids": ["train"], "campaign": "c1", "note": "x"}`:                    "2 of ids, filter, campaign and entity are given",
		`{"ids": ["train"], "action": "stop"}`:                                 "why: missing",
		`{"ids": ["train"], "excluded": true}`:                                 "why: missing",
		`{"ids": ["train"], "excluded": "yes", "why": "x"}`:                    `excluded: "yes" is neither`,
		`{"ids": ["train"], "note": " "}`:                                      "note: empty",
		`{"ids": ["train"], "note": 3}`:                                        "note: 3 is no text",
		`{"ids": ["train"], "note": "` + strings.Repeat("x", maxNote+1) + `"}`: "note: 4097 bytes; at most 4096 are kept",
		`{"ids": ["train"], "tags_added": "x"}`:                                "tags_added: want a list of 1 to 50 texts",
		`{"ids": ["train"], "tags_added": ["a\nb"]}`:                           "tags_added[0]: it holds control characters",
		`{"ids": [], "note": "x"}`:                                             "ids: want a list of 1 to 1000 texts",
		`{"filter": {}, "note": "x"}`:                                          "filter: want an object with a condition",
		`{"filter": {"statsu": 1}, "note": "x"}`:                               `unknown field "statsu"`,
		`{"ids": ["train"], "notes": "x"}`:                                     "notes: unknown key",
	} {
		assert.Contains(t, a.refused(http.StatusBadRequest, "POST", "/api/v1/annotations", body)["message"], want, body)
	}
	for _, body := range []string{
		`{"ids": ["trian"], "note": "x"}`, `{"filter": {"task_id": "none"}, "note": "x"}`, `{"campaign": "c9", "note": "x"}`,
	} {
		a.refused(http.StatusNotFound, "POST", "/api/v1/annotations", body)
	}
	assert.NotContains(t, a.ok("GET", "/api/v1/tasks/train", ""), "custom", "what was refused wrote nothing")
}

func TestAnnotationsTravelAndMerge(t *testing.T) {
	here, there := start(t), start(t)
	for _, a := range []*api{here, there} {
		a.stores.load(t, event("train", nil))
	}
	here.ok("POST", "/api/v1/annotations", `{"ids": ["train"], "note": "seen here"}`)
	here.ok("POST", "/api/v1/annotations", `{"campaign": "c1", "action": "stopped", "why": "enough"}`)
	there.ok("POST", "/api/v1/annotations", `{"ids": ["train"], "note": "seen there", "tags_added": ["x"]}`)
	snapshot, err := here.stores.store.Snapshot(t.Context())
	require.NoError(t, err)
	var parts []store.Part
	require.NoError(t, snapshot.Parts(t.Context(), "c1", func(p store.Part) error { parts = append(parts, p); return nil }))
	require.NoError(t, snapshot.Close())
	refused, err := there.stores.store.Import(t.Context(), parts)
	require.NoError(t, err)
	require.Empty(t, refused)
	assert.Len(t, rowsOf(t, there, `{"filter": {"custom.people.log.note": "seen here", "tags": "x"}}`), 1)
	assert.Len(t, rowsOf(t, there, `{"filter": {"custom.people.log.note": "seen there"}}`), 1)
	assert.Len(t, rowsOf(t, there, `{"filter": {"kind": "people", "custom.people.log.action": "stopped"}}`), 1)
}

// known is what an auth extension says of who asks.
type known struct{}

func (known) GetAttribute(name string) any {
	if name == "username" {
		return "grace"
	}
	return nil
}
func (known) GetAttributeNames() []string { return []string{"username"} }

func TestAnAuthenticatedUserIsNotTheStatedOne(t *testing.T) {
	a := annotation{id: "1", entry: map[string]any{"by": "ada"}}
	a.by(client.NewContext(t.Context(), client.Info{Auth: known{}}))
	assert.Equal(t, "grace", a.entry["by"])
	assert.Equal(t, "authenticated", a.entry["by_source"])
}
