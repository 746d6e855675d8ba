package elastic

import "github.com/otelcol-mida/otelcol-mida/internal/store/view"

// stateCache keeps the states of tasks that were written lately, with the version that they have in the index.
type stateCache struct{ recent *view.Cache[*cachedState] }

// cachedState is a state as bytes: to decode one costs less than the garbage collector's walks through thousands of decoded
// ones.
type cachedState struct {
	encoded []byte
	version version
}

// stateOverhead stands for what an entry of the cache takes beyond the bytes of its state.
const stateOverhead = 200

func newStateCache(limit int) *stateCache { return &stateCache{view.NewCache[*cachedState](limit)} }

// get returns nil for a task that is not in the cache.
func (c *stateCache) get(id string) *cachedState {
	s, _ := c.recent.Get(id)
	return s
}

func (c *stateCache) put(id string, encoded []byte, v version) {
	c.recent.Put(id, &cachedState{encoded, v}, len(encoded)+stateOverhead)
}

func (c *stateCache) clear() { c.recent.Clear() }
