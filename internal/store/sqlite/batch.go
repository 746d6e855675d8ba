package sqlite

import (
	"fmt"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// batch is what one or several Write calls want to store, grouped so that the database is touched once per task.
type batch struct {
	tasks        map[string]*pendingTask
	order        []string // ids of tasks, by first event
	workflows    map[string]*pendingTask
	environments map[string]*record
	entities     map[string]*record
	checkpoints  map[observerKey]*checkpoint
	seqs         map[observerKey][]seqNumber
	ranges       map[view.Observer]view.Ranges // of sequence numbers, from another store
	counted      map[view.Observer]int64       // how many of ranges told of an attempt that finished well
	events       int
}

// pendingTask is the part of a task's or a workflow's state that arrived in this batch.
type pendingTask struct {
	state  *task.State // nil when only claims arrived
	claims []task.Claim
	events []arrival
	// encoded and row are what state alone would become in the database; nil once something else was merged in. Of large
	// batches most tasks are new to the store, and their callers make this in parallel, outside of the one writer.
	encoded []byte
	row     *row
}

// arrival remembers which call an event came from, so that a rejection can be told to that call.
type arrival struct {
	call  *call
	event *task.Event
}

type record struct {
	time  int64
	value any
	json  string
}

type observerKey struct{ observer, campaign string }

type checkpoint struct {
	at, seq, lastSeq int64
	dropped          string
	final            bool
	host             string
	record           string // what else it says, a JSON object
}

// seqNumber is a sequence number that arrived.
type seqNumber struct {
	seq      int64
	finished bool // its event told that an attempt finished well
}

func numberOf(e *task.Event) seqNumber {
	return seqNumber{e.Seq, e.Status == task.StatusFinished && e.Attempt != task.NoAttempt && e.IsTask()}
}

// call is one Write.
type call struct {
	rejected []store.Rejected
	err      error
	done     chan struct{}
	batch    *batch
	// special, if set, is what to do instead, in a transaction of its own.
	special func(*session) error
}

func (c *call) reject(e *task.Event, err error) {
	c.rejected = append(c.rejected, store.Rejected{Event: e, Err: err})
}

func newBatch() *batch {
	return &batch{
		tasks: map[string]*pendingTask{}, workflows: map[string]*pendingTask{}, environments: map[string]*record{},
		entities: map[string]*record{}, checkpoints: map[observerKey]*checkpoint{}, seqs: map[observerKey][]seqNumber{},
	}
}

// add groups one event; an error says why it can never be stored.
func (b *batch) add(c *call, e *task.Event) error {
	switch {
	case e.IsTask():
		if e.Kind == "" || e.Key == "" {
			return fmt.Errorf("event %q has no identity: kind %q, scope %q, key %q; want a kind and a key", e.Name, e.Kind, e.Scope, e.Key)
		}
		b.addTask(c, e)
	case e.IsWorkflow():
		if e.WorkflowID == "" {
			return fmt.Errorf("event %q: workflow_id is empty", e.Name)
		}
		p := pendingOf(b.workflows, e.WorkflowID)
		p.apply(workflowFacet(e))
		p.events = append(p.events, arrival{c, e})
	case e.Name == task.EventEnvironment:
		if _, ok := e.Record.(map[string]any); !ok || e.Environment == "" {
			return fmt.Errorf("event %q: environment is %q and its record a %T; want a digest and a map", e.Name, e.Environment, e.Record)
		}
		addRecord(b.environments, e.Environment, e)
	case e.Name == task.EventEntity:
		if e.Record == nil && len(e.Claims) == 0 {
			return fmt.Errorf("event %q has neither a record nor claims", e.Name)
		}
		if len(e.Claims) > 0 {
			if e.Kind == "" || e.Key == "" {
				return fmt.Errorf("event %q has claims but no task: kind %q, key %q", e.Name, e.Kind, e.Key)
			}
			p := b.pending(c, e)
			p.claims = append(p.claims, e.Claims...)
		}
		if e.Record != nil {
			addRecord(b.entities, digestOf(e.Record), e)
		}
	case e.Name == task.EventCheckpoint:
		if err := b.addCheckpoint(e); err != nil {
			return err
		}
	default:
		return fmt.Errorf("event name %q: want one of the names of docs/journal.md, such as %q", e.Name, task.EventFinished)
	}
	if e.Seq > 0 && e.ObserverID != "" {
		k := observerKey{e.ObserverID, e.Campaign}
		b.seqs[k] = append(b.seqs[k], numberOf(e))
	}
	b.events++
	return nil
}

func (b *batch) addTask(c *call, e *task.Event) {
	p := b.pending(c, e)
	p.apply(e)
	p.claims = append(p.claims, e.Claims...)
}

func (b *batch) pending(c *call, e *task.Event) *pendingTask {
	id := e.ID()
	p := b.tasks[id]
	if p == nil {
		p = &pendingTask{}
		b.tasks[id] = p
		b.order = append(b.order, id)
	}
	p.events = append(p.events, arrival{c, e})
	return p
}

func pendingOf(m map[string]*pendingTask, id string) *pendingTask {
	p := m[id]
	if p == nil {
		p = &pendingTask{}
		m[id] = p
	}
	return p
}

func (p *pendingTask) apply(e *task.Event) {
	if p.state == nil {
		p.state = &task.State{}
	}
	p.state.Apply(e)
}

// workflowFacet gives start and end of a workflow facets of their own when their observer names none, so that the end
// need not repeat what the start said.
func workflowFacet(e *task.Event) *task.Event {
	if e.Facet != "" {
		return e
	}
	c := *e
	c.Facet = e.Name
	return &c
}

// addRecord keeps, of several records with one digest, the later one, on equal times the greater: a pure choice.
func addRecord(m map[string]*record, digest string, e *task.Event) {
	r := &record{time: e.Time, value: e.Record, json: task.JSON(e.Record)}
	if old := m[digest]; old == nil || old.less(r) {
		m[digest] = r
	}
}

func (r *record) less(o *record) bool {
	if r.time != o.time {
		return r.time < o.time
	}
	return r.json < o.json
}

func (b *batch) addCheckpoint(e *task.Event) error {
	m, ok := e.Record.(map[string]any)
	if !ok || e.ObserverID == "" {
		return fmt.Errorf("event %q: observer is %q and its record a %T; want an id and a map", e.Name, e.ObserverID, e.Record)
	}
	c := &checkpoint{at: e.Time, seq: e.Seq, dropped: "[]"}
	switch v := m["last_seq"].(type) {
	case nil:
	case int64:
		c.lastSeq = v
	default:
		return fmt.Errorf("event %q: last_seq is %s; want an integer", e.Name, task.JSON(v))
	}
	switch v := m["dropped"].(type) {
	case nil:
	case []any:
		c.dropped = task.JSON(v)
	default:
		return fmt.Errorf("event %q: dropped is %s; want a list of [first, last, reason]", e.Name, task.JSON(v))
	}
	c.final, _ = m["final"].(bool)
	c.host, _ = e.Resource["host.name"].(string)
	if h, ok := m["host"].(string); ok {
		c.host = h
	}
	more := make(map[string]any, len(m))
	for name, v := range m {
		if !slices.Contains(ownKeys, name) {
			more[name] = v
		}
	}
	c.record = task.JSON(more)
	k := observerKey{e.ObserverID, e.Campaign}
	if old := b.checkpoints[k]; old == nil || old.less(c) {
		b.checkpoints[k] = c
	}
	return nil
}

// ownKeys are the keys of a checkpoint's record that have a column.
var ownKeys = []string{"last_seq", "dropped", "final", "host"}

// less orders checkpoints of one observer: the one that has given more numbers away holds, of equal ones the later. Numbers
// go on when an observer is started again; its clock may have been set back meanwhile.
func (c *checkpoint) less(o *checkpoint) bool {
	switch {
	case c.lastSeq != o.lastSeq:
		return c.lastSeq < o.lastSeq
	case c.at != o.at:
		return c.at < o.at
	case c.seq != o.seq:
		return c.seq < o.seq
	case c.final != o.final:
		return o.final
	case c.dropped != o.dropped:
		return c.dropped < o.dropped
	case c.host != o.host:
		return c.host < o.host
	default:
		return c.record < o.record
	}
}

// reject takes a task or workflow that can never be stored out of the batch, and out of what arrived.
func (b *batch) reject(from map[string]*pendingTask, id string, err error) {
	for _, a := range from[id].events {
		a.call.reject(a.event, err)
		k := observerKey{a.event.ObserverID, a.event.Campaign}
		if i := slices.Index(b.seqs[k], numberOf(a.event)); i >= 0 {
			b.seqs[k] = slices.Delete(b.seqs[k], i, i+1)
		}
	}
	delete(from, id)
}

// merge takes over another batch.
func (b *batch) merge(o *batch) {
	for _, id := range o.order {
		p := b.tasks[id]
		if p == nil {
			b.tasks[id] = o.tasks[id]
			b.order = append(b.order, id)
			continue
		}
		p.merge(o.tasks[id])
	}
	for id, p := range o.workflows {
		if old := b.workflows[id]; old != nil {
			old.merge(p)
		} else {
			b.workflows[id] = p
		}
	}
	mergeRecords(b.environments, o.environments)
	mergeRecords(b.entities, o.entities)
	for k, c := range o.checkpoints {
		if old := b.checkpoints[k]; old == nil || old.less(c) {
			b.checkpoints[k] = c
		}
	}
	for k, l := range o.seqs {
		b.seqs[k] = append(b.seqs[k], l...)
	}
	for k, r := range o.ranges {
		if b.ranges == nil {
			b.ranges, b.counted = map[view.Observer]view.Ranges{}, map[view.Observer]int64{}
		}
		b.ranges[k], _ = b.ranges[k].Union(r)
		b.counted[k] = max(b.counted[k], o.counted[k])
	}
	b.events += o.events
}

// prepareFrom is the number of events from which on a batch is prepared: of few, the writer makes fewer in less time than
// it takes to make those of known tasks for nothing.
const prepareFrom = 200

// prepare does what the writer would do for tasks that are new to the store.
func (b *batch) prepare() {
	if b.events < prepareFrom {
		return
	}
	for _, p := range b.tasks {
		if p.state != nil {
			p.encoded, p.row = p.state.Encode(), makeRow(p.state)
		}
	}
}

func (p *pendingTask) merge(o *pendingTask) {
	if o.state != nil {
		p.encoded, p.row = nil, nil
		if p.state == nil {
			p.state = &task.State{}
		}
		p.state.Merge(o.state)
	}
	p.claims = append(p.claims, o.claims...)
	p.events = append(p.events, o.events...)
}

func mergeRecords(dst, src map[string]*record) {
	for k, r := range src {
		if old := dst[k]; old == nil || old.less(r) {
			dst[k] = r
		}
	}
}
