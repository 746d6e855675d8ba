package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var writeCases = []testCase{
	{
		name:     "after nil the events are visible to readers",
		contract: "stores.md: After a write has returned without an error, all of it but the rejected events is visible to readers.",
		run:      testVisible,
	},
	{
		name:     "the order of events does not change the view",
		contract: "stores.md: The order of events, the cutting into batches and repetition do not change the view.",
		run:      testOrders,
	},
	{
		name:     "the cutting into batches does not change the view",
		contract: "stores.md: The order of events, the cutting into batches and repetition do not change the view.",
		run:      testCutting,
	},
	{
		name:     "repetition does not change the view",
		contract: "stores.md: The order of events, the cutting into batches and repetition do not change the view.",
		run:      testReplay,
	},
	{
		name:     "several writers on one task lose nothing",
		contract: "stores.md: Several writers lose nothing, on one task or on many.",
		run:      testWriters,
	},
	{
		name:     "several writers on many tasks lose nothing",
		contract: "stores.md: Several writers lose nothing, on one task or on many.",
		run:      testManyWriters,
	},
	{
		name:     "several writers of large batches on the same tasks lose nothing",
		contract: "stores.md: Several writers lose nothing, on one task or on many.",
		run:      testLargeBatches,
	},
	{
		name:     "a newer snapshot removes what it lacks",
		contract: "data-model.md: a newer snapshot can remove a key.",
		run:      testRemoval,
	},
	{
		name:     "attempts are listed and the highest is shown",
		contract: "data-model.md: Earlier attempts are listed under `attempts`.",
		run:      testAttempts,
	},
	{
		name:     "people win over tools whenever they come",
		contract: "data-model.md: The facet `people` (campaign assigned, tags) wins over all others.",
		run:      testPeople,
	},
	{
		name:     "what a person said of an entity is found by the entity",
		contract: "data-model.md: What a person said of a campaign or of an [entity](provenance.md) is a task of its own, of kind `people`.",
		run:      testPeopleOnEntity,
	},
	{
		name:     "a poison record is rejected with its reason and stops nothing else",
		contract: "stores.md: An event that can never be stored is rejected with its reason and stops nothing else.",
		run:      testPoison,
	},
	{
		name:     "what is nested deeply is cut and stops nothing",
		contract: "data-model.md: What is nested deeper than 112 is cut: `{\"$cut\":{\"reason\":\"depth\",\"type\"}}`.",
		run:      testDepth,
	},
	{
		name:     "the events are neither kept nor changed",
		contract: "stores.md: A store neither keeps nor changes the events that it is given.",
		run:      testOwnership,
	},
	{
		name:     "what was written survives the process",
		contract: "stores.md: What was written survives the process, and merging goes on where it was.",
		run:      testPersistence,
	},
	{
		name:     "merging goes on after a restart",
		contract: "stores.md: What was written survives the process, and merging goes on where it was.",
		run:      testMergeAfterRestart,
	},
}

func testVisible(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s) // nothing is nothing
	for i := range 20 {
		write(t, s, finished(fmt.Sprint(i)))
		require.EqualValues(t, i+1, ask(t, s, `{"limit": 1}`).Total)
	}
}

// history is the life of one task as its observers tell it, in the order in which it happened.
func history(key string) []*task.Event {
	at := func(name string, time int64, facet string, status task.Status, change func(*task.Event)) *task.Event {
		return finished(key, func(e *task.Event) {
			e.Name, e.Time, e.Facet, e.Status, e.StartedAt, e.EndedAt = name, time, facet, status, 0, 0
			change(e)
		})
	}
	return []*task.Event{
		at(task.EventSubmitted, 10, "scheduler", task.StatusSubmitted, func(e *task.Event) { e.SubmittedAt = 10 }),
		at(task.EventStarted, 20, "worker", task.StatusRunning, func(e *task.Event) {
			e.StartedAt = 20
			e.Used = map[string]any{"a": int64(1), "cfg": map[string]any{"b": int64(2)}}
		}),
		at(task.EventFinished, 30, "worker", task.StatusFinished, func(e *task.Event) {
			e.StartedAt, e.EndedAt = 20, 30
			e.Used = map[string]any{"a": int64(1), "cfg": map[string]any{"b": int64(2)}}
			e.Generated = map[string]any{"loss": 0.5}
		}),
		at(task.EventProgress, 40, "telemetry", task.StatusUnknown, func(e *task.Event) {
			e.TelemetryPeak = map[string]any{"process.memory.usage": int64(1 << 20)}
		}),
	}
}

// permutations calls f with every order of the events.
func permutations(events []*task.Event, f func([]*task.Event)) {
	var walk func(done, left []*task.Event)
	walk = func(done, left []*task.Event) {
		if len(left) == 0 {
			f(done)
			return
		}
		for i := range left {
			rest := append(append([]*task.Event{}, left[:i]...), left[i+1:]...)
			walk(append(append([]*task.Event{}, done...), left[i]), rest)
		}
	}
	walk(nil, events)
}

func testOrders(t *testing.T, f Factory) {
	s := f.New(t)
	n := 0
	permutations(history("x"), func(order []*task.Event) {
		n++
		events := make([]*task.Event, len(order))
		for i, e := range order {
			c := *e
			c.Key = fmt.Sprint(n)
			events[i] = &c
			write(t, s, &c)
		}
		requireDocument(t, s, events...)
	})
	require.EqualValues(t, 24, ask(t, s, `{"filter": {"status": "FINISHED", "used.b": 2, "generated.loss": 0.5}}`).Total)
}

func testCutting(t *testing.T, f Factory) {
	s := f.New(t)
	whole, halves := history("whole"), history("halves")
	write(t, s, whole...)
	write(t, s, halves[:2]...)
	write(t, s, halves[2:]...)
	requireDocument(t, s, whole...)
	requireDocument(t, s, halves...)
}

func testReplay(t *testing.T, f Factory) {
	s := f.New(t)
	events := history("x")
	events[2].Claims = []task.Claim{{Role: task.Generated, Entity: "file:/m", Evidence: "path", Confidence: 0.9}}
	events[2].ObserverID, events[2].Seq = "o", 1
	for range 3 {
		write(t, s, events...)
		write(t, s, events[2], events[0], events[1])
	}
	requireDocument(t, s, events...)
	claims, err := s.ClaimsOf(t.Context(), []string{events[0].ID()})
	require.NoError(t, err)
	require.Len(t, claims, 1)
	require.EqualValues(t, 1, ask(t, s, `{}`).Total)
	checkpoints, err := s.Checkpoints(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, checkpoints, 1)
	require.EqualValues(t, 1, checkpoints[0].Arrived)
}

func testWriters(t *testing.T, f Factory) {
	s := f.New(t)
	const writers, facets = 8, 12
	var all []*task.Event
	var wg sync.WaitGroup
	errs := make(chan error, writers*facets)
	for w := range writers {
		var mine []*task.Event
		for i := range facets {
			mine = append(mine, finished("shared", func(e *task.Event) {
				e.Facet, e.Time = fmt.Sprintf("facet-%d-%d", w, i), int64(w*facets+i)
				e.Generated = map[string]any{fmt.Sprintf("v%d_%d", w, i): int64(i)}
			}))
		}
		all = append(all, mine...)
		wg.Go(func() {
			for _, e := range mine {
				_, err := s.Write(context.Background(), []*task.Event{e})
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	requireDocument(t, s, all...)
}

func testManyWriters(t *testing.T, f Factory) {
	s := f.New(t)
	const writers, batches, size = 8, 10, 20
	var wg sync.WaitGroup
	errs := make(chan error, writers*batches)
	for w := range writers {
		wg.Go(func() {
			for b := range batches {
				var events []*task.Event
				for i := range size {
					// Each task is written by two writers, each with a facet of its own.
					events = append(events, finished(fmt.Sprintf("%d-%d-%d", w/2, b, i), func(e *task.Event) {
						e.Facet = fmt.Sprint(w % 2)
						e.Generated = map[string]any{e.Facet: int64(i)}
					}))
				}
				_, err := s.Write(context.Background(), events)
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, writers/2*batches*size, ask(t, s, `{"filter": {"generated.0": {"$exists": true}, "generated.1": {"$exists": true}}}`).Total)
}

// testLargeBatches: a store may make large batches ready before it is their turn, and what it made is out of date then.
func testLargeBatches(t *testing.T, f Factory) {
	s := f.New(t)
	const writers, size, rounds = 4, 300, 3
	batch := func(facet string) (events []*task.Event) {
		for i := range size {
			events = append(events, finished(fmt.Sprint(i), func(e *task.Event) {
				e.Facet, e.Generated = facet, map[string]any{facet: int64(i)}
				e.Claims = []task.Claim{{Role: task.Generated, Entity: "value:" + facet, Evidence: "value", Confidence: 1}}
			}))
		}
		return events
	}
	filter := []string{}
	for r := range rounds {
		var group errgroup.Group
		for w := range writers {
			facet := fmt.Sprintf("part%d_%d", r, w)
			filter = append(filter, fmt.Sprintf(`{"generated.%s": {"$exists": true}}`, facet))
			group.Go(func() error {
				_, err := s.Write(context.Background(), batch(facet))
				return err
			})
		}
		require.NoError(t, group.Wait())
	}
	write(t, s, batch("part0_0")...) // once more: all of it is known
	require.EqualValues(t, size, ask(t, s, `{"filter": {"$and": [%s]}}`, strings.Join(filter, ",")).Total)
}

func testRemoval(t *testing.T, f Factory) {
	s := f.New(t)
	old := finished("x", func(e *task.Event) { e.Generated = map[string]any{"gone": int64(1), "stays": int64(1)} })
	newer := finished("x", func(e *task.Event) { e.Time, e.Generated = 200, map[string]any{"stays": int64(2)} })
	write(t, s, newer)
	write(t, s, old)
	requireDocument(t, s, old, newer)
	for _, e := range []task.Event{*old, *newer} {
		e.Key = "in the order of time"
		write(t, s, &e)
	}
	require.EqualValues(t, 0, ask(t, s, `{"filter": {"generated.gone": {"$exists": true}}}`).Total)
	require.EqualValues(t, 2, ask(t, s, `{"filter": {"generated.stays": 2}}`).Total)
}

func testAttempts(t *testing.T, f Factory) {
	s := f.New(t)
	failed := finished("x", func(e *task.Event) {
		e.Name, e.Attempt, e.Status = task.EventFailed, 170_000, task.StatusFailed
		e.Attributes = map[string]any{"exception.type": "ValueError", "exception.message": "no"}
	})
	retried := finished("x", func(e *task.Event) { e.Attempt, e.Time = 170_001, 200 })
	write(t, s, retried)
	write(t, s, failed)
	requireDocument(t, s, failed, retried)
	rows := ask(t, s, `{"projection": ["status", "attempt"]}`).Rows
	require.Equal(t, []map[string]any{{"status": "FINISHED", "attempt": int64(2)}}, rows)
	require.Equal(t, `[{"attempt":1,"ended_at":3000,"error":{"message":"no","type":"ValueError"},"started_at":1000,"status":"FAILED"}]`,
		task.JSON(document(t, s, failed)["attempts"]))
}

func testPeople(t *testing.T, f Factory) {
	s := f.New(t)
	people := finished("x", func(e *task.Event) {
		*e = task.Event{
			Name: task.EventProgress, Time: 50, Kind: e.Kind, Scope: e.Scope, Key: e.Key, Attempt: task.NoAttempt,
			Facet: task.FacetPeople, Campaign: "assigned", Tags: []string{"good"},
		}
	})
	tool := finished("x", func(e *task.Event) { e.Time, e.Tags = 500, []string{"tool"} })
	write(t, s, people)
	write(t, s, tool)
	requireDocument(t, s, people, tool)
	require.EqualValues(t, 1, ask(t, s, `{"filter": {"campaign_id": "assigned", "tags": "good"}}`).Total)
	campaigns, err := s.Campaigns(t.Context())
	require.NoError(t, err)
	require.Len(t, campaigns, 1)
	require.Equal(t, "assigned", campaigns[0].ID)
}

func testPeopleOnEntity(t *testing.T, f Factory) {
	s := f.New(t)
	said := func(campaign, id, entity string) *task.Event {
		return &task.Event{
			Name: task.EventFinished, Time: 50, Kind: task.KindPeople, Scope: campaign, Key: id, Attempt: task.NoAttempt, Facet: task.AnnotationFacet(id),
			Status: task.StatusFinished, Campaign: campaign, WorkflowID: "people of " + campaign, Activity: "annotation", StartedAt: 50, EndedAt: 50,
			Custom: map[string]any{task.KeyAnnotation: map[string]any{
				"id": id, "at": 1.5, "by": "ada", "by_source": "stated", "entity": entity, "excluded": true, "why": "noise", "tags_added": []any{"bad"},
			}},
		}
	}
	const x, y = "file:site:/data/x y.npz", "file:site:/data/y.npz"
	write(t, s, said("a", "1", x), said("b", "1", x), said("a", "2", y), finished("x"))
	found := ask(t, s, `{"filter": {"kind": "people", "custom.people.log.entity": {"$in": [%q, "file:site:/none"]}}, "projection": ["campaign_id", "custom.people.excluded", "tags"],
		"sort": [["campaign_id", "ascending"]]}`, x)
	require.Equal(t, []map[string]any{
		{"campaign_id": "a", "custom.people.excluded": true, "tags": []any{"bad"}}, {"campaign_id": "b", "custom.people.excluded": true, "tags": []any{"bad"}},
	}, found.Rows)
	require.EqualValues(t, 3, ask(t, s, `{"filter": {"custom.people.log.id": {"$exists": true}}}`).Total)
	require.Equal(t, y, task.AnnotationsOf(document(t, s, said("a", "2", y)))[0].Entity)
}

func testPoison(t *testing.T, f Factory) {
	s := f.New(t)
	good := finished("good")
	bad := []*task.Event{
		finished(""),
		finished("kindless", func(e *task.Event) { e.Kind = "" }),
		{Name: "mida.task.exploded", Kind: "k", Key: "x", Attempt: task.NoAttempt},
		{Name: task.EventWorkflowStarted},
		{Name: task.EventEnvironment, Environment: "digest", Record: "no map"},
		{Name: task.EventCheckpoint, ObserverID: "o", Record: map[string]any{"last_seq": "seven"}},
	}
	rejected, err := s.Write(t.Context(), append(append([]*task.Event{}, bad...), good))
	require.NoError(t, err)
	require.Len(t, rejected, len(bad))
	for i, r := range rejected {
		require.Same(t, bad[i], r.Event)
		require.Error(t, r.Err)
	}
	requireDocument(t, s, good)
	require.EqualValues(t, 1, ask(t, s, `{}`).Total)
}

func testOwnership(t *testing.T, f Factory) {
	s := f.New(t)
	make := func() *task.Event {
		return finished("x", func(e *task.Event) {
			e.Used = map[string]any{"a": map[string]any{"b": []any{int64(1)}}}
			e.Claims = []task.Claim{{Role: task.Used, Entity: "e", Evidence: "id", Confidence: 1}}
			e.Tags = []string{"t"}
		})
	}
	e := make()
	write(t, s, e)
	require.Equal(t, make(), e)
	// What the caller does with its event afterwards must not reach the view.
	e.Used["a"].(map[string]any)["b"].([]any)[0] = "changed"
	e.Tags[0] = "changed"
	other := finished("x", func(e *task.Event) { e.Facet = "other" })
	write(t, s, other)
	requireDocument(t, s, make(), other)
}

func testPersistence(t *testing.T, f Factory) {
	s := f.New(t)
	events := history("x")
	write(t, s, events[:2]...)
	write(t, s, events[2:]...)
	s = f.Reopen(t, s)
	requireDocument(t, s, events...)
	require.EqualValues(t, 1, ask(t, s, `{"filter": {"used.cfg.b": 2}}`).Total)
}

func testMergeAfterRestart(t *testing.T, f Factory) {
	s := f.New(t)
	events := history(strings.Repeat("long ", 50))
	for i, e := range events {
		e.ObserverID, e.Seq = "o", int64(i+1)
	}
	for _, e := range events {
		write(t, s, e)
		s = f.Reopen(t, s)
	}
	requireDocument(t, s, events...)
	checkpoints, err := s.Checkpoints(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, []store.Checkpoint{{Observer: "o", Campaign: "c", Arrived: 4, Highest: 4, Dropped: checkpoints[0].Dropped}}, checkpoints)
}
