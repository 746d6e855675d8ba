// Package libpf has the names of the profiler's package, and none of its deeds.
package libpf

const absent = "profiles are not supported in this build"

type FileID struct{}

func NewFileID(_, _ uint64) FileID            { panic(absent) }
func FileIDFromString(string) (FileID, error) { panic(absent) }
func FileIDFromBytes([]byte) (FileID, error)  { panic(absent) }
func (FileID) Bytes() []byte                  { panic(absent) }
func (FileID) Base64() string                 { panic(absent) }
func (FileID) IsZero() bool                   { panic(absent) }

type FrameType int

func FrameTypeFromString(string) FrameType { panic(absent) }
func (FrameType) IsError() bool            { panic(absent) }

type AddressOrLineno uint64
