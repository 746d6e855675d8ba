package elastic

import (
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// dispatcher sends calls on their way, in groups:
//
//	waiting ──▶ tasks, claims, records ──▶ observers ──▶ done
//	             several groups at a time   all that are there at a time
//
// A task is in one group at a time, so that no document is written twice at once, and groups grow with the load: small
// ones wait for each other while one is on its way. Observers come last, so that none is ever complete before its tasks
// are there. All of it belongs to the writer's goroutine, apart from what runs in a group's own.
type dispatcher struct {
	store   *Store
	waiting []*call
	tasks   map[string]bool // that are on their way
	running int             // groups whose tasks are on their way
	stored  []*group        // groups whose tasks are stored
	marking bool            // observers are on their way
	back    chan func()     // what the writer does for a group that is back
}

// group are calls that are written together.
type group struct {
	calls []*call
	batch *view.Batch
	ready map[string]*prepared
	ids   []string // of its tasks
}

const (
	// worthwhile is the number of events from which on a group goes beside others.
	worthwhile = 500
)

func newDispatcher(s *Store) *dispatcher {
	return &dispatcher{store: s, tasks: map[string]bool{}, back: make(chan func())}
}

func (d *dispatcher) idle() bool { return d.running == 0 && len(d.stored) == 0 && !d.marking }

// next sends all that may go.
func (d *dispatcher) next() {
	for d.start() {
	}
	if len(d.stored) > 0 && !d.marking {
		d.mark()
	}
}

// start sends the first of what waits, and says whether there may be more.
func (d *dispatcher) start() bool {
	if len(d.waiting) == 0 {
		return false
	}
	s := d.store
	if c := d.waiting[0]; c.special != nil {
		if !d.idle() {
			return false
		}
		d.waiting = d.waiting[1:]
		c.err = c.special(s.alive)
		s.forget()
		close(c.done)
		return true
	}
	if limit, _ := s.pace.now(); d.running >= limit {
		return false
	}
	calls, rest, events := d.choose()
	if len(calls) == 0 || d.running > 0 && events < worthwhile {
		return false
	}
	d.waiting = rest
	g := newGroup(calls)
	for _, id := range g.ids {
		d.tasks[id] = true
	}
	d.running++
	go func() {
		err := s.writeTasks(s.alive, g)
		d.back <- func() {
			d.running--
			for _, id := range g.ids {
				delete(d.tasks, id)
			}
			if err != nil {
				s.forget()
				g.end(err)
				return
			}
			d.stored = append(d.stored, g)
		}
	}()
	return true
}

// choose takes calls that may go together. Calls whose tasks are on their way stay behind, and so do those that share a
// task with one that stays.
func (d *dispatcher) choose() (calls, rest []*call, events int) {
	staying := map[string]bool{}
	for i, c := range d.waiting {
		if c.special != nil || events > 0 && events+c.batch.Events > d.store.opts.BatchEvents {
			return calls, append(rest, d.waiting[i:]...), events
		}
		stays := false
		for id, t := range c.batch.Tasks {
			if stays = t.State != nil && (d.tasks[id] || staying[id]); stays {
				break
			}
		}
		if !stays {
			calls = append(calls, c)
			events += c.batch.Events
			continue
		}
		for id := range c.batch.Tasks {
			staying[id] = true
		}
		rest = append(rest, c)
	}
	return calls, rest, events
}

// mark writes the observers of the groups whose tasks are stored.
func (d *dispatcher) mark() {
	groups := d.stored
	d.stored, d.marking = nil, true
	s := d.store
	go func() {
		err := s.writeObservers(s.alive, groups)
		d.back <- func() {
			d.marking = false
			if err != nil {
				s.forget()
			}
			for _, g := range groups {
				if err == nil {
					s.batches.Wrote(g.batch.Events, len(g.calls), time.Now())
				}
				g.end(err)
			}
		}
	}()
}

// newGroup merges the batches of calls.
func newGroup(calls []*call) *group {
	g := &group{calls: calls, batch: calls[0].batch, ready: calls[0].ready}
	for i, c := range calls {
		if i == 0 {
			continue
		}
		if g.ready == nil {
			g.ready = map[string]*prepared{}
		}
		for id, t := range c.batch.Tasks {
			switch other := g.batch.Tasks[id]; {
			case other != nil && other.State != nil && t.State != nil:
				delete(g.ready, id) // more than one call has a part of it
			case c.ready[id] != nil:
				g.ready[id] = c.ready[id]
			}
		}
		g.batch.Merge(c.batch)
	}
	for id, t := range g.batch.Tasks {
		if t.State != nil {
			g.ids = append(g.ids, id)
		}
	}
	return g
}

func (g *group) end(err error) {
	for _, c := range g.calls {
		c.err = err
		close(c.done)
	}
}
