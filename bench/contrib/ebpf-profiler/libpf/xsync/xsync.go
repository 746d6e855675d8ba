// Package xsync has the names of the profiler's package, and none of its deeds.
package xsync

const absent = "profiles are not supported in this build"

// RWMutex can be made, because the exporter makes its caches at once, but not locked.
type RWMutex[T any] struct{ guarded T }

func NewRWMutex[T any](guarded T) RWMutex[T] { return RWMutex[T]{guarded: guarded} }
func (*RWMutex[T]) WLock() *T                { panic(absent) }
func (*RWMutex[T]) WUnlock(**T)              { panic(absent) }
