package taskquery

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func checkpointOf(observer string, last int64, final bool, more map[string]any) *task.Event {
	record := map[string]any{"last_seq": last, "final": final}
	for k, v := range more {
		record[k] = v
	}
	return &task.Event{
		Name: task.EventCheckpoint, Time: 200e9, Kind: "test", Attempt: task.NoAttempt, Campaign: "c1", ObserverID: observer,
		Record: record, Resource: map[string]any{"host.name": "node-1"},
	}
}

func TestCompleteness(t *testing.T) {
	a := start(t)
	seen := func(observer string, seq int64) *task.Event {
		return event(fmt.Sprint(observer, seq), func(e *task.Event) { e.ObserverID, e.Seq = observer, seq })
	}
	answer := a.ok("GET", "/api/v1/completeness?campaign_id=c1", "")
	assert.Equal(t, "unknown", answer["state"], "nobody said that there is nothing")
	a.stores.load(t, seen("whole", 1), seen("whole", 2), checkpointOf("whole", 2, true, nil))
	answer = a.ok("GET", "/api/v1/completeness?campaign_id=c1", "")
	assert.Equal(t, "complete", answer["state"])
	a.stores.load(t, seen("open", 1), checkpointOf("open", 1, false, nil))
	answer = a.ok("GET", "/api/v1/completeness?campaign_id=c1&time=iso", "")
	assert.Equal(t, "unknown", answer["state"])
	assert.Equal(t, "1970-01-01T00:03:20Z", answer["complete_up_to"])
	a.stores.load(t, seen("lost", 1), seen("lost", 5), checkpointOf("lost", 5, true, map[string]any{
		"dropped": []any{[]any{int64(2), int64(2), "queue full"}}, "segments_removed": int64(1),
		"witness": map[string]any{"logs": []any{map[string]any{
			"path": "/data/run.log", "size": int64(100), "read": int64(100), "entries": int64(4), "unmatched": int64(3), "first_unmatched": int64(10),
		}}},
	}))
	answer = a.ok("GET", "/api/v1/completeness?campaign=c1", "")
	assert.Equal(t, "missing", answer["state"])
	assert.Equal(t, []any{int64(1), int64(1), int64(1)}, []any{answer["complete"], answer["missing"], answer["unknown"]})
	byName := map[string]any{}
	for _, o := range answer["observers"].([]any) {
		m := o.(map[string]any)
		byName[m["observer"].(string)] = m
		assert.Equal(t, "node-1", m["host"])
	}
	assert.Equal(t, map[string]any{
		"observer": "lost", "campaign_id": "c1", "host": "node-1", "state": "missing", "final": true, "last_seq": int64(5),
		"arrived": int64(2), "dropped": int64(1), "missing": int64(2), "segments_removed": int64(1), "checkpoint_at": 200.0,
		"dropped_ranges": []any{[]any{int64(2), int64(2), "queue full"}},
		"missing_ranges": []any{[]any{int64(3), int64(4)}},
	}, byName["lost"])
	assert.Equal(t, 200.0, byName["open"].(map[string]any)["open_since"])
	witnesses := answer["witnesses"].([]any)
	assert.Len(t, witnesses, 2)
	entries := witnesses[1].(map[string]any)
	assert.Equal(t, []any{"/data/run.log", int64(4), int64(1), "missing"},
		[]any{entries["of"], entries["expected"], entries["found"], entries["state"]})
	assert.Contains(t, entries["detail"], "no rule is for 3")

	assert.Equal(t, "campaign", a.refused(http.StatusBadRequest, "GET", "/api/v1/completeness?campaign=a&campaign_id=b", "")["field"])
}
