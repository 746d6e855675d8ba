// Package basehash has the names of the profiler's package, and none of its deeds.
package basehash

const absent = "profiles are not supported in this build"

type Hash128 struct{}

func New128(_, _ uint64) Hash128              { panic(absent) }
func New128FromBytes([]byte) (Hash128, error) { panic(absent) }
func (Hash128) Bytes() []byte                 { panic(absent) }
func (Hash128) Base64() string                { panic(absent) }
