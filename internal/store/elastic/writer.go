package elastic

import (
	"context"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// call is one Write, or something else that must not run beside the writer.
type call struct {
	batch    *view.Batch
	ready    map[string]*prepared // by task
	rejected view.Rejections
	err      error
	done     chan struct{}
	special  func(context.Context) error
}

// prepared is what the state of one call alone would become in the index. Most tasks are new, and their callers make this
// in parallel, outside of the one writer.
type prepared struct {
	row     *row
	encoded []byte
	body    []byte // nil: not made yet
	spilled int
}

func (p *prepared) makeBody(f *fields) {
	if p.body == nil {
		p.body, p.spilled = p.row.body(f, p.encoded, false)
	}
}

// Write implements store.Writer. What is written is seen by every query that starts afterwards: queries refresh.
func (s *Store) Write(ctx context.Context, events []*task.Event) ([]store.Rejected, error) {
	if len(events) == 0 {
		return nil, nil
	}
	c := &call{done: make(chan struct{}), batch: view.NewBatch()}
	for _, e := range events {
		if err := c.batch.Add(&c.rejected, e); err != nil {
			c.rejected.Add(e, err)
		}
	}
	if c.batch.Events == 0 {
		return c.rejected.List, nil
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := s.prepare(ctx, c); err != nil {
		return nil, err
	}
	if err := s.submit(ctx, c); err != nil {
		return nil, err
	}
	return c.rejected.List, nil
}

// prepareFrom is the number of events from which on a batch is prepared: of few, the writer makes fewer in less time than
// it takes to make those of known tasks for nothing.
const prepareFrom = 200

// prepare does what the writer would do for tasks that are new to the store.
func (s *Store) prepare(ctx context.Context, c *call) error {
	if c.batch.Events < prepareFrom {
		return nil
	}
	c.ready = make(map[string]*prepared, len(c.batch.Tasks))
	names := map[string]bool{}
	for id, t := range c.batch.Tasks {
		if t.State != nil {
			p := &prepared{row: makeRow(t.State), encoded: t.State.Encode()}
			p.row.newFields(names)
			c.ready[id] = p
		}
	}
	if err := s.fields.admit(ctx, s, names); err != nil {
		return err
	}
	for _, p := range c.ready {
		p.makeBody(&s.fields)
	}
	return nil
}

// submit hands a call to the writer and waits. A caller whose time ends does not hear what became of it; nothing in the
// call is its own, apart from the events of rejections, which nobody reads then.
func (s *Store) submit(ctx context.Context, c *call) error {
	select {
	case s.queue <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// between runs f between two groups of the writer.
func (s *Store) between(ctx context.Context, f func(context.Context) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.submit(ctx, &call{done: make(chan struct{}), special: f})
}

// writer writes one group after the other: all calls that wait while one group is on its way make the next. So a task or
// an observer is on its way once at a time, however many callers report it, and the requests grow with the load.
func (s *Store) writer() {
	defer close(s.writerDone)
	for c := range s.queue {
		for c != nil {
			c = s.serve(c)
		}
	}
}

// serve writes a call together with all that wait behind it, and returns the first one that must stand alone.
func (s *Store) serve(first *call) (alone *call) {
	calls := []*call{first}
	var err error
	if first.special != nil {
		err = first.special(s.alive)
		s.forget()
	} else {
		events := first.batch.Events
		for events < s.opts.BatchEvents {
			more := s.waiting()
			if more == nil {
				break
			}
			if more.special != nil {
				alone = more
				break
			}
			calls = append(calls, more)
			events += more.batch.Events
		}
		if err = s.writeGroup(s.alive, calls); err != nil {
			s.forget()
		} else {
			s.batches.Wrote(events, len(calls), time.Now())
		}
	}
	for _, c := range calls {
		c.err = err
		close(c.done)
	}
	return alone
}

// waiting returns the next call, nil if none waits.
func (s *Store) waiting() *call {
	select {
	case c := <-s.queue: // nil once the queue is closed
		return c
	default:
		return nil
	}
}

// forget drops all that the writer remembers of the index.
func (s *Store) forget() {
	s.states.clear()
	clear(s.seen)
}

// writeGroup merges the batches of several calls and brings them in. Sequence numbers come last, so that an observer is
// never complete before its tasks are there.
func (s *Store) writeGroup(ctx context.Context, calls []*call) error {
	b, ready := calls[0].batch, map[string]*prepared{}
	for i, c := range calls {
		for id, t := range c.batch.Tasks {
			switch other := b.Tasks[id]; {
			case i > 0 && other != nil && other.State != nil && t.State != nil:
				delete(ready, id) // more than one call has a part of it
			case c.ready[id] != nil:
				ready[id] = c.ready[id]
			}
		}
		if i > 0 {
			b.Merge(c.batch)
		}
	}
	entries, err := s.taskEntries(ctx, b, ready)
	if err != nil {
		return err
	}
	entries = append(entries, s.recordEntries(b)...)
	if err := s.settle(ctx, entries); err != nil {
		return err
	}
	for _, c := range calls {
		for _, r := range c.rejected.List {
			b.Reject(r.Event)
		}
	}
	observed, err := s.observerEntries(ctx, b)
	if err != nil {
		return err
	}
	if err := s.settle(ctx, observed); err != nil {
		return err
	}
	s.transactions.Add(1)
	return nil
}
