package elastic

import (
	"runtime"
	"slices"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// dispatcher sends calls on their way, in groups:
//
//	waiting ──▶ tasks, claims, records ──▶ observers ──▶ done
//	             several groups at a time   all that are there at a time
//
// A task is in one group at a time, so that no document is written twice at once; what of a call is on its way already
// follows in a later group. Groups grow with the load: small calls wait for each other while one is on its way. A call's
// observers come after all of it, so that none is ever complete before its tasks are there. All of it belongs to the
// writer's goroutine, apart from what runs in a group's own.
type dispatcher struct {
	store   *Store
	waiting []*call
	tasks   map[string]bool // that are on their way
	running int             // groups whose tasks are on their way
	stored  []*call         // whose tasks are all stored
	marking bool            // observers are on their way
	back    chan func()     // what the writer does for a group that is back
}

// portion is what of a call goes in one group.
type portion struct {
	call      *call
	ids, stay []string // of its tasks: those that go, and those that are on their way for another call
	events    int
}

// group is what is written together.
type group struct {
	calls  []*call
	batch  *view.Batch // has no observers: these are the calls'
	ready  map[string]*prepared
	ids    []string // of its tasks
	events int
}

// worthwhile is the number of events from which on a group goes beside others.
const worthwhile = 500

// ahead is how many groups there may be for which there is no room in the server. Where there are cores, some are made
// ready meanwhile.
func ahead() int { return runtime.GOMAXPROCS(0) / 4 }

func newDispatcher(s *Store) *dispatcher {
	return &dispatcher{store: s, tasks: map[string]bool{}, back: make(chan func())}
}

func (d *dispatcher) idle() bool { return d.running == 0 && len(d.stored) == 0 && !d.marking }

// add takes a new call.
func (d *dispatcher) add(c *call) {
	if c.special == nil {
		c.left = c.batch.Order
	}
	d.waiting = append(d.waiting, c)
}

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
	if limit, _ := s.pace.now(); d.running >= limit+ahead() {
		return false
	}
	portions, events := d.choose()
	if !d.worth(portions, events) {
		return false
	}
	g := d.group(portions)
	d.running++
	go func() {
		err := s.writeTasks(s.alive, g)
		d.back <- func() { d.written(g, err) }
	}()
	return true
}

// worth says whether a group goes now. One that ends a call does, however small: the call waits for nothing else, and with
// it its sender, who may send no more before.
func (d *dispatcher) worth(portions []portion, events int) bool {
	return len(portions) > 0 && (d.running == 0 || events >= worthwhile || portions[0].call.begun)
}

// choose says what may go together: of each call the tasks that are not on their way.
func (d *dispatcher) choose() (portions []portion, events int) {
	for _, c := range d.waiting {
		if c.special != nil || events > 0 && events+c.batch.Events > d.store.opts.BatchEvents {
			break
		}
		p := portion{call: c}
		for _, id := range c.left {
			t := c.batch.Tasks[id]
			if t.State != nil && d.tasks[id] {
				p.stay = append(p.stay, id)
				continue
			}
			p.ids = append(p.ids, id)
			p.events += len(t.Events)
		}
		if !c.begun {
			p.events = c.batch.Events // but for what stays
			for _, id := range p.stay {
				p.events -= len(c.batch.Tasks[id].Events)
			}
		} else if len(p.ids) == 0 {
			continue
		}
		portions = append(portions, p)
		events += p.events
	}
	return portions, events
}

// group makes one of portions, which wait no longer.
func (d *dispatcher) group(portions []portion) *group {
	g := &group{batch: view.NewBatch(), ready: map[string]*prepared{}}
	for _, p := range portions {
		c := p.call
		g.calls = append(g.calls, c)
		g.events += p.events
		for _, id := range p.ids {
			g.take(id, c.batch.Tasks[id], c.ready[id])
		}
		if !c.begun {
			g.batch.Merge(&view.Batch{Workflows: c.batch.Workflows, Environments: c.batch.Environments, Entities: c.batch.Entities})
		}
		c.begun, c.left = true, p.stay
		c.underWay++
	}
	d.waiting = slices.DeleteFunc(d.waiting, func(c *call) bool { return c.special == nil && c.begun && len(c.left) == 0 })
	for id, t := range g.batch.Tasks {
		if t.State != nil {
			g.ids = append(g.ids, id)
			d.tasks[id] = true
		}
	}
	return g
}

// take adds a call's part of a task.
func (g *group) take(id string, t *view.Task, ready *prepared) {
	other := g.batch.Tasks[id]
	switch {
	case other == nil:
		g.batch.Tasks[id] = t
		g.batch.Order = append(g.batch.Order, id)
	case other.State != nil && t.State != nil:
		ready = nil // more than one call has a part of it
		delete(g.ready, id)
		other.Merge(t)
	default:
		other.Merge(t)
	}
	if ready != nil {
		g.ready[id] = ready
	}
}

// written takes a group back. A call of which all is stored goes on to its observers; one that failed is over once none of
// it is under way, for its sender repeats all of it.
func (d *dispatcher) written(g *group, err error) {
	d.running--
	for _, id := range g.ids {
		delete(d.tasks, id)
	}
	if err != nil {
		d.store.forget()
	} else {
		d.store.batches.Wrote(g.events, len(g.calls), time.Now())
	}
	for _, c := range g.calls {
		c.underWay--
		if err != nil {
			c.err, c.left = err, nil
		}
		switch {
		case c.underWay > 0 || len(c.left) > 0:
		case c.err != nil:
			close(c.done)
		default:
			d.stored = append(d.stored, c)
		}
	}
	d.waiting = slices.DeleteFunc(d.waiting, func(c *call) bool { return c.err != nil })
}

// mark writes the observers of the calls whose tasks are stored.
func (d *dispatcher) mark() {
	calls := d.stored
	d.stored, d.marking = nil, true
	s := d.store
	go func() {
		err := s.writeObservers(s.alive, calls)
		d.back <- func() {
			d.marking = false
			if err != nil {
				s.forget()
			}
			for _, c := range calls {
				c.err = err
				close(c.done)
			}
		}
	}()
}
