package sqlite

import "container/list"

// stateCache keeps the states of tasks that were written lately, since a task's start and end mostly lie close together.
// They are kept as bytes: to decode one costs less than the garbage collector's walks through thousands of decoded ones.
// Only the writer uses the cache.
type stateCache struct {
	limit, bytes int
	entries      map[string]*list.Element
	recent       *list.List // front = latest
}

type cachedState struct {
	id      string
	n       int64
	encoded []byte
}

// entryOverhead stands for what an entry takes beyond the bytes of its state.
const entryOverhead = 300

func (s *cachedState) size() int { return len(s.encoded) + entryOverhead }

func newStateCache(limit int) *stateCache {
	return &stateCache{limit: limit, entries: map[string]*list.Element{}, recent: list.New()}
}

func (c *stateCache) get(id string) (*cachedState, bool) {
	el, ok := c.entries[id]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(el)
	s, ok := el.Value.(*cachedState)
	return s, ok
}

func (c *stateCache) put(id string, n int64, encoded []byte) {
	c.remove(id)
	s := &cachedState{id: id, n: n, encoded: encoded}
	if s.size() > c.limit/8 {
		return
	}
	c.entries[id] = c.recent.PushFront(s)
	c.bytes += s.size()
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
		c.bytes -= s.size()
	}
	delete(c.entries, id)
}

func (c *stateCache) clear() {
	clear(c.entries)
	c.recent.Init()
	c.bytes = 0
}
