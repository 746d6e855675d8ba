package view

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A cache keeps to its bytes: what was not used for the longest time goes first, and nothing large drives out all others.
func TestCacheKeepsToItsBytes(t *testing.T) {
	c := NewCache[int](80)
	for i, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		c.Put(id, i, 10)
	}
	_, ok := c.Get("a")
	require.True(t, ok)
	c.Put("i", 8, 10)
	_, ok = c.Get("b")
	require.False(t, ok, "all are as large, and it was used the longest ago")
	c.Put("huge", 9, 11)
	_, ok = c.Get("huge")
	require.False(t, ok)
	c.Put("a", 10, 1)
	c.Put("j", 11, 9)
	for id, want := range map[string]int{"a": 10, "c": 2, "i": 8, "j": 11} {
		got, ok := c.Get(id)
		require.True(t, ok, id)
		require.Equal(t, want, got)
	}
	c.Put("a", 12, 11) // too large now: the old value must not stay
	c.Remove("c")
	for _, id := range []string{"a", "c"} {
		_, ok := c.Get(id)
		require.False(t, ok, id)
	}
	c.Clear()
	_, ok = c.Get("j")
	require.False(t, ok)
	for range 3 {
		c.Put("k", 1, 10)
	}
	require.Equal(t, 10, c.bytes)
}
