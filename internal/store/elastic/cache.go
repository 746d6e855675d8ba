package elastic

import (
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// stateCache keeps the states of tasks that were written lately, with the version that they have in the index. States in
// it are never changed.
type stateCache struct{ recent *view.Cache[*cachedState] }

type cachedState struct {
	state   *task.State
	version version
}

// stateOverhead stands for what a decoded state takes beyond its encoded bytes, as a factor.
const stateOverhead = 4

func newStateCache(limit int) *stateCache { return &stateCache{view.NewCache[*cachedState](limit)} }

// get returns nil for a task that is not in the cache.
func (c *stateCache) get(id string) *cachedState {
	s, _ := c.recent.Get(id)
	return s
}

func (c *stateCache) put(id string, state *task.State, v version, encoded int) {
	c.recent.Put(id, &cachedState{state, v}, encoded*stateOverhead)
}

func (c *stateCache) clear() { c.recent.Clear() }
