package storetest

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// What these cases expect is written out: what package task makes of the events would only say that it agrees with itself.
var mergeCases = []testCase{
	{
		name:     "an id is made of the kind, the scope and the key, each with its length",
		contract: "data-model.md: `H` is SHA-256 over parts that each carry their length (4 bytes, big endian).",
		run:      testIdentity,
	},
	{
		name:     "the trace is that of the execution, or else of the scope",
		contract: "data-model.md: | `mida.task.execution` | string | what shares a trace; absent = the scope |",
		run:      testExecution,
	},
	{
		name:     "a span of another program keeps its ids",
		contract: "data-model.md: Tasks that were spans of other programs keep their trace and span ids.",
		run:      testForeignIDs,
	},
	{
		name:     "campaign, workflow and activity may come late and change",
		contract: "data-model.md: facts, not identity: they may come late and change",
		run:      testLateFacts,
	},
	{
		name:     "all orders of a task's events make one document",
		contract: "data-model.md: So order, batching and repetition do not matter",
		run:      testAllOrders,
	},
	{
		name:     "of two snapshots of a facet the later holds",
		contract: "data-model.md: Merging keeps, per facet, the snapshot with the higher stamp: time of the fact",
		run: mergeOf(func(key string) []*task.Event {
			return []*task.Event{snapshot(key, "f", 20, 1, "late"), snapshot(key, "f", 10, 2, "early")}
		}, map[string]any{"generated": map[string]any{"v": "late"}}),
	},
	{
		name:     "at one time the higher number holds",
		contract: "data-model.md: time of the fact, then sequence number",
		run: mergeOf(func(key string) []*task.Event {
			return []*task.Event{snapshot(key, "f", 10, 1, "z first"), snapshot(key, "f", 10, 2, "a second")}
		}, map[string]any{"generated": map[string]any{"v": "a second"}}),
	},
	{
		name:     "with equal times and numbers the bytes decide",
		contract: "data-model.md: then sequence number, then canonical bytes.",
		run: mergeOf(func(key string) []*task.Event {
			return []*task.Event{snapshot(key, "f", 10, 1, "b"), snapshot(key, "f", 10, 1, "a")}
		}, map[string]any{"generated": map[string]any{"v": "b"}}),
	},
	{
		name:     "a newer snapshot of one facet takes nothing from another",
		contract: "data-model.md: The state of a task is {attempt → {facet → snapshot}}.",
		run: mergeOf(func(key string) []*task.Event {
			return []*task.Event{
				snapshot(key, "f", 10, 0, "f", func(e *task.Event) { e.Generated = map[string]any{"f": int64(1)} }),
				snapshot(key, "g", 20, 0, "g", func(e *task.Event) { e.Generated = map[string]any{"g": int64(2)} }),
			}
		}, map[string]any{"generated": map[string]any{"f": int64(1), "g": int64(2)}}),
	},
	{
		name:     "submitted and started are the earliest, ended the latest that is told",
		contract: "data-model.md: submitted and started = earliest, ended = latest",
		run: mergeOf(func(key string) []*task.Event {
			return []*task.Event{
				snapshot(key, "f", 10, 0, "", func(e *task.Event) { e.SubmittedAt, e.StartedAt, e.EndedAt = 3, 12, 30 }),
				snapshot(key, "g", 20, 0, "", func(e *task.Event) { e.SubmittedAt, e.StartedAt, e.EndedAt = 5, 11, 25 }),
			}
		}, map[string]any{"submitted_at": int64(3), "started_at": int64(11), "ended_at": int64(30)}),
	},
	{
		name:     "the status is the highest of the facets",
		contract: "data-model.md: status = highest rank",
		run: mergeOf(func(key string) []*task.Event {
			return []*task.Event{
				snapshot(key, "f", 10, 0, "", func(e *task.Event) { e.Status = task.StatusFailed }),
				snapshot(key, "g", 20, 0, "", func(e *task.Event) { e.Status = task.StatusFinished }),
				snapshot(key, "h", 30, 0, "", func(e *task.Event) { e.Status = task.StatusRunning }),
			}
		}, map[string]any{"status": "FAILED"}),
	},
	{
		name:     "maps are the union of the facets' leaves",
		contract: "data-model.md: `used`/`generated` and the other maps = the union of the facets' leaves (on conflict the higher stamp).",
		run: mergeOf(func(key string) []*task.Event {
			maps := func(m map[string]any) func(e *task.Event) {
				return func(e *task.Event) { e.Used, e.Generated, e.Custom, e.TelemetryPeak = m, m, m, m }
			}
			return []*task.Event{
				snapshot(key, "f", 10, 0, "", maps(map[string]any{"cfg": map[string]any{"a": int64(1), "b": int64(1)}})),
				snapshot(key, "g", 20, 0, "", maps(map[string]any{"cfg": map[string]any{"b": int64(2), "c": int64(2)}})),
			}
		}, map[string]any{"used": union, "generated": union, "custom": union, "telemetry_peak": union}),
	},
	{
		name:     "of two lists the later holds whole",
		contract: "data-model.md: Lists are values.",
		run: mergeOf(func(key string) []*task.Event {
			list := func(l ...any) func(e *task.Event) {
				return func(e *task.Event) { e.Generated = map[string]any{"l": l} }
			}
			return []*task.Event{snapshot(key, "f", 10, 0, "", list(int64(1), int64(2))), snapshot(key, "g", 20, 0, "", list(int64(3)))}
		}, map[string]any{"generated": map[string]any{"l": []any{int64(3)}}}),
	},
	{
		name:     "the highest attempt is shown, counted from 1",
		contract: "data-model.md: The document people see is a projection of the highest attempt together with what is about the task itself",
		run: mergeOf(attempts, map[string]any{
			"attempt": int64(2), "status": "RUNNING", "generated": map[string]any{"v": "second"}, "tags": []any{"about the task"},
		}),
	},
	{
		name:     "earlier attempts are listed with their status, times, host and error",
		contract: "data-model.md: Earlier attempts are listed under `attempts`.",
		run: mergeOf(attempts, map[string]any{"attempts": []any{map[string]any{
			"attempt": int64(1), "status": "FAILED", "started_at": int64(5), "ended_at": int64(9), "host": "node-1",
			"error": map[string]any{"type": "ValueError", "message": "no"},
		}}}),
	},
	{
		name:     "people win, and may clear what tools said",
		contract: "data-model.md: The facet `people` (campaign assigned, tags) wins over all others.",
		run: mergeOf(func(key string) []*task.Event {
			return []*task.Event{
				snapshot(key, "f", 90, 0, "", func(e *task.Event) { e.Campaign, e.Tags = "tool", []string{"tool"} }),
				snapshot(key, task.FacetPeople, 10, 0, "", func(e *task.Event) { e.Campaign, e.Tags = "people", []string{} }),
			}
		}, map[string]any{"campaign_id": "people", "tags": nil}),
	},
	{
		name:     "a workflow's name and parent come with its id",
		contract: "data-model.md: A task's workflow is named as a whole: its name and parent are those of the snapshot that names it.",
		run: mergeOf(func(key string) []*task.Event {
			return []*task.Event{
				snapshot(key, "f", 10, 0, "", func(e *task.Event) { e.WorkflowID, e.WorkflowName, e.WorkflowParentID = "w1", "old", "p1" }),
				snapshot(key, "g", 20, 0, "", func(e *task.Event) { e.WorkflowID, e.WorkflowName, e.WorkflowParentID = "w2", "new", "" }),
			}
		}, map[string]any{"workflow_id": "w2", "workflow_name": "new", "workflow_parent_id": nil}),
	},
	{
		name:     "invalid bytes of text become U+FFFD",
		contract: "data-model.md: each invalid byte of UTF-8 (in Python: each lone surrogate) becomes U+FFFD.",
		run:      testInvalidText,
	},
}

var union = map[string]any{"cfg": map[string]any{"a": int64(1), "b": int64(2), "c": int64(2)}}

// snapshot is an event of one facet whose result is v.
func snapshot(key, facet string, time, seq int64, v string, change ...func(*task.Event)) *task.Event {
	e := &task.Event{
		Name: task.EventProgress, Time: time, Kind: "dask", Scope: "S", Key: key, Attempt: task.NoAttempt, Facet: facet,
		Campaign: "c", ObserverID: "o", Seq: seq,
	}
	if v != "" {
		e.Generated = map[string]any{"v": v}
	}
	for _, f := range change {
		f(e)
	}
	return e
}

func attempts(key string) []*task.Event {
	return []*task.Event{
		snapshot(key, "worker", 9, 0, "first", func(e *task.Event) {
			e.Attempt, e.Status, e.StartedAt, e.EndedAt = 700, task.StatusFailed, 5, 9
			e.Attributes = map[string]any{"host.name": "node-1", "exception.type": "ValueError", "exception.message": "no"}
		}),
		snapshot(key, "worker", 20, 0, "second", func(e *task.Event) { e.Attempt, e.Status = 1_200, task.StatusRunning }),
		snapshot(key, "people", 1, 0, "", func(e *task.Event) { e.Tags = []string{"about the task"} }),
	}
}

// mergeOf writes the events in every order and in one batch, and wants these values in every document (nil: the key is
// missing).
func mergeOf(events func(key string) []*task.Event, want map[string]any) func(*testing.T, Factory) {
	return func(t *testing.T, f Factory) {
		s := f.New(t)
		keys := []string{"batch"}
		write(t, s, events("batch")...)
		for n := range inAllOrders(t, s, func(n int) []*task.Event { return events(fmt.Sprint("order ", n)) }) {
			keys = append(keys, fmt.Sprint("order ", n))
		}
		for _, key := range keys {
			doc := document(t, s, finished(key))
			for name, v := range want {
				if v == nil {
					require.NotContains(t, doc, name, key)
				} else {
					require.Equal(t, task.JSON(v), task.JSON(doc[name]), "%s, %s", name, key)
				}
			}
		}
	}
}

// inAllOrders writes the events of as many tasks as they have orders, each task's in another one: first the first of all
// tasks, then the second of all.
func inAllOrders(t *testing.T, s store.Store, events func(n int) []*task.Event) (tasks int) {
	t.Helper()
	var orders [][]int
	var index []*task.Event
	for i := range events(-1) {
		index = append(index, &task.Event{Seq: int64(i)})
	}
	permutations(index, func(order []*task.Event) {
		var numbers []int
		for _, e := range order {
			numbers = append(numbers, int(e.Seq))
		}
		orders = append(orders, numbers)
	})
	all := make([][]*task.Event, len(orders))
	for n := range orders {
		all[n] = events(n)
	}
	for i := range index {
		var batch []*task.Event
		for n, order := range orders {
			batch = append(batch, all[n][order[i]])
		}
		write(t, s, batch...)
	}
	return len(orders)
}

func testAllOrders(t *testing.T, f Factory) {
	s := f.New(t)
	life := func(n int) []*task.Event {
		key := fmt.Sprint(n)
		return append(history(key), // a second attempt, and people
			snapshot(key, "worker", 35, 0, "again", func(e *task.Event) {
				e.Attempt, e.Status, e.Used = 5, task.StatusFailed, map[string]any{"retry": true}
			}),
			snapshot(key, task.FacetPeople, 1, 0, "", func(e *task.Event) { e.Campaign = "assigned" }))
	}
	require.Equal(t, 720, inAllOrders(t, s, life))
	a := ask(t, s, `{"filter": {"campaign_id": "assigned", "status": "FAILED", "generated.v": "again", "generated.loss": 0.5,
		"used.b": 2, "used.retry": true, "submitted_at": {"$exists": true}, "telemetry_peak.process.memory.usage": 1048576},
		"projection": ["attempt", "started_at", "ended_at"], "aggregation": [["count", "id"]]}`)
	require.Len(t, a.Rows, 1, "all have the same attempt and times")
	require.EqualValues(t, 720, a.Rows[0]["count"])
	require.EqualValues(t, 1, a.Rows[0]["attempt"])
	require.EqualValues(t, 720, ask(t, s, `{"limit": 1}`).Total)
}

func testIdentity(t *testing.T, f Factory) {
	s := f.New(t)
	vector := finished("incr-0", func(e *task.Event) { e.Scope = "Scheduler-1" })
	others := []*task.Event{
		finished("c", func(e *task.Event) { e.Scope = "ab" }), finished("bc", func(e *task.Event) { e.Scope = "a" }),
		finished("bc", func(e *task.Event) { e.Kind, e.Scope = "daska", "" }), finished("incr-0", func(e *task.Event) { e.Scope = "Scheduler-2" }),
	}
	write(t, s, append(others, vector, vector)...)
	require.EqualValues(t, len(others)+1, ask(t, s, `{}`).Total)
	const id = "62648372a124dee7f61020dbff957a54"
	rows := ask(t, s, `{"filter": {"id": %q}}`, id).Rows
	require.Len(t, rows, 1)
	require.Equal(t, "incr-0", rows[0]["task_id"])
	facts, err := s.Facts(t.Context(), []string{id})
	require.NoError(t, err)
	span, trace := facts[id].SpanID, facts[id].TraceID
	require.Equal(t, "d3fefd461600bcb5", hex.EncodeToString(span[:]))
	require.Equal(t, "84ca1e26f7f4c7ce09b6c4ad36a75f34", hex.EncodeToString(trace[:]))
}

func testExecution(t *testing.T, f Factory) {
	s := f.New(t)
	first := finished("run", func(e *task.Event) { e.Kind, e.Scope, e.Execution = "mlflow", "", "root" })
	second := finished("root", func(e *task.Event) { e.Kind, e.Scope, e.Execution = "mlflow", "", "root" })
	scoped := finished("other", func(e *task.Event) { e.Kind, e.Scope = "mlflow", "root" })
	write(t, s, first, second, scoped)
	facts, err := s.Facts(t.Context(), []string{first.ID(), second.ID(), scoped.ID()})
	require.NoError(t, err)
	require.Equal(t, task.TraceID("mlflow", "root"), facts[first.ID()].TraceID)
	require.Equal(t, facts[first.ID()].TraceID, facts[second.ID()].TraceID)
	require.Equal(t, facts[first.ID()].TraceID, facts[scoped.ID()].TraceID)
	require.NotEqual(t, facts[first.ID()].SpanID, facts[second.ID()].SpanID)
	require.Equal(t, "root", document(t, s, first)["execution"])
	require.NotContains(t, document(t, s, scoped), "execution")
}

func testForeignIDs(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("0102030405060708", func(e *task.Event) {
		e.Kind, e.Scope = "otel", "000102030405060708090a0b0c0d0e0f"
		e.TraceID, e.SpanID = [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	})
	write(t, s, e)
	s = f.Reopen(t, s)
	facts, err := s.Facts(t.Context(), []string{e.ID()})
	require.NoError(t, err)
	require.Equal(t, [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, facts[e.ID()].TraceID)
	require.Equal(t, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, facts[e.ID()].SpanID)
}

func testLateFacts(t *testing.T, f Factory) {
	s := f.New(t)
	bare := snapshot("x", "worker", 1, 0, "", func(e *task.Event) { e.Campaign = "" })
	write(t, s, bare)
	require.EqualValues(t, 1, ask(t, s, `{"filter": {"campaign_id": {"$exists": false}, "workflow_id": {"$exists": false}}}`).Total)
	for i, campaign := range []string{"first", "second", "third"} {
		write(t, s, snapshot("x", []string{"scheduler", "scheduler", "end"}[i], int64(2+i), 0, "", func(e *task.Event) {
			e.Campaign, e.WorkflowID, e.Activity = campaign, campaign+" workflow", campaign+" activity"
		}))
		require.EqualValues(t, 1, ask(t, s, `{}`).Total, "it is one task all the time")
		rows := ask(t, s, `{"filter": {"campaign_id": %q, "workflow_id": %q, "activity_id": %q}}`,
			campaign, campaign+" workflow", campaign+" activity").Rows
		require.Len(t, rows, 1)
		require.Equal(t, bare.ID(), rows[0]["id"])
	}
}

func testInvalidText(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", func(e *task.Event) {
		e.Stdout = "\xff"
		e.Generated = map[string]any{"v": "a\xff\xfeb", "k\xff": int64(1), "list": []any{"\x80"}}
	})
	write(t, s, received(t, e))
	doc := document(t, s, e)
	require.Equal(t, `{"k`+"\ufffd"+`":1,"list":["`+"\ufffd"+`"],"v":"a`+"\ufffd\ufffd"+`b"}`, task.JSON(doc["generated"]))
	require.Equal(t, "\ufffd", doc["stdout"])
	require.Equal(t, []string{"x"}, found(t, s, "generated.v", "$eq", "a\ufffd\ufffdb"))
}
