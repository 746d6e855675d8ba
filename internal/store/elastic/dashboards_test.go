package elastic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic/elastictest"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Neither Kibana nor OpenSearch Dashboards runs here. What they would ask the server is derived from the saved objects
// instead: see panel.request.

var dashboardFiles = map[string]string{elastictest.Elasticsearch: "kibana", elastictest.OpenSearch: "opensearch-dashboards"}

// panelsOf reads the objects that show data, for the indices of a store.
func panelsOf(t *testing.T, kind, prefix string) (panels []panel, timeField string) {
	t.Helper()
	text, err := os.ReadFile("../../../distributions/otelcol-mida/dashboards/" + dashboardFiles[kind] + ".ndjson")
	require.NoError(t, err)
	text = bytes.ReplaceAll(text, []byte("mida-tasks-v"), []byte(prefix+"-tasks-v")) // as docs/dashboards.md says
	patterns := map[string]string{}
	for line := range bytes.Lines(text) {
		var o struct {
			Type, ID   string
			References []struct{ Type, ID string }
			Attributes struct {
				Title, VisState, TimeFieldName string
				Columns                        []string
				Sort                           [][2]string
				Meta                           struct{ SearchSourceJSON string } `json:"kibanaSavedObjectMeta"`
			}
		}
		require.NoError(t, json.Unmarshal(line, &o))
		switch o.Type {
		case "index-pattern":
			patterns[o.ID], timeField = o.Attributes.Title, o.Attributes.TimeFieldName
			continue
		case "dashboard":
			continue
		}
		p := panel{id: o.ID, columns: o.Attributes.Columns, sort: o.Attributes.Sort}
		for _, r := range o.References {
			p.index = patterns[r.ID]
		}
		if o.Attributes.VisState != "" {
			require.NoError(t, json.Unmarshal([]byte(o.Attributes.VisState), &p.state))
		}
		if spec := p.state.Params.Spec; spec != "" {
			require.NoError(t, json.Unmarshal([]byte(spec), &p.vega))
			p.index = p.vega.Data[0].URL.Index
		}
		var source struct {
			Query struct{ Query, Language string }
		}
		require.NoError(t, json.Unmarshal([]byte(o.Attributes.Meta.SearchSourceJSON), &source))
		require.Equal(t, "kuery", source.Query.Language)
		p.kql = source.Query.Query
		panels = append(panels, p)
	}
	return panels, timeField
}

// fieldTypes are the types of all fields of the index, with the fields of fields.
func fieldTypes(t *testing.T, s *Store) map[string]string {
	t.Helper()
	var answer map[string]struct{ Mappings mappingNode }
	require.NoError(t, s.client.do(t.Context(), request{method: http.MethodGet, path: "/" + s.index(tasks) + "/_mapping"}, &answer))
	out := map[string]string{}
	var walk func(prefix string, n mappingNode)
	walk = func(prefix string, n mappingNode) {
		for _, of := range []map[string]mappingNode{n.Properties, n.Fields} {
			for name, f := range of {
				if f.Properties == nil {
					out[prefix+name] = f.Type
				}
				walk(prefix+name+".", f)
			}
		}
	}
	walk("", answer[s.index(tasks)].Mappings)
	return out
}

type mappingNode struct {
	Type               string
	Properties, Fields map[string]mappingNode
}

// fillForPanels writes what the panels show: every status, tasks without a host, an activity or a type of error, numbers,
// texts and lists as hyperparameters, and a task that is too old to be shown.
func fillForPanels(t *testing.T, s *Store, now time.Time) {
	t.Helper()
	statuses := []struct {
		name   string
		status task.Status
	}{
		{task.EventFinished, task.StatusFinished}, {task.EventFinished, task.StatusFinished}, {task.EventFailed, task.StatusFailed},
		{task.EventStarted, task.StatusRunning}, {task.EventSubmitted, task.StatusSubmitted}, {task.EventCancelled, task.StatusCancelled},
	}
	var events []*task.Event
	for i := range 90 {
		events = append(events, event(fmt.Sprintf("t%02d", i), func(e *task.Event) {
			at := now.Add(-time.Duration(i) * 37 * time.Second)
			if i == 89 {
				at = now.Add(-30 * 24 * time.Hour)
			}
			e.Time, e.StartedAt, e.EndedAt = at.UnixNano(), at.UnixNano(), at.Add(time.Duration(i)*time.Second/3).UnixNano()
			e.Name, e.Status = statuses[i%6].name, statuses[i%6].status
			switch e.Status {
			case task.StatusSubmitted:
				e.SubmittedAt, e.StartedAt, e.EndedAt = e.StartedAt, 0, 0
			case task.StatusRunning:
				e.EndedAt = 0
			case task.StatusFailed:
				e.Attributes = map[string]any{"exception.type": []string{"ValueError", "MemoryError"}[i%4/2]}
				if i%5 == 0 {
					e.Attributes = nil
				}
			}
			e.Activity = []string{"train", "test", "", "load"}[i%4]
			if i%7 > 0 {
				e.Resource = map[string]any{"host.name": fmt.Sprintf("node-%d", i%3)}
			}
			e.Used, e.Generated = map[string]any{"layers": int64(i % 5), "batch": i}, map[string]any{"loss": float64(i) / 7}
			switch i % 11 {
			case 0:
				e.Used = map[string]any{"layers": "many"}
			case 1:
				e.Used["layers"] = []any{int64(1), int64(2)}
			case 2:
				e.Used, e.Generated = nil, nil
			}
		}))
	}
	write(t, s, events...)
	require.NoError(t, s.refresh(t.Context(), s.index(tasks)))
}

// What each panel shows is what the API answers.
func TestPanelsShowTheAPIsAnswers(t *testing.T) {
	for _, kind := range elastictest.Kinds {
		t.Run(kind, func(t *testing.T) {
			s, o := fresh(t, Options{Endpoints: []string{servers.URL(t, kind)}})
			now := time.Now().Truncate(time.Second)
			fillForPanels(t, s, now)
			from := now.Add(-7 * 24 * time.Hour)
			panels, timeField := panelsOf(t, kind, o.IndexPrefix)
			require.Len(t, panels, 7)
			for _, p := range panels {
				t.Run(p.id, func(t *testing.T) {
					require.NoError(t, p.check(fieldTypes(t, s), timeField))
					switch {
					case p.columns != nil:
						body := fmt.Sprintf(`{"filter": {"$and": [%s, %s]}, "projection": %s, "sort": [["started_at", "descending"]]}`,
							p.filter(t), since(from, now), toJSON(t, p.columns))
						requireSame(t, apiRows(t, s, body), searchRows(t, s, p.index, p.request(t, timeField, from)), true)
					case p.vega.Data != nil:
						x, y := p.vega.Signals[0].Value, p.vega.Signals[1].Value
						body := fmt.Sprintf(`{"filter": %s, "projection": ["task_id", "activity_id", %q, %q], "limit": 1000}`, since(from, now), x, y)
						var want []map[string]any
						for _, r := range apiRows(t, s, body) {
							if isNumber(r[x]) && isNumber(r[y]) {
								want = append(want, r)
							}
						}
						requireSame(t, want, p.points(t, s, timeField, from), false)
					default:
						requireSame(t, p.ask(t, s, from, now), searchRows(t, s, p.index, p.request(t, timeField, from)), false)
					}
				})
			}
		})
	}
}

// The check above says no: a field that is misspelt, or not of the kind that the panel needs.
func TestWrongFieldsOfPanelsAreFound(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, o := fresh(t, o)
		fillForPanels(t, s, time.Now())
		types := fieldTypes(t, s)
		for kind := range dashboardFiles {
			panels, timeField := panelsOf(t, kind, o.IndexPrefix)
			for _, p := range panels {
				uses := p.uses(timeField)
				require.NotEmpty(t, uses)
				for _, u := range uses {
					without := maps.Clone(types)
					for name := range types {
						if root, all := strings.CutSuffix(u.field, ".*"); name == u.field || all && (name == root || strings.HasPrefix(name, root+".")) {
							delete(without, name)
						}
					}
					require.ErrorContains(t, p.check(without, timeField), fmt.Sprintf("%s: no field %q", p.id, u.field))
					if _, one := types[u.field]; one {
						without[u.field] = "object"
						require.ErrorContains(t, p.check(without, timeField), fmt.Sprintf("%s: field %q is of type object", p.id, u.field))
					}
				}
				require.NoError(t, p.check(types, timeField))
			}
		}
	})
}

func isNumber(v any) bool {
	_, ok := v.(float64)
	return ok
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}
