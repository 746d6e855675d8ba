// Package observer is what all receivers of this project share: a source that observes a tool, a callback that turns its
// changes into task events, and a sender that numbers, batches and delivers them.
package observer

import (
	"context"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Source watches or polls an external component (the paper's "observe"). C is one change of it: a journal record, a row,
// a line.
//
//  1. Observe runs until ctx ends and calls emit for each batch of changes, in order.
//  2. emit returns nil once every event made from the batch was accepted by the pipeline; only then may the source move
//     its position (journal acknowledgement, cursor, offset). It retries by itself and returns an error only when ctx
//     ended: the source then leaves its position where it is.
//  3. A fault of the component (missing file, locked database) is the source's to retry and to report.
type Source[C any] interface {
	Observe(ctx context.Context, emit func(context.Context, []C) error) error
}

// Callback decides whether a change is relevant and turns it into events (the paper's "callback"). It must not keep the
// change. An error names why this one change was dropped; it stops nothing.
type Callback[C any] func(change C) ([]*task.Event, error)

// Ahead is a source that reads on while what it read before is on its way. emit takes batches in their order and returns
// before they were accepted; wait answers as emit of a Source does. Only then may the source move its position, and only
// past what came before, too.
type Ahead[C any] interface {
	Source[C]
	ObserveAhead(ctx context.Context, emit func(context.Context, []C) (wait func() error)) error
}
