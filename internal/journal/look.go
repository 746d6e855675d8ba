package journal

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	// While the store writes one round, the next is made ready for it and another is read.
	leastUnderWay = 3
	// mostUnderWay bounds the memory: a round takes some 60 MB on its way.
	mostUnderWay = 16
	// measureRounds is how many rounds of a long look there are from one measurement of its lag to the next.
	measureRounds = 64
)

// underWay is how many rounds may be on their way at a time. With more cores more of them are made ready at a time, while a
// cluster is at as many others.
func underWay() int { return min(max(leastUnderWay, 2*runtime.GOMAXPROCS(0)-1), mostUnderWay) }

// Emit hands over a batch. It takes batches in their order; wait returns nil once the pipeline has accepted everything, and
// an error only when ctx ended.
type Emit = func(ctx context.Context, events []*task.Event) (wait func() error)

// inTurn makes an Emit that delivers a batch before it returns.
func inTurn(emit func(context.Context, []*task.Event) error) Emit {
	return func(ctx context.Context, events []*task.Event) func() error {
		err := emit(ctx, events)
		return func() error { return err }
	}
}

// look is what a reader found at one look at the directory.
type look struct {
	progress bool          // anything was read
	more     bool          // more can be read at once; lag does not tell, it counts what is refused and torn tails too
	waited   time.Duration // for the pipeline
}

// round is what was read together, on its way.
type round struct {
	parts []*part
	wait  func() error
	// checkpoints follow once the round and all before it was accepted, since they count what comes before them: else what
	// is on its way would be called missing.
	checkpoints []*task.Event
}

// look reads, a share of every observer at a time, while there is more. It hands over what it reads and goes on reading;
// positions move in order, each once all before it was accepted. Before a backlog is read it never waits for all that is on
// its way: the store would have nothing to do until new rounds are made ready.
func (r *Reader) look(ctx context.Context, emit Emit) (look, error) {
	var out look
	root, err := r.open()
	if err != nil || root == nil {
		r.report(r.opt.Directory, err)
		r.trouble = err
		return out, nil
	}
	defer root.Close()
	if err := r.claim(root); err != nil {
		r.report(r.opt.Directory, err)
		r.trouble = err
		return out, nil
	}
	var rounds []round
	settle := func(most int) error {
		for len(rounds) > most {
			first := rounds[0]
			began := time.Now()
			err := first.wait()
			if err == nil && len(first.checkpoints) > 0 {
				err = emit(ctx, first.checkpoints)()
			}
			out.waited += time.Since(began)
			if err != nil {
				r.rewind(rounds)
				rounds = nil
				return err
			}
			for _, p := range first.parts {
				r.commit(root, p)
			}
			rounds[0] = round{} // its events are not needed any more
			rounds = rounds[1:]
		}
		return nil
	}
	for n := 1; ; n++ {
		parts, more := r.next(root)
		progress := false
		var events []*task.Event
		for _, p := range parts {
			events = append(events, p.events...)
			progress = progress || p.moved() || p.done
			more = more || p.more || p.done && p.later
		}
		next := round{parts: parts, wait: func() error { return nil }}
		if len(rounds) > 0 { // else all of it may go together
			events, next.checkpoints = apart(events)
		}
		if len(events) > 0 {
			began := time.Now()
			next.wait = emit(ctx, events)
			out.waited += time.Since(began)
		}
		rounds = append(rounds, next)
		out.progress, out.more = out.progress || progress, more
		if err := settle(underWay() - 1); err != nil {
			return look{}, err
		}
		if !more || !progress || ctx.Err() != nil {
			break
		}
		if n%measureRounds == 0 {
			r.measure()
		}
	}
	if err := settle(0); err != nil {
		return look{}, err
	}
	r.measure()
	return out, nil
}

// next reads one share of every observer that may have news.
func (r *Reader) next(root *os.Root) (parts []*part, more bool) {
	plan, more, err := r.plan(root, time.Now())
	r.report(r.opt.Directory, err)
	r.trouble = err
	if len(plan) == 0 {
		return nil, false
	}
	return r.read(root, plan), more
}

// rewind waits for what is still on its way, and forgets that it was read: it will be read again.
func (r *Reader) rewind(rounds []round) {
	for _, later := range rounds[1:] {
		_ = later.wait() // the first one's error is told
	}
	clear(r.over)
	for _, s := range r.segs {
		s.pos, s.final, s.ended, s.quiet = s.accepted, s.acceptedFinal, false, false
	}
}

func isCheckpoint(e *task.Event) bool { return e.Name == task.EventCheckpoint }

// apart takes the checkpoints out of events.
func apart(events []*task.Event) (others, checkpoints []*task.Event) {
	others = events[:0]
	for _, e := range events {
		if isCheckpoint(e) {
			checkpoints = append(checkpoints, e)
		} else {
			others = append(others, e)
		}
	}
	return others, checkpoints
}
