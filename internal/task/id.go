package task

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

const idVersion = "mida/v1"

// Ref names a task by its identity: the tool, the execution in which the key is unique, and the tool's own id.
type Ref struct {
	Kind, Scope, Key string
}

// ID is the unique task id: 32 hex digits.
func (r Ref) ID() string {
	sum := digest(idVersion, "task", r.Kind, r.Scope, r.Key)
	return hex.EncodeToString(sum[:16])
}

// SpanID is the id of the task's span and of its log records.
func (r Ref) SpanID() [8]byte {
	sum := digest(idVersion, "span", r.Kind, r.Scope, r.Key)
	return [8]byte(sum[:8])
}

// TraceID is the id shared by all tasks of one execution: the scheduler's id, the root run, the log run.
func TraceID(kind, execution string) [16]byte {
	sum := digest(idVersion, "trace", kind, execution)
	return [16]byte(sum[:16])
}

// digest hashes length-prefixed parts, so that no two lists of parts have the same input.
func digest(parts ...string) [sha256.Size]byte {
	var room [256]byte
	buf := room[:0]
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(p)))
		buf = append(buf, p...)
	}
	return sha256.Sum256(buf)
}
