package storetest

import (
	"fmt"
	"math"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// values are those that databases like to change.
var values = []any{
	nil, true, int64(0), int64(math.MaxInt64), 1.0, 0.5, math.Copysign(0, -1), math.NaN(), math.Inf(-1), 1e300, "", "text", "ü\n\"\\",
	"1", []byte{0, 255}, map[string]any{"$int": "99999999999999999999"}, []any{int64(1), "a", []any{}}, map[string]any{}, strings.Repeat("x", 9_000),
}

// Campaign makes the events of a campaign that has something of everything that a store holds: tasks with several facets
// and attempts, claims (some of tasks that never came), workflows, environments, entities and observers with gaps.
func Campaign(name string, tasks int) []*task.Event {
	var out []*task.Event
	observer := func(i int) string { return fmt.Sprintf("%s-observer-%d", name, i%3) }
	for i := range tasks {
		e := &task.Event{
			Name: task.EventStarted, Time: int64(10 * i), Kind: "dask", Scope: name, Key: fmt.Sprintf("task-%d", i), Attempt: task.NoAttempt,
			Facet: "worker", Status: task.StatusRunning, Campaign: name, WorkflowID: fmt.Sprintf("%s-w%d", name, i%7), WorkflowName: "search",
			Activity: "train", SubmittedAt: int64(1 + i), StartedAt: int64(2 + i), Environment: fmt.Sprintf("env-%d", i%5),
			Used:       map[string]any{"a": values[i%len(values)], "cfg": map[string]any{"layers": int64(i), "a.b": "x"}},
			ObserverID: observer(i), Seq: int64(1 + i + i/10), // every eleventh number is missing
			Claims: []task.Claim{
				{Role: task.Used, Entity: fmt.Sprintf("file:/data/%d", i%50), Time: int64(i), TimeSource: "start", Evidence: "path", Confidence: 1, Field: "cfg"},
				{Role: task.Generated, Entity: fmt.Sprintf("file:/out/%s/%d", name, i), Time: int64(i), Evidence: "io", Confidence: 0.1 * float64(i%11), Label: "ü"},
			},
		}
		if i > 0 {
			e.Dependencies = []task.Ref{{Kind: "dask", Scope: name, Key: fmt.Sprintf("task-%d", i-1)}}
		}
		out = append(out, e)
		if i%3 > 0 {
			end := *e
			end.Name, end.Facet, end.Status, end.Time, end.Seq, end.Claims, end.Attempt = task.EventFinished, "scheduler", task.StatusFinished, e.Time+5, 0, nil, int64(i%2)
			end.EndedAt, end.Generated = int64(100+i), map[string]any{"loss": values[(i+3)%len(values)]}
			out = append(out, &end)
		}
		if i%20 == 0 {
			out = append(out, &task.Event{
				Name: task.EventEntity, Time: int64(i), Kind: "dask", Scope: name, Key: fmt.Sprintf("unknown-%d", i), Attempt: task.NoAttempt,
				Record: map[string]any{"file": fmt.Sprintf("/data/%d", i), "bytes": int64(i)},
				Claims: []task.Claim{{Role: task.Used, Entity: "file:/data/0", Evidence: "person", Confidence: 0.5}},
			})
		}
	}
	for i := range 7 {
		out = append(out, &task.Event{
			Name: task.EventWorkflowStarted, Time: int64(i), Kind: "dask", Campaign: name, WorkflowID: fmt.Sprintf("%s-w%d", name, i), WorkflowName: "Search", Attempt: task.NoAttempt,
		})
	}
	out = append(out, &task.Event{
		Name: task.EventWorkflowFinished, Time: 9, Kind: "dask", Campaign: name, WorkflowID: name + strings.Repeat("é", 400), Attempt: task.NoAttempt,
	})
	for i := range 5 {
		out = append(out, &task.Event{
			Name: task.EventEnvironment, Time: int64(i), Environment: fmt.Sprintf("env-%d", i), Attempt: task.NoAttempt,
			Record: map[string]any{"user": "ada", "packages": map[string]any{"numpy": "2.0", "n": int64(i), "x": 1.0}},
		})
	}
	for i := range 3 {
		out = append(out, &task.Event{
			Name: task.EventCheckpoint, Time: 1_000, ObserverID: observer(i), Campaign: name, Attempt: task.NoAttempt,
			Resource: map[string]any{"host.name": "node-1"},
			Record:   map[string]any{"last_seq": int64(2 * tasks), "final": i == 0, "dropped": []any{[]any{int64(5), int64(6), "queue full"}}},
		})
	}
	return out
}
