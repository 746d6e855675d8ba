package elastic

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func event(key string, change ...func(*task.Event)) *task.Event {
	e := &task.Event{
		Name: task.EventFinished, Time: 1, Kind: "k", Scope: "s", Key: key, Attempt: task.NoAttempt, Status: task.StatusFinished,
		Campaign: "c", WorkflowID: "w", StartedAt: 1, EndedAt: 2, Used: map[string]any{"a": int64(1)},
	}
	for _, f := range change {
		f(e)
	}
	return e
}

// fresh opens a store with indices of its own.
func fresh(t testing.TB, o Options) (*Store, Options) {
	if o.IndexPrefix == "" {
		o.IndexPrefix = newPrefix()
		t.Cleanup(func() {
			deleteIndices(t, Options{Endpoints: o.Endpoints, TLS: o.TLS, Username: o.Username, Password: o.Password, IndexPrefix: o.IndexPrefix})
		})
	}
	return openStore(t, o), o
}

func write(t testing.TB, s *Store, events ...*task.Event) {
	t.Helper()
	rejected, err := s.Write(context.Background(), events)
	require.NoError(t, err)
	require.Empty(t, rejected)
}

// found returns the keys of the tasks that match a filter, given as JSON.
func found(t testing.TB, s *Store, filter string) []string {
	t.Helper()
	q, err := query.ParseJSON([]byte(`{"filter": ` + filter + `, "projection": ["task_id"], "sort": ["task_id"], "limit": 1000}`))
	require.NoError(t, err)
	a, err := s.Query(context.Background(), q)
	require.NoError(t, err)
	require.False(t, a.Partial)
	keys := []string{}
	for _, r := range a.Rows {
		keys = append(keys, r["task_id"].(string))
	}
	require.EqualValues(t, len(keys), a.Total)
	return keys
}

func TestFieldsOverTheBudgetAreKeptAndFound(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		o.FieldBudget = 3
		s, o := fresh(t, o)
		o.FieldBudget = 100 // the index remembers what it was made with
		other, _ := fresh(t, o)
		for i, name := range []string{"a", "b", "c", "d", "e", "f"} {
			of := []*Store{s, other}[i%2]
			write(t, of, event(name, func(e *task.Event) { e.Used = map[string]any{name: int64(i), "l": []any{int64(i), "x"}} }))
		}
		m, err := s.mapping(t.Context(), tasks)
		require.NoError(t, err)
		require.Len(t, m.Properties["used"].Properties, 3)
		for i, name := range []string{"a", "b", "c", "d", "e", "f"} {
			for _, of := range []*Store{s, other} {
				require.Equal(t, []string{name}, found(t, of, fmt.Sprintf(`{"used.%s": %d}`, name, i)))
				require.Equal(t, []string{name}, found(t, of, fmt.Sprintf(`{"used.%s": {"$gte": %d}, "used.l": "x"}`, name, i)))
				require.Len(t, found(t, of, fmt.Sprintf(`{"used.%s": {"$ne": %d}}`, name, i)), 5)
			}
		}
		require.Positive(t, s.Counters().FieldsSpilled+other.Counters().FieldsSpilled)
	})
}

// Somebody gave a field another type, and the server refuses some documents.
func TestWhatTheServerRefusesIsKeptInTheState(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		write(t, s)
		require.NoError(t, s.ready(t.Context()))
		body := object{"properties": object{"used": object{"properties": object{"when": object{"type": "date"}}}}}
		require.NoError(t, s.client.do(t.Context(), request{method: http.MethodPut, path: "/" + s.index(tasks) + "/_mapping", body: body}, nil))
		write(t, s, event("good"), event("bad", func(e *task.Event) { e.Used = map[string]any{"when": "hello", "n": int64(7)} }))
		require.Equal(t, []string{"bad"}, found(t, s, `{"used.when": "hello"}`))
		require.Equal(t, []string{"bad"}, found(t, s, `{"used.n": {"$gt": 6}, "campaign_id": "c"}`))
		require.Equal(t, []string{"good"}, found(t, s, `{"used.n": {"$exists": false}}`))
		write(t, s, event("bad", func(e *task.Event) { e.Time, e.Used = 2, map[string]any{"n": int64(8)} }))
		require.Equal(t, []string{"bad"}, found(t, s, `{"used.n": 8}`))
	})
}

func TestTooLargeATaskIsRejectedAlone(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		o.MaxTaskBytes = 10_000
		s, _ := fresh(t, o)
		big := event("big", func(e *task.Event) { e.Used = map[string]any{"text": strings.Repeat("x", 20_000)} })
		list := []*task.Event{event("1"), big, event("2")}
		for i, e := range list {
			e.ObserverID, e.Seq = "o", int64(i+1)
		}
		rejected, err := s.Write(t.Context(), list)
		require.NoError(t, err)
		require.Len(t, rejected, 1)
		require.Same(t, big, rejected[0].Event)
		require.ErrorContains(t, rejected[0].Err, "max_task_bytes is 10000")
		c, err := s.Checkpoints(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, [][2]int64{{2, 2}}, c[0].Gaps, "what is rejected has not arrived")
		require.Equal(t, []string{"1", "2"}, found(t, s, `{}`))
	})
}

func TestSeveralProcessesOnOneTaskLoseNothing(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		first, o := fresh(t, o)
		stores := []*Store{first}
		for range 3 {
			s, _ := fresh(t, o)
			stores = append(stores, s)
		}
		const writers, facets = 8, 10
		var wg sync.WaitGroup
		for w := range writers {
			s := stores[w%len(stores)]
			wg.Go(func() {
				for i := range facets {
					rejected, err := s.Write(context.Background(), []*task.Event{event("x", func(e *task.Event) {
						e.Facet, e.Time = fmt.Sprintf("%d-%d", w, i), int64(w*facets+i)
						e.Generated = map[string]any{fmt.Sprintf("v%d_%d", w, i): int64(i)}
						e.ObserverID, e.Seq = "o", int64(w*facets+i+1)
					})})
					if err != nil || len(rejected) > 0 {
						t.Errorf("%v %v", rejected, err)
						return
					}
				}
			})
		}
		wg.Wait()
		id := event("x").ID()
		docs, err := first.Tasks(t.Context(), []string{id})
		require.NoError(t, err)
		require.Len(t, docs[id]["generated"], writers*facets)
		points, err := first.Checkpoints(t.Context(), "c")
		require.NoError(t, err)
		require.Len(t, points, 1)
		require.EqualValues(t, writers*facets, points[0].Arrived)
		var conflicts int64
		for _, s := range stores {
			conflicts += s.Counters().Conflicts
		}
		require.Positive(t, conflicts)
	})
}

// Large writes of different tasks are on their way together: the server gets the second while it still has the first.
func TestWritesOfDifferentTasksGoTogether(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		together := make(chan struct{})
		var bulks atomic.Int64
		o := proxy{before: func(_ http.ResponseWriter, r *http.Request) bool {
			if isBulk(r) {
				if bulks.Add(1) == 2 {
					close(together)
				}
				<-together
			}
			return false
		}}.start(t, kind)
		s := openStore(t, o)
		require.NoError(t, s.ready(t.Context()))
		var wg sync.WaitGroup
		for w := range 2 {
			wg.Go(func() { write(t, s, many(worthwhile, fmt.Sprint(w))...) })
		}
		wg.Wait()
		require.Len(t, found(t, s, `{}`), 2*worthwhile)
	})
}

// Large writes of the same tasks wait for each other, so that none of them finds a document changed.
func TestWritesOfTheSameTasksDoNotMeet(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				events := many(worthwhile, "")
				for _, e := range events {
					e.Facet, e.Generated = fmt.Sprint(w), map[string]any{fmt.Sprint("v", w): int64(w)}
				}
				write(t, s, events...)
			})
		}
		wg.Wait()
		require.Len(t, found(t, s, `{"generated.v0": 0, "generated.v1": 1, "generated.v2": 2, "generated.v3": 3}`), worthwhile)
		require.Zero(t, s.Counters().Conflicts)
	})
}

func many(n int, prefix string) []*task.Event {
	events := make([]*task.Event, n)
	for i := range events {
		events[i] = event(fmt.Sprintf("%s-%04d", prefix, i))
	}
	return events
}

// What another process deleted is written again, although this one remembers to have written it.
func TestDeletedByAnotherProcess(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, o := fresh(t, o)
		other, _ := fresh(t, o)
		e := event("x", func(e *task.Event) { e.ObserverID, e.Seq = "o", 1 })
		write(t, s, e)
		n, err := other.DeleteCampaign(t.Context(), "c")
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		require.Empty(t, found(t, s, `{}`))
		write(t, s, e)
		require.Equal(t, []string{"x"}, found(t, s, `{}`))
		points, err := s.Checkpoints(t.Context(), "c")
		require.NoError(t, err)
		require.Len(t, points, 1)
		require.EqualValues(t, 1, points[0].Arrived)
	})
}

// No answer ends at the number of hits that a server gives at once.
func TestMoreThanAPage(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		const n = 10_500
		var events []*task.Event
		for i := range n {
			events = append(events, event(fmt.Sprintf("%05d", i), func(e *task.Event) {
				e.Used = map[string]any{"i": int64(i)}
				e.Dependencies = []task.Ref{{Kind: "k", Scope: "s", Key: "hub"}}
				e.Claims = []task.Claim{{Role: task.Used, Entity: "file:/d", Evidence: "path", Confidence: 1}}
			}))
		}
		write(t, s, events...)
		on, err := s.ClaimsOn(t.Context(), []string{"file:/d"}, "")
		require.NoError(t, err)
		require.Len(t, on, n)
		edges, err := s.Dependents(t.Context(), []string{events[0].Dependencies[0].ID()})
		require.NoError(t, err)
		require.Len(t, edges, n)
		q, err := query.ParseJSON([]byte(`{"aggregation": [["sum", "used.i"]], "filter": {"used.i": {"$gte": 1}}}`))
		require.NoError(t, err)
		a, err := s.Query(t.Context(), q)
		require.NoError(t, err)
		require.EqualValues(t, n-1, a.Rows[0]["count"])
		require.EqualValues(t, n*(n-1)/2, a.Rows[0]["sum(used.i)"])
		ids := make([]string, n)
		for i, e := range events {
			ids[i] = e.ID()
		}
		facts, err := s.Facts(t.Context(), ids)
		require.NoError(t, err)
		require.Len(t, facts, n)
		deleted, err := s.DeleteCampaign(t.Context(), "c")
		require.NoError(t, err)
		require.EqualValues(t, n, deleted)
		on, err = s.ClaimsOn(t.Context(), []string{"file:/d"}, "")
		require.NoError(t, err)
		require.Empty(t, on)
	})
}

func TestOtherVersionsAreRefused(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, o := fresh(t, o)
		require.NoError(t, s.ready(t.Context()))
		put := func(path string, body object) {
			require.NoError(t, s.client.do(t.Context(), request{method: http.MethodPut, path: path, body: body}, nil))
		}
		put("/"+s.index(claims)+"/_mapping", object{"_meta": object{"schema_version": 99}})
		next, _ := fresh(t, o)
		_, err := next.Write(t.Context(), []*task.Event{event("x")})
		require.ErrorContains(t, err, "schema_version 99, written by a newer collector")
		put("/"+s.index(claims)+"/_mapping", object{"_meta": object{}})
		_, err = next.Write(t.Context(), []*task.Event{event("x")})
		require.ErrorContains(t, err, "was not made by otelcol-mida")
		template := s.template(workflows)
		template["_meta"] = object{"schema_version": 99}
		put("/_index_template/"+o.IndexPrefix+"-workflows", template)
		_, err = next.Write(t.Context(), []*task.Event{event("x")})
		require.ErrorContains(t, err, "index template "+o.IndexPrefix+"-workflows has schema_version 99")
	})
}

// An index that an older collector made gets the fields that came since, and keeps its budget.
func TestOlderIndicesAreBroughtUpToDate(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, o := fresh(t, o)
		require.NoError(t, s.ready(t.Context()))
		do := func(method, path string, body any, out any) {
			t.Helper()
			require.NoError(t, s.client.do(t.Context(), request{method: method, path: path, body: body}, out))
		}
		old := mappings(tasks, 7, 0)
		old["_meta"] = object{"schema_version": 1, "field_budget": 7}
		delete(old["properties"].(object), "error")
		template := s.template(tasks)
		template["_meta"], template["version"] = object{"schema_version": 1}, 1
		template["template"].(object)["mappings"] = old
		do(http.MethodPut, "/_index_template/"+o.IndexPrefix+"-tasks", template, nil)
		// After the template: an index has of its template's _meta what its own lacks.
		do(http.MethodDelete, "/"+s.index(tasks), nil, nil)
		do(http.MethodPut, "/"+s.index(tasks), object{"mappings": old}, nil)
		do(http.MethodPut, "/"+s.index(tasks)+"/_doc/before", object{"id": "before"}, nil)

		next, _ := fresh(t, o)
		write(t, next, event("x", func(e *task.Event) {
			e.Name, e.Status, e.Attributes = task.EventFailed, task.StatusFailed, map[string]any{"exception.type": "ValueError"}
		}))
		m, err := next.mapping(t.Context(), tasks)
		require.NoError(t, err)
		require.Equal(t, meta{SchemaVersion: schemaVersion, FieldBudget: 7}, m.Meta)
		require.Contains(t, m.Properties["error"].Properties, "type")
		require.Contains(t, m.Properties["used"].Properties, "a")
		require.NoError(t, next.refresh(t.Context(), next.index(tasks)))
		var found, all struct{ Count int }
		do(http.MethodPost, "/"+s.index(tasks)+"/_count", object{"query": object{"term": object{"error.type": "ValueError"}}}, &found)
		do(http.MethodPost, "/"+s.index(tasks)+"/_count", nil, &all)
		require.Equal(t, 1, found.Count)
		require.Equal(t, 2, all.Count, "what was there stays")
	})
}
