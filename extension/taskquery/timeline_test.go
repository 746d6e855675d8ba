package taskquery

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const second = int64(1_000_000_000)

// ran is a task that ran from one second to another.
func ran(key string, from, to int64, change func(*task.Event)) *task.Event {
	return event(key, func(e *task.Event) {
		e.StartedAt, e.EndedAt = (1000+from)*second, (1000+to)*second
		if change != nil {
			change(e)
		}
	})
}

func TestTimelineOfFewTasksIsTheTasks(t *testing.T) {
	a := start(t)
	a.stores.load(t,
		ran("a", 0, 4, func(e *task.Event) { e.Attributes["dask.worker.name"] = "w1" }),
		ran("b", 2, 6, func(e *task.Event) { e.Attributes["dask.worker.name"] = "w2"; e.Status = task.StatusFailed }),
		event("c", func(e *task.Event) { e.StartedAt, e.EndedAt, e.Status = 0, 0, task.StatusSubmitted }),
	)
	m := a.ok("GET", "/api/v1/timeline?by=worker", "")
	assert.EqualValues(t, 2, m["total"])
	assert.Equal(t, 1000.0, m["from"])
	assert.Equal(t, 1006.0, m["to"])
	lanes := m["lanes"].([]any)
	require.Len(t, lanes, 2)
	assert.Equal(t, "node-1 / w1", lanes[0].(map[string]any)["lane"])
	tasks := m["tasks"].([]any)
	require.Len(t, tasks, 2)
	assert.Equal(t, "FAILED", tasks[1].(map[string]any)["status"])
	assert.EqualValues(t, 1, tasks[1].(map[string]any)["lane"])

	m = a.ok("GET", "/api/v1/timeline?from=1004.5&to=1005", "")
	assert.EqualValues(t, 1, m["total"], "those that ran then, also if they began before")
	assert.Equal(t, 1000.0, m["first_at"], "of all, so that one can zoom out")
	m = a.ok("GET", "/api/v1/timeline?from=2000&to=2001", "")
	assert.EqualValues(t, 0, m["total"])
	assert.Equal(t, 1006.0, m["last_at"])
}

func TestTimelineShowsATaskThatRunsUntilNow(t *testing.T) {
	a := start(t)
	a.stores.load(t, event("a", func(e *task.Event) {
		e.Name, e.Status, e.StartedAt, e.EndedAt = task.EventStarted, task.StatusRunning, 1000*second, 0
	}))
	m := a.ok("GET", "/api/v1/timeline", "")
	bar := m["tasks"].([]any)[0].(map[string]any)
	assert.Equal(t, true, bar["open"])
	assert.Greater(t, bar["ended_at"], 1_700_000_000.0)
}

func TestTimelineOfManyTasksKeepsTheirTime(t *testing.T) {
	a := start(t)
	var events []*task.Event
	n := int64(barsShown + 500)
	for i := range n {
		events = append(events, ran(fmt.Sprint(i), i%100, i%100+3, func(e *task.Event) {
			e.Activity = fmt.Sprintf("a%d", i%250)
			if i%10 == 0 {
				e.Status = task.StatusFailed
			}
		}))
	}
	a.stores.load(t, events...)
	m := a.ok("GET", "/api/v1/timeline?buckets=7", "")
	assert.Nil(t, m["tasks"])
	assert.EqualValues(t, 7, m["buckets"])
	lanes := m["lanes"].([]any)
	require.Len(t, lanes, lanesShown+1, "and the others as one")
	var busy float64
	var tasks, failed int64
	for _, l := range lanes {
		l := l.(map[string]any)
		tasks += l["tasks"].(int64)
		for i := range 7 {
			busy += l["busy"].([]any)[i].(float64)
			failed += l["failed"].([]any)[i].(int64)
		}
	}
	assert.InDelta(t, float64(3*n), busy, 1e-3)
	assert.Equal(t, n, tasks)
	assert.Equal(t, n/10, failed)

	m = a.ok("GET", "/api/v1/timeline?sample=1000", "")
	assert.EqualValues(t, 1000, m["looked_at"])
	assert.Equal(t, n, m["total"])
}

func TestTimelineRefuses(t *testing.T) {
	a := start(t)
	for parameters, field := range map[string]string{
		"by=statsu": "by", "by=used": "by", "from=yesterday": "from", "to=-3": "to", "from=5&to=5": "to", "buckets=0": "buckets",
		"buckets=1e9": "buckets", "sample=-1": "sample", "filter=nonsense": "filter", "filter=" + url.QueryEscape(`{"statsu":1}`): "filter.statsu",
		"lanes=3": "lanes",
	} {
		err := a.refused(http.StatusBadRequest, "GET", "/api/v1/timeline?"+parameters, "")
		assert.Equal(t, field, err["field"], parameters)
	}
}

func TestFieldsAreThoseOfTheTasks(t *testing.T) {
	a := start(t)
	var events []*task.Event
	for i := range int64(30) {
		events = append(events, event(fmt.Sprint(i), func(e *task.Event) {
			e.Used = map[string]any{"layers": i % 3, "cfg": map[string]any{"opt": "adam"}, "rate": float64(i) / 10}
			e.Generated = map[string]any{"name": fmt.Sprint("model", i)}
			if i == 0 {
				e.Used["rare"], e.Used["layers"] = true, "three"
			}
		}))
	}
	a.stores.load(t, events...)
	m := a.ok("GET", "/api/v1/fields?filter="+url.QueryEscape(`{"activity_id":"train"}`), "")
	assert.EqualValues(t, 30, m["total"])
	fields := map[string]map[string]any{}
	for _, f := range m["fields"].([]any) {
		f := f.(map[string]any)
		fields[f["name"].(string)] = f
	}
	assert.Equal(t, "mixed", fields["used.layers"]["type"])
	assert.Equal(t, map[string]any{
		"name": "used.cfg.opt", "type": "text", "tasks": int64(30), "values": []any{"adam"}, "longest": int64(4),
	}, fields["used.cfg.opt"])
	assert.Equal(t, 2.9, fields["used.rate"]["max"])
	assert.Nil(t, fields["used.rate"]["values"], "too many to choose from")
	assert.EqualValues(t, 1, fields["used.rare"]["tasks"])
	assert.Equal(t, "text", fields["generated.name"]["type"])
	assert.Empty(t, a.ok("GET", "/api/v1/fields?filter="+url.QueryEscape(`{"activity_id":"none"}`), "")["fields"])
}

func TestFieldsAreBounded(t *testing.T) {
	a := start(t)
	used := map[string]any{"often": int64(1)}
	for i := range maxFields + 100 {
		used[fmt.Sprintf("key_%04d", i)] = int64(i)
	}
	a.stores.load(t, event("many", func(e *task.Event) { e.Used = used }),
		event("few", func(e *task.Event) { e.Used = map[string]any{"often": int64(2)} }))
	m := a.ok("GET", "/api/v1/fields", "")
	assert.Equal(t, true, m["truncated"])
	require.Len(t, m["fields"], maxFields)
	assert.Contains(t, task.JSON(m["fields"]), `"used.often"`, "the frequent ones stay")
}
