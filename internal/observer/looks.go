package observer

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Drainer is an observer that can be asked to bring everything over that its tool did before: Drain returns nil once a
// look that began after the call found nothing more and what it found was accepted by the pipeline. Only a
// shutdown may follow. Trouble is what went wrong at the last look.
type Drainer interface {
	Drain(ctx context.Context) error
	Trouble() error
}

// Looks lets somebody wait for a source: for a look that began after the call and left nothing to read. The source calls
// Begin before each look and End after it, with what it found delivered, and looks at once when Wake says so.
type Looks struct {
	mu      sync.Mutex
	begun   int64 // looks so far
	waiting map[chan struct{}]int64
	wake    chan struct{}
	err     error // of the last look
}

// NewLooks makes one.
func NewLooks() *Looks {
	return &Looks{waiting: map[chan struct{}]int64{}, wake: make(chan struct{}, 1)}
}

// Wake ends the pause of a source that somebody waits for.
func (l *Looks) Wake() <-chan struct{} { return l.wake }

// Waited says whether somebody waits: the source then does without the pauses that spare others.
func (l *Looks) Waited() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) > 0
}

// Err is what went wrong at the last look, nil if nothing did.
func (l *Looks) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Begin notes that a look begins.
func (l *Looks) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun++
}

// End notes that the look is over: with nothing left to read (complete), with more of it, or with what went wrong.
func (l *Looks) End(complete bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	if !complete || err != nil {
		return
	}
	for done, after := range l.waiting {
		if l.begun > after {
			close(done)
			delete(l.waiting, done)
		}
	}
}

// Drain waits until a look that began after the call, and after the delay, was complete. The delay is what the observed
// tool may hold back. Its error says what stood in the way.
func (l *Looks) Drain(ctx context.Context, delay time.Duration) error {
	select {
	case <-ctx.Done():
		return l.late(ctx)
	case <-time.After(delay):
	}
	done := make(chan struct{})
	l.mu.Lock()
	l.waiting[done] = l.begun
	l.mu.Unlock()
	// A source that pauses between tries looks again each time; the first wake ends only its present pause.
	select {
	case l.wake <- struct{}{}:
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		delete(l.waiting, done)
		l.mu.Unlock()
		return l.late(ctx)
	}
}

// AtEnd is Drain for an observer that its collector stops: it waits for timeout at most, not at all if that is zero.
func (l *Looks) AtEnd(ctx context.Context, timeout, delay time.Duration) error {
	if timeout <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return l.Drain(ctx, delay)
}

func (l *Looks) late(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return fmt.Errorf("not everything was read and accepted in time (%w): %w", ctx.Err(), l.err)
	}
	return fmt.Errorf("not everything was read and accepted in time: %w", ctx.Err())
}
