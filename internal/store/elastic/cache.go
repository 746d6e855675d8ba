package elastic

import (
	"container/list"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// stateCache keeps the states of tasks that were written lately, with the version that they have in the index: a task's
// start and end mostly lie close together, and a state that is known need not be read. Only the writer uses it. States in
// it are never changed.
type stateCache struct {
	limit, bytes int
	entries      map[string]*list.Element
	recent       *list.List // front = latest
}

type cachedState struct {
	id      string
	state   *task.State
	version version
	bytes   int
}

// stateOverhead stands for what a decoded state takes beyond its encoded bytes, as a factor.
const stateOverhead = 4

func newStateCache(limit int) *stateCache {
	return &stateCache{limit: limit, entries: map[string]*list.Element{}, recent: list.New()}
}

func (c *stateCache) get(id string) *cachedState {
	el, ok := c.entries[id]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(el)
	s, _ := el.Value.(*cachedState)
	return s
}

func (c *stateCache) put(id string, state *task.State, v version, encoded int) {
	c.remove(id)
	size := encoded * stateOverhead
	if size > c.limit/8 {
		return
	}
	c.entries[id] = c.recent.PushFront(&cachedState{id: id, state: state, version: v, bytes: size})
	c.bytes += size
	for c.bytes > c.limit {
		oldest, ok := c.recent.Back().Value.(*cachedState)
		if !ok {
			return
		}
		c.remove(oldest.id)
	}
}

func (c *stateCache) remove(id string) {
	el, ok := c.entries[id]
	if !ok {
		return
	}
	if s, ok := c.recent.Remove(el).(*cachedState); ok {
		c.bytes -= s.bytes
	}
	delete(c.entries, id)
}

func (c *stateCache) clear() {
	clear(c.entries)
	c.recent.Init()
	c.bytes = 0
}
