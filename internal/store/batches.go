package store

import (
	"sync/atomic"
	"time"
)

// Batch is what shared one write to the database: calls of Write that came while another write was on its way go together.
type Batch struct {
	Events, Calls int64
	Interval      time.Duration // since the end of the write before; 0 of the first
}

// Batches remembers the last batch that a store wrote. Its zero value is ready; one goroutine writes.
type Batches struct {
	last  atomic.Pointer[Batch]
	ended time.Time
}

// Wrote notes a batch that was written.
func (b *Batches) Wrote(events, calls int, now time.Time) {
	batch := &Batch{Events: int64(events), Calls: int64(calls)}
	if !b.ended.IsZero() {
		batch.Interval = now.Sub(b.ended)
	}
	b.ended = now
	b.last.Store(batch)
}

// Last returns the last batch, false before the first.
func (b *Batches) Last() (Batch, bool) {
	if last := b.last.Load(); last != nil {
		return *last, true
	}
	return Batch{}, false
}
