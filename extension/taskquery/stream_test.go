package taskquery

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// listener reads a stream.
type listener struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func (a *api) listen(lastID string) *listener {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	a.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/api/v1/stream", nil)
	require.NoError(a.t, err)
	r.Header.Set("Authorization", "Bearer "+a.token)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(a.t, err)
	a.t.Cleanup(func() { _ = resp.Body.Close() })
	require.Equal(a.t, http.StatusOK, resp.StatusCode)
	require.Equal(a.t, "text/event-stream", resp.Header.Get("Content-Type"))
	return &listener{t: a.t, lines: bufio.NewScanner(resp.Body), cancel: cancel}
}

// next returns the next event, not a comment.
func (l *listener) next() (id, name, data string) {
	l.t.Helper()
	for l.lines.Scan() {
		key, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch key {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			return id, name, value
		}
	}
	require.Fail(l.t, "the stream ended")
	return "", "", ""
}

func TestStreamTellsChangesAndGoesOnWhereItWas(t *testing.T) {
	a := start(t)
	first := a.listen("")
	id, name, data := first.next()
	assert.Equal(t, "ready", name)
	assert.Equal(t, `{"takes_observers":false}`, data)
	a.stores.load(t, event("a", nil))
	// The first look may have come after the task: then the second task is what changes.
	require.Eventually(t, func() bool {
		a.server.changes.mu.Lock()
		defer a.server.changes.mu.Unlock()
		return a.server.changes.seen != nil
	}, time.Minute, 10*time.Millisecond)
	a.stores.load(t, event("b", nil))
	newer, name, data := first.next()
	assert.Equal(t, "change", name)
	assert.NotEqual(t, id, newer)
	v, err := task.DecodeJSON([]byte(data))
	require.NoError(t, err)
	row := v.(map[string]any)["campaigns"].([]any)[0].(map[string]any)
	assert.Equal(t, "c1", row["campaign_id"])
	first.cancel()

	again := a.listen(id) // it missed the change
	resumed, name, data := again.next()
	assert.Equal(t, "change", name)
	assert.Contains(t, data, `"c1"`)
	assert.GreaterOrEqual(t, resumed, newer)

	_, name, _ = a.listen("other-12").next() // of another process
	assert.Equal(t, "reset", name)
}

func TestStreamsEndWithTheServer(t *testing.T) {
	a := start(t)
	l := a.listen("")
	l.next()
	require.NoError(t, a.server.Shutdown(context.Background()))
	for l.lines.Scan() {
	}
	assert.False(t, a.server.changes.watch(), "no new stream")
	a.server.http = nil
}

func campaign(tasks int64, running int64) store.Campaign {
	return store.Campaign{ID: "c", Tasks: tasks, ByStatus: map[string]int64{"RUNNING": running, "FINISHED": tasks - running}}
}

func TestChangesAreComparedAndBounded(t *testing.T) {
	c := newChanges(nil, nil)
	seen := func(list ...store.Campaign) map[string]store.Campaign {
		m := map[string]store.Campaign{}
		for _, x := range list {
			m[x.ID] = x
		}
		return m
	}
	other := store.Campaign{ID: "other", Tasks: 1, ByStatus: map[string]int64{"FINISHED": 1}}
	c.note(seen(campaign(1, 1), other), 5)
	_, now, _, known, _ := c.since(0)
	assert.True(t, known)
	assert.EqualValues(t, 0, now, "what there was before is no change")

	c.note(seen(campaign(1, 1), other), 5)
	_, now, _, _, _ = c.since(0)
	assert.EqualValues(t, 0, now)

	c.note(seen(campaign(1, 1), other), 6) // a value of the running task
	list, now, _, _, _ := c.since(0)
	assert.EqualValues(t, 1, now)
	require.Len(t, list, 1)
	assert.Equal(t, "c", list[0].ID)

	c.note(seen(campaign(2, 1)), 6) // the other one was deleted
	list, _, _, _, _ = c.since(1)
	require.Len(t, list, 2)
	assert.Equal(t, store.Campaign{ID: "other"}, list[1])

	for i := int64(0); i < 2*changesKept; i++ {
		c.note(seen(campaign(3+i, 1)), 6)
	}
	assert.Len(t, c.kept, changesKept)
	_, _, _, known, _ = c.since(1)
	assert.False(t, known, "too old: it must ask anew")
	list, _, _, known, _ = c.since(now + 2*changesKept)
	assert.True(t, known)
	assert.Len(t, list, 1, "what was missed is one change")
}
