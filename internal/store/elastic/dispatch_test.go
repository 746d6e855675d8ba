package elastic

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// callOf is a call that tells of these tasks, and of its own event's number.
func callOf(t *testing.T, seq int64, keys ...string) *call {
	c := &call{done: make(chan struct{}), batch: view.NewBatch()}
	for _, key := range keys {
		e := &task.Event{Name: task.EventStarted, Kind: "dask", Key: key, ObserverID: "o", Campaign: "c", Seq: seq}
		require.NoError(t, c.batch.Add(&c.rejected, e))
	}
	return c
}

func ids(keys ...string) (out []string) {
	for _, key := range keys {
		out = append(out, (&task.Event{Kind: "dask", Key: key}).ID())
	}
	return out
}

func closed(c *call) bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// offline is a dispatcher whose server is never asked.
func offline(t *testing.T) *dispatcher {
	s, err := Open(Options{Endpoints: []string{"http://127.0.0.1:1"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(t.Context())) })
	return newDispatcher(s)
}

// send makes a group of all that may go.
func send(d *dispatcher) *group {
	portions, _ := d.choose()
	d.running++
	return d.group(portions)
}

// A call does not wait for another one with which it shares a task: the task alone does, and the observers of the call.
func TestOnlySharedTasksWait(t *testing.T) {
	d := offline(t)
	first, second := callOf(t, 1, "a", "b"), callOf(t, 2, "b", "c")
	d.add(first)
	one := send(d)
	assert.ElementsMatch(t, ids("a", "b"), one.ids)
	d.add(second)
	assert.False(t, d.worth(d.choose()), "a small call waits for others")
	two := send(d)
	assert.Equal(t, ids("c"), two.ids)
	assert.Equal(t, 1, two.events)
	portions, _ := d.choose()
	assert.Empty(t, portions, "b is on its way")
	assert.False(t, d.worth(d.choose()))

	d.written(two, nil)
	assert.Empty(t, d.stored, "a part of the second call is not stored yet")
	d.written(one, nil)
	assert.Equal(t, []*call{first}, d.stored)
	d.running++ // another group
	assert.True(t, d.worth(d.choose()), "the end of a call does not wait")
	d.running--
	three := send(d)
	assert.Equal(t, ids("b"), three.ids)
	assert.Empty(t, d.waiting)
	d.written(three, nil)
	assert.Equal(t, []*call{first, second}, d.stored)
	assert.Empty(t, d.tasks)
	assert.False(t, closed(first) || closed(second), "their observers are not stored yet")
	assert.Equal(t, []int64{2, 2}, second.batch.Seqs[view.Observer{ID: "o", Campaign: "c"}])
}

// What two calls tell of a task goes together when none of it is on its way.
func TestATaskOfTwoCallsIsWrittenOnce(t *testing.T) {
	d := offline(t)
	first, second := callOf(t, 1, "a"), callOf(t, 2, "a", "b")
	for _, c := range []*call{first, second} {
		c.ready = map[string]*prepared{}
		for id := range c.batch.Tasks {
			c.ready[id] = &prepared{}
		}
		d.add(c)
	}
	g := send(d)
	assert.ElementsMatch(t, ids("a", "b"), g.ids)
	assert.Equal(t, 3, g.events)
	assert.Len(t, g.batch.Tasks[ids("a")[0]].Events, 2)
	assert.NotContains(t, g.ready, ids("a")[0], "what was made of a part is of no use")
	assert.Contains(t, g.ready, ids("b")[0])
}

// A call of which a part cannot be written fails as a whole, once nothing of it is under way; the rest of it is not tried.
func TestACallFailsAsAWhole(t *testing.T) {
	d := offline(t)
	first, second := callOf(t, 1, "a"), callOf(t, 2, "a", "b")
	d.add(first)
	one := send(d)
	d.add(second)
	two := send(d)
	refused := errors.New("refused")
	d.written(two, refused)
	assert.True(t, closed(second))
	assert.Equal(t, refused, second.err)
	assert.Empty(t, d.waiting)
	d.written(one, nil)
	assert.Equal(t, []*call{first}, d.stored)

	// The other order: the part that is under way ends well, later.
	third := callOf(t, 3, "a", "b")
	d.tasks[ids("a")[0]] = true
	d.add(third)
	three := send(d)
	delete(d.tasks, ids("a")[0])
	four := send(d)
	d.written(four, refused)
	assert.False(t, closed(third), fmt.Sprint("a part is under way: ", three.ids))
	d.written(three, nil)
	assert.True(t, closed(third))
	assert.Equal(t, refused, third.err)
}
