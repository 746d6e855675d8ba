package view

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Batch is what one or several Write calls want to store, grouped so that the database is touched once per task.
type Batch struct {
	Tasks        map[string]*Task
	Order        []string // ids of tasks, by first event
	Workflows    map[string]*Task
	Environments map[string]*Record // by digest
	Entities     map[string]*Record // by digest
	Checkpoints  map[Observer]*Checkpoint
	Seqs         map[Observer][]int64 // sequence numbers that arrived, unsorted, repetitions included
	Finished     map[Observer][]int64 // those of Seqs whose events told of an attempt that finished well
	Ranges       map[Observer]Ranges  // of sequence numbers, from a backup
	Counted      map[Observer]int64   // how many of Ranges were Finished
	Events       int                  // how many were grouped; a part counts as one
	// Borrow says that events are neither changed nor used after their call has ended; else they are copied.
	Borrow bool
}

// Task is the part of a task's or a workflow's state that arrived in a batch.
type Task struct {
	State  *task.State // nil when only claims arrived
	Claims []task.Claim
	Events []Arrival
	// Made is what a store has made of State ahead of time; nil once more was merged in.
	Made any
}

// Arrival remembers which call an event came from, so that a rejection can be told to that call.
type Arrival struct {
	To    *Rejections
	Event *task.Event
}

// Rejections are the rejected events of one call.
type Rejections struct {
	mu   sync.Mutex // parts of a call may be written at the same time
	List []store.Rejected
}

// Add rejects an event, and says why it can never be stored.
func (r *Rejections) Add(e *task.Event, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.List = append(r.List, store.Rejected{Event: e, Err: err})
}

// Record is an environment or an entity.
type Record struct {
	Time   int64  // unix ns of its event
	Value  any    // as in the event's Record
	JSON   string // canonical, of Value
	Events []Arrival
}

// NewBatch returns an empty batch.
func NewBatch() *Batch {
	return &Batch{
		Tasks: map[string]*Task{}, Workflows: map[string]*Task{}, Environments: map[string]*Record{},
		Entities: map[string]*Record{}, Checkpoints: map[Observer]*Checkpoint{}, Seqs: map[Observer][]int64{},
		Finished: map[Observer][]int64{}, Ranges: map[Observer]Ranges{}, Counted: map[Observer]int64{},
	}
}

// Add groups one event; an error says why it can never be stored.
func (b *Batch) Add(to *Rejections, e *task.Event) error {
	switch {
	case e.IsTask():
		if e.Kind == "" || e.Key == "" {
			return fmt.Errorf("event %q has no identity: kind %q, scope %q, key %q; want a kind and a key", e.Name, e.Kind, e.Scope, e.Key)
		}
		t := b.task(to, e)
		b.apply(t, e)
		t.Claims = append(t.Claims, e.Claims...)
	case e.IsWorkflow():
		if e.WorkflowID == "" {
			return fmt.Errorf("event %q: workflow_id is empty", e.Name)
		}
		w := b.Workflows[e.WorkflowID]
		if w == nil {
			w = &Task{}
			b.Workflows[e.WorkflowID] = w
		}
		b.apply(w, workflowFacet(e))
		w.Events = append(w.Events, Arrival{to, e})
	case e.Name == task.EventEnvironment:
		if _, ok := e.Record.(map[string]any); !ok || e.Environment == "" {
			return fmt.Errorf("event %q: environment is %q and its record a %T; want a digest and a map", e.Name, e.Environment, e.Record)
		}
		addRecord(b.Environments, e.Environment, to, e)
	case e.Name == task.EventEntity:
		if err := b.addEntity(to, e); err != nil {
			return err
		}
	case e.Name == task.EventCheckpoint:
		if err := b.addCheckpoint(e); err != nil {
			return err
		}
	default:
		return fmt.Errorf("event name %q: want one of the names of docs/journal.md, such as %q", e.Name, task.EventFinished)
	}
	if e.Seq > 0 && e.ObserverID != "" {
		k := Observer{e.ObserverID, e.Campaign}
		b.Seqs[k] = append(b.Seqs[k], e.Seq)
		if finished(e) {
			b.Finished[k] = append(b.Finished[k], e.Seq)
		}
	}
	b.Events++
	return nil
}

func finished(e *task.Event) bool {
	return e.IsTask() && e.Status == task.StatusFinished && e.Attempt != task.NoAttempt
}

// RejectTask takes a task or workflow that can never be stored out of the batch (from is Tasks or Workflows), and its
// events out of what arrived.
func (b *Batch) RejectTask(from map[string]*Task, id string, err error) {
	for _, a := range from[id].Events {
		a.To.Add(a.Event, err)
		b.Reject(a.Event)
	}
	delete(from, id)
}

// Reject takes the number of an event that was grouped out of what arrived; the event itself stays in its task.
func (b *Batch) Reject(e *task.Event) {
	k := Observer{e.ObserverID, e.Campaign}
	if i := slices.Index(b.Seqs[k], e.Seq); i >= 0 {
		b.Seqs[k] = slices.Delete(b.Seqs[k], i, i+1)
	}
	if i := slices.Index(b.Finished[k], e.Seq); i >= 0 && finished(e) {
		b.Finished[k] = slices.Delete(b.Finished[k], i, i+1)
	}
}

func (b *Batch) addEntity(to *Rejections, e *task.Event) error {
	if e.Record == nil && len(e.Claims) == 0 {
		return fmt.Errorf("event %q has neither a record nor claims", e.Name)
	}
	if len(e.Claims) > 0 {
		if e.Kind == "" || e.Key == "" {
			return fmt.Errorf("event %q has claims but no task: kind %q, key %q", e.Name, e.Kind, e.Key)
		}
		t := b.task(to, e)
		t.Claims = append(t.Claims, e.Claims...)
	}
	if e.Record != nil {
		addRecord(b.Entities, Digest(e.Record), to, e)
	}
	return nil
}

func (b *Batch) task(to *Rejections, e *task.Event) *Task {
	t := b.TaskOf(e.ID())
	t.Events = append(t.Events, Arrival{to, e})
	return t
}

// TaskOf returns the entry of a task, made if missing.
func (b *Batch) TaskOf(id string) *Task {
	t := b.Tasks[id]
	if t == nil {
		t = &Task{}
		b.Tasks[id] = t
		b.Order = append(b.Order, id)
	}
	return t
}

func (b *Batch) apply(t *Task, e *task.Event) {
	if t.State == nil {
		t.State = &task.State{}
	}
	if !b.Borrow {
		e = ownMaps(e)
	}
	t.State.Apply(e)
}

// Merge takes over another batch, which is not used afterwards.
func (b *Batch) Merge(o *Batch) {
	for _, id := range o.Order {
		if b.Tasks[id] == nil {
			b.Order = append(b.Order, id)
		}
	}
	mergeTasks(b.Tasks, o.Tasks)
	mergeTasks(b.Workflows, o.Workflows)
	mergeRecords(b.Environments, o.Environments)
	mergeRecords(b.Entities, o.Entities)
	for k, c := range o.Checkpoints {
		b.putCheckpoint(k, c)
	}
	for k, l := range o.Seqs {
		b.Seqs[k] = append(b.Seqs[k], l...)
	}
	for k, l := range o.Finished {
		b.Finished[k] = append(b.Finished[k], l...)
	}
	for k, r := range o.Ranges {
		b.putRanges(k, r, o.Counted[k])
	}
	b.Events += o.Events
}

func mergeTasks(dst, src map[string]*Task) {
	for id, o := range src {
		t := dst[id]
		if t == nil {
			dst[id] = o
			continue
		}
		t.Merge(o)
	}
}

// Merge takes over another part of the same task, which is not used afterwards.
func (t *Task) Merge(o *Task) {
	switch {
	case o.State == nil:
	case t.State == nil:
		t.State, t.Made = o.State, o.Made
	default:
		t.State.Merge(o.State)
		t.Made = nil
	}
	t.Claims = append(t.Claims, o.Claims...)
	t.Events = append(t.Events, o.Events...)
}

func mergeRecords(dst, src map[string]*Record) {
	for k, r := range src {
		putRecord(dst, k, r)
	}
}

func addRecord(m map[string]*Record, digest string, to *Rejections, e *task.Event) {
	putRecord(m, digest, &Record{Time: e.Time, Value: e.Record, JSON: task.JSON(e.Record), Events: []Arrival{{to, e}}})
}

// putRecord keeps, of several records with one digest, the later one, on equal times the greater: a pure choice.
func putRecord(m map[string]*Record, digest string, r *Record) {
	old := m[digest]
	if old == nil {
		m[digest] = r
		return
	}
	old.Events = append(old.Events, r.Events...)
	if old.Less(r) {
		r.Events = old.Events
		m[digest] = r
	}
}

// Less orders the records of one digest: by time, then by their JSON.
func (r *Record) Less(o *Record) bool {
	if r.Time != o.Time {
		return r.Time < o.Time
	}
	return r.JSON < o.JSON
}

// Digest names an entity by its record: 32 hex digits.
func Digest(record any) string {
	sum := sha256.Sum256(task.AppendJSON(nil, record))
	return hex.EncodeToString(sum[:16])
}

// ownMaps copies an event with its maps: states live on in the caches of stores, the caller's events are its own.
func ownMaps(e *task.Event) *task.Event {
	c := *e
	for _, m := range []*map[string]any{
		&c.Used, &c.Generated, &c.TelemetryStart, &c.TelemetryEnd, &c.TelemetryPeak, &c.TelemetryDelta, &c.TelemetryCoverage,
		&c.Custom, &c.Attributes, &c.Resource,
	} {
		*m = copyMap(*m)
	}
	c.Refs = maps.Clone(e.Refs)
	c.Tags = slices.Clone(e.Tags)
	c.Dependencies = slices.Clone(e.Dependencies)
	if e.Parent != nil {
		parent := *e.Parent
		c.Parent = &parent
	}
	return &c
}

func copyMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = copyValue(v)
	}
	return out
}

func copyValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return copyMap(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copyValue(e)
		}
		return out
	case []byte:
		return slices.Clone(v)
	default:
		return v
	}
}
