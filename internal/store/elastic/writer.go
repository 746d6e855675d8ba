package elastic

import (
	"context"
	"runtime"
	"sync"

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

	// Of the dispatcher.
	left     []string // tasks that are on their way for another call, and go when they are back
	begun    bool     // some of it went
	underWay int      // groups that have some of it
}

// prepared is what the state of one call alone would become in the index. Most tasks are new, and their callers make this
// in parallel, outside of the one writer.
type prepared struct {
	row     *row // nil once body is made
	encoded []byte
	body    []byte // nil: not made yet
	spilled int
}

func (p *prepared) makeBody(f *fields) {
	if p.body == nil {
		p.body, p.spilled = p.row.body(f, p.encoded, false)
		p.row = nil
	}
}

// Write implements store.Writer. What is written is seen by every query that starts afterwards: queries refresh.
func (s *Store) Write(ctx context.Context, events []*task.Event) ([]store.Rejected, error) {
	if len(events) == 0 {
		return nil, nil
	}
	c := &call{done: make(chan struct{}), batch: view.NewBatch()}
	c.batch.Borrow = true // what outlives the call, the cache, keeps states as bytes
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
	var ids []string
	for id, t := range c.batch.Tasks {
		if t.State != nil {
			ids = append(ids, id)
		}
	}
	made := make([]*prepared, len(ids))
	spread(len(ids), func(i int) {
		state := c.batch.Tasks[ids[i]].State
		made[i] = &prepared{row: makeRow(state), encoded: state.Encode()}
	})
	names := map[string]bool{}
	c.ready = make(map[string]*prepared, len(ids))
	for i, id := range ids {
		made[i].row.newFields(names)
		c.ready[id] = made[i]
	}
	if err := s.fields.admit(ctx, s, names); err != nil {
		return err
	}
	spread(len(made), func(i int) { made[i].makeBody(&s.fields) })
	return nil
}

// spread calls f for each number below n, on a few goroutines where there are cores: the sooner a call is made ready, the
// fewer must be on their way for the server to have work.
func spread(n int, f func(int)) {
	const share = 100
	workers := min(max(1, runtime.GOMAXPROCS(0)/4), (n+share-1)/share)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		})
	}
	group.Wait()
}

// submit hands a call to the writer and waits. A caller whose time ends does not hear what became of it.
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

// writer serves the queue until it is closed and all is done.
func (s *Store) writer() {
	defer close(s.writerDone)
	d := newDispatcher(s)
	for queue := s.queue; queue != nil || len(d.waiting) > 0 || !d.idle(); d.next() {
		select {
		case c, open := <-queue:
			if !open {
				queue = nil
				continue
			}
			d.add(c)
		case done := <-d.back:
			done()
		}
	}
}

// forget drops all that is remembered of the index.
func (s *Store) forget() {
	s.states.Clear()
	s.memory.Lock()
	defer s.memory.Unlock()
	clear(s.seen)
}

// writeTasks brings in all of a group but its observers.
func (s *Store) writeTasks(ctx context.Context, g *group) error {
	entries, err := s.taskEntries(ctx, g.batch, g.ready)
	if err != nil {
		return err
	}
	entries = append(entries, s.recordEntries(g.batch)...)
	if err := s.settle(ctx, entries); err != nil {
		return err
	}
	s.transactions.Add(1)
	return nil
}

// writeObservers brings in what calls say of their observers, but for events that were rejected.
func (s *Store) writeObservers(ctx context.Context, calls []*call) error {
	b := view.NewBatch()
	for _, c := range calls {
		for _, r := range c.rejected.List {
			c.batch.Reject(r.Event)
		}
		b.Merge(&view.Batch{
			Checkpoints: c.batch.Checkpoints, Seqs: c.batch.Seqs, Finished: c.batch.Finished, Ranges: c.batch.Ranges, Counted: c.batch.Counted,
		})
	}
	observed, err := s.observerEntries(ctx, b)
	if err != nil {
		return err
	}
	return s.settle(ctx, observed)
}
