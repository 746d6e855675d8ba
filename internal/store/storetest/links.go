package storetest

import (
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var linkCases = []testCase{
	{
		name:     "claims only grow",
		contract: "provenance.md: Claims are only ever added.",
		run:      testClaimsGrow,
	},
	{
		name:     "claims are found by task and by entity and role",
		contract: "stores.md: Claims are found by their task, and by their entity in one role or in both.",
		run:      testClaimLookup,
	},
	{
		name:     "claims on a task that is not known yet wait for it",
		contract: "stores.md: Those on a task that is not known yet wait for it.",
		run:      testEarlyClaims,
	},
	{
		name:     "declared edges are found from both ends",
		contract: "stores.md: Declared edges are found from both ends",
		run:      testEdges,
	},
	{
		name:     "an edge to a task that is not known yet is kept",
		contract: "stores.md: also where the task at the far end is not known yet.",
		run:      testUnknownTarget,
	},
	{
		name:     "edges follow the newest snapshot",
		contract: "stores.md: The edges of a task are those of its document: a newer snapshot takes away what it lacks.",
		run:      testEdgeChange,
	},
	{
		name:     "ids that do not exist are left out",
		contract: "stores.md: Ids that do not exist are left out of an answer.",
		run:      testUnknownIDs,
	},
}

func claim(role task.Role, entity string) task.Claim {
	return task.Claim{
		Role: role, Entity: entity, Time: 7, TimeSource: "mtime", Evidence: "path", Confidence: 0.95, Field: "used.image", Label: "a.npz",
	}
}

func withClaims(claims ...task.Claim) func(*task.Event) {
	return func(e *task.Event) { e.Claims = claims }
}

func claimsOf(t *testing.T, s store.Store, ids ...string) []store.TaskClaim {
	t.Helper()
	claims, err := s.ClaimsOf(t.Context(), ids)
	require.NoError(t, err)
	sort.Slice(claims, func(i, j int) bool { return claims[i].Entity < claims[j].Entity })
	return claims
}

func testClaimsGrow(t *testing.T, f Factory) {
	s := f.New(t)
	first := finished("x", withClaims(claim(task.Used, "a")))
	write(t, s, first)
	// An older event, a newer one without claims, and the same claim again take nothing away.
	write(t, s, finished("x", func(e *task.Event) { e.Time = 1 }, withClaims(claim(task.Used, "b"))))
	write(t, s, finished("x", func(e *task.Event) { e.Time = 900 }))
	write(t, s, first, first)
	s = f.Reopen(t, s)
	write(t, s, first)
	require.Equal(t, []store.TaskClaim{{TaskID: first.ID(), Claim: claim(task.Used, "a")}, {TaskID: first.ID(), Claim: claim(task.Used, "b")}},
		claimsOf(t, s, first.ID()))
}

func testClaimLookup(t *testing.T, f Factory) {
	s := f.New(t)
	producer := finished("p", withClaims(claim(task.Generated, "file"), claim(task.Used, "raw")))
	consumer := finished("c", withClaims(claim(task.Used, "file")))
	write(t, s, producer, consumer)
	on := func(role task.Role) []string {
		claims, err := s.ClaimsOn(t.Context(), []string{"file", "nothing"}, role)
		require.NoError(t, err)
		var ids []string
		for _, c := range claims {
			require.Equal(t, "file", c.Entity)
			ids = append(ids, c.TaskID)
		}
		return ids
	}
	require.ElementsMatch(t, []string{producer.ID(), consumer.ID()}, on(""))
	require.Equal(t, []string{producer.ID()}, on(task.Generated))
	require.Equal(t, []string{consumer.ID()}, on(task.Used))
	require.Len(t, claimsOf(t, s, producer.ID(), consumer.ID()), 3)
}

func testEarlyClaims(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", withClaims(claim(task.Generated, "later")))
	entity := &task.Event{
		Name: task.EventEntity, Time: 5, Kind: e.Kind, Scope: e.Scope, Key: e.Key, Attempt: task.NoAttempt,
		Claims: []task.Claim{claim(task.Generated, "early")}, Record: map[string]any{"id": "early"},
	}
	write(t, s, entity, entity)
	require.Len(t, claimsOf(t, s, e.ID()), 1)
	require.EqualValues(t, 0, ask(t, s, `{}`).Total, "an entity is no task")
	s = f.Reopen(t, s)
	write(t, s, e)
	write(t, s, entity)
	require.Len(t, claimsOf(t, s, e.ID()), 2)
	on, err := s.ClaimsOn(t.Context(), []string{"early"}, task.Generated)
	require.NoError(t, err)
	require.Len(t, on, 1)
	require.Equal(t, e.ID(), on[0].TaskID)
}

func edges(t *testing.T, list []store.Edge, err error) []store.Edge {
	t.Helper()
	require.NoError(t, err)
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		return a.From+a.To+a.Field < b.From+b.To+b.Field
	})
	return list
}

func testEdges(t *testing.T, f Factory) {
	s := f.New(t)
	parent, dep, both := finished("parent"), finished("dep"), finished("both")
	child := finished("child", func(e *task.Event) {
		ref := parent.Ref()
		e.Parent = &ref
		e.Dependencies = []task.Ref{dep.Ref(), both.Ref()}
		e.Refs = map[string]string{"x": "both"}
	})
	write(t, s, child, parent, dep, both)
	list, err := s.Dependencies(t.Context(), []string{child.ID()})
	want := edges(t, []store.Edge{
		{From: child.ID(), To: parent.ID(), Parent: true}, {From: child.ID(), To: dep.ID()}, {From: child.ID(), To: both.ID(), Field: "x"},
	}, nil)
	require.Equal(t, want, edges(t, list, err))
	list, err = s.Dependents(t.Context(), []string{parent.ID(), dep.ID(), both.ID()})
	require.Equal(t, want, edges(t, list, err))
	list, err = s.Dependents(t.Context(), []string{child.ID()})
	require.Empty(t, edges(t, list, err))
}

func testUnknownTarget(t *testing.T, f Factory) {
	s := f.New(t)
	other := task.Ref{Kind: "mlflow", Scope: "", Key: "run"}
	e := finished("x", func(e *task.Event) { e.Dependencies = []task.Ref{other} })
	write(t, s, e)
	want := []store.Edge{{From: e.ID(), To: other.ID()}}
	list, err := s.Dependencies(t.Context(), []string{e.ID()})
	require.Equal(t, want, edges(t, list, err))
	list, err = s.Dependents(t.Context(), []string{other.ID()})
	require.Equal(t, want, edges(t, list, err))
}

func testEdgeChange(t *testing.T, f Factory) {
	s := f.New(t)
	a, b := finished("a"), finished("b")
	write(t, s, finished("x", func(e *task.Event) { e.Dependencies = []task.Ref{a.Ref()} }))
	newer := finished("x", func(e *task.Event) { e.Time, e.Dependencies = 200, []task.Ref{b.Ref()} })
	write(t, s, newer)
	list, err := s.Dependencies(t.Context(), []string{newer.ID()})
	require.Equal(t, []store.Edge{{From: newer.ID(), To: b.ID()}}, edges(t, list, err))
}

func testUnknownIDs(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", func(e *task.Event) { e.StartedAt, e.EndedAt = 5, 9 })
	write(t, s, e)
	docs, err := s.Tasks(t.Context(), []string{"nothing", e.ID(), "'"})
	require.NoError(t, err)
	require.Len(t, docs, 1)
	facts, err := s.Facts(t.Context(), []string{"nothing", e.ID()})
	require.NoError(t, err)
	require.Equal(t, map[string]store.TaskFacts{e.ID(): {
		ID: e.ID(), TaskID: "x", Kind: "dask", CampaignID: "c", WorkflowID: "w", WorkflowName: "search", ActivityID: "train",
		Status: task.StatusFinished, StartedAt: 5, EndedAt: 9, TraceID: e.Trace(), SpanID: e.Span(),
	}}, facts)
	require.Empty(t, claimsOf(t, s, "nothing"))
	none, err := s.Tasks(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
}
