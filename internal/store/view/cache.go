package view

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache keeps what a store knows of the ids that it used lately, such as the states of tasks: a task's start and end mostly
// lie close together, and what is known need not be read. Its methods can be called by several goroutines at a time.
type Cache[V any] struct {
	mu           sync.Mutex
	limit, bytes int
	entries      *simplelru.LRU[string, cached[V]]
}

type cached[V any] struct {
	value V
	bytes int
}

// NewCache makes a cache that keeps values of up to limit bytes in all.
func NewCache[V any](limit int) *Cache[V] {
	c := &Cache[V]{limit: limit}
	c.entries, _ = simplelru.NewLRU(math.MaxInt, func(_ string, e cached[V]) { c.bytes -= e.bytes }) // fails for sizes below 1
	return c
}

// Get returns the value of an id, false when it is not kept.
func (c *Cache[V]) Get(id string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries.Get(id)
	return e.value, ok
}

// Put replaces the value of an id by one that takes that many bytes. One that would take more than an eighth of the cache is not kept.
func (c *Cache[V]) Put(id string, v V, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Remove(id)
	if bytes > c.limit/8 {
		return
	}
	c.entries.Add(id, cached[V]{v, bytes})
	for c.bytes += bytes; c.bytes > c.limit; {
		c.entries.RemoveOldest()
	}
}

// Remove forgets an id.
func (c *Cache[V]) Remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Remove(id)
}

// Clear forgets all.
func (c *Cache[V]) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Purge()
}
