package view

import (
	"fmt"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Checkpoint is what an observer last said about itself.
type Checkpoint struct {
	At      int64  // unix ns
	Seq     int64  // of the checkpoint's own event
	LastSeq int64  // the last one that the observer has given away
	Dropped string // canonical JSON of [[first, last, reason], …]
	Final   bool
	Host    string
	Record  string // canonical JSON of what else it says, "{}" when nothing
}

// ownKeys are the keys of a checkpoint's record that have a place of their own.
var ownKeys = []string{"last_seq", "dropped", "final", "host"}

func (b *Batch) addCheckpoint(e *task.Event) error {
	m, ok := e.Record.(map[string]any)
	if !ok || e.ObserverID == "" {
		return fmt.Errorf("event %q: observer is %q and its record a %T; want an id and a map", e.Name, e.ObserverID, e.Record)
	}
	c := &Checkpoint{At: e.Time, Seq: e.Seq, Dropped: "[]"}
	switch v := m["last_seq"].(type) {
	case nil:
	case int64:
		c.LastSeq = v
	default:
		return fmt.Errorf("event %q: last_seq is %s; want an integer", e.Name, task.JSON(v))
	}
	switch v := m["dropped"].(type) {
	case nil:
	case []any:
		c.Dropped = task.JSON(v)
	default:
		return fmt.Errorf("event %q: dropped is %s; want a list of [first, last, reason]", e.Name, task.JSON(v))
	}
	c.Final, _ = m["final"].(bool)
	c.Host, _ = e.Resource["host.name"].(string)
	if h, ok := m["host"].(string); ok {
		c.Host = h
	}
	more := make(map[string]any, len(m))
	for name, v := range m {
		if !slices.Contains(ownKeys, name) {
			more[name] = v
		}
	}
	c.Record = task.JSON(more)
	b.putCheckpoint(Observer{e.ObserverID, e.Campaign}, c)
	return nil
}

func (b *Batch) putCheckpoint(k Observer, c *Checkpoint) {
	if old := b.Checkpoints[k]; old == nil || old.Less(c) {
		b.Checkpoints[k] = c
	}
}

// Less orders checkpoints of one observer: the one that has given more numbers away holds, of equal ones the later. Numbers
// go on when an observer is started again; its clock may have been set back meanwhile.
func (c *Checkpoint) Less(o *Checkpoint) bool {
	switch {
	case c.LastSeq != o.LastSeq:
		return c.LastSeq < o.LastSeq
	case c.At != o.At:
		return c.At < o.At
	case c.Seq != o.Seq:
		return c.Seq < o.Seq
	case c.Final != o.Final:
		return o.Final
	case c.Dropped != o.Dropped:
		return c.Dropped < o.Dropped
	case c.Host != o.Host:
		return c.Host < o.Host
	default:
		return c.Record < o.Record
	}
}
