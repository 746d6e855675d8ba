package observer

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Batch bounds how much an observer collects before it delivers it.
type Batch struct {
	// MinInterval is the shortest pause between two looks at what is observed, at least 10ms: how soon the first change
	// after a quiet time is seen.
	MinInterval time.Duration `mapstructure:"min_interval"`
	// MaxInterval is the longest one, at most 1m: how old a change gets at most before it is delivered, unless there is
	// more than can be delivered.
	MaxInterval time.Duration `mapstructure:"max_interval"`
	// MaxEvents is how many events one request to the pipeline has at most, 1 to 100000.
	MaxEvents int `mapstructure:"max_events"`
}

// DefaultBatch keeps a change visible within a second: a writer of a journal holds it for 100 ms, a commit takes some more.
func DefaultBatch() Batch {
	return Batch{MinInterval: 100 * time.Millisecond, MaxInterval: 400 * time.Millisecond, MaxEvents: 8000}
}

const (
	leastInterval = 10 * time.Millisecond
	mostInterval  = time.Minute
	mostEvents    = 100_000
)

// Validate names every key that cannot work.
func (b Batch) Validate() error {
	var errs []error
	if b.MinInterval < leastInterval || b.MinInterval > mostInterval {
		errs = append(errs, fmt.Errorf("min_interval: %s; want %s to %s", b.MinInterval, leastInterval, mostInterval))
	}
	if b.MaxInterval < b.MinInterval || b.MaxInterval > mostInterval {
		errs = append(errs, fmt.Errorf("max_interval: %s; want min_interval (%s) to %s", b.MaxInterval, b.MinInterval, mostInterval))
	}
	if b.MaxEvents < 1 || b.MaxEvents > mostEvents {
		errs = append(errs, fmt.Errorf("max_events: %d; want 1 to %d", b.MaxEvents, mostEvents))
	}
	return errors.Join(errs...)
}

// Fixed is b with one pause instead of two bounds, unless that is zero.
func (b Batch) Fixed(pause time.Duration) Batch {
	if pause > 0 {
		b.MinInterval, b.MaxInterval = pause, pause
	}
	return b
}

// idleFactor is how many times as long as a look at the source, with the delivery of what it found, the time to the next
// one is. Looks and deliveries then take at most one part in 50 of the time, as far as the bounds allow.
const idleFactor = 50

// Pace chooses the pauses of an observer from what its looks cost. What comes in a trickle is delivered soon, for that is
// cheap. The more there is, and the slower the store or the busier the machine, the longer the pauses and the larger
// the deliveries, of which each has a price of its own. A look that left something to read is followed by the next
// without a pause, which is the observer's to do.
type Pace struct {
	bounds   Batch
	interval atomic.Int64
}

// NewPace makes a pace.
func NewPace(bounds Batch) *Pace {
	p := &Pace{bounds: bounds}
	p.interval.Store(int64(bounds.MinInterval))
	return p
}

// After returns the pause after a look and a delivery that took so long. The delivery counts as a part of the pause:
// while it lasted, what is delivered next has gathered.
func (p *Pace) After(look, delivery time.Duration) time.Duration {
	interval := min(max(idleFactor*(look+delivery), p.bounds.MinInterval), p.bounds.MaxInterval)
	pause := max(interval-delivery, 0)
	p.interval.Store(int64(pause))
	return pause
}

// Rest returns the longest pause, for a source that cannot be read.
func (p *Pace) Rest() time.Duration {
	p.interval.Store(int64(p.bounds.MaxInterval))
	return p.bounds.MaxInterval
}

// Interval is the present pause.
func (p *Pace) Interval() time.Duration { return time.Duration(p.interval.Load()) }

// Longest is the longest pause.
func (p *Pace) Longest() time.Duration { return p.bounds.MaxInterval }
