package elastic

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// taskEntries are the entries of tasks and of their claims.
func (s *Store) taskEntries(ctx context.Context, b *view.Batch, ready map[string]*prepared) ([]*entry, error) {
	var entries, known []*entry
	byID := map[string]*taskEntry{}
	names := map[string]bool{}
	for _, id := range b.Order {
		t := b.Tasks[id]
		entries = append(entries, s.claimEntries(id, t)...)
		if t.State == nil {
			continue
		}
		e := &taskEntry{store: s, news: t, changed: true}
		e.entry = entry{index: s.index(tasks), id: id, merge: e.merge, body: e.body, stored: e.stored, reject: rejectAll(t.Events)}
		byID[id] = e
		e.state, e.prepared = t.State, ready[id]
		if cached, ok := s.states.Get(id); ok {
			if stored, err := task.DecodeState(cached.encoded); err == nil { // else the stored one will tell
				e.version = &cached.version
				e.mergeState(stored)
			}
		}
		if !e.changed {
			known = append(known, &e.entry)
			continue
		}
		e.prepare(names)
		entries = append(entries, &e.entry)
	}
	// The cache may say that there is nothing new in a task that somebody has deleted since.
	gone, err := s.missing(ctx, known)
	if err != nil {
		return nil, err
	}
	s.tasksUnchanged.Add(int64(len(known) - len(gone)))
	for _, g := range gone {
		e := byID[g.id]
		e.version, e.state, e.prepared, e.changed = nil, e.news.State, ready[e.id], true
		e.prepare(names)
		entries = append(entries, &e.entry)
	}
	return entries, s.fields.admit(ctx, s, names)
}

// taskEntry brings one task in.
type taskEntry struct {
	entry
	store    *Store
	news     *view.Task
	state    *task.State // news merged with what is stored; not to be changed
	changed  bool        // it differs from what is stored
	prepared *prepared   // of state; nil: not made yet
}

func (e *taskEntry) merge(source []byte) error {
	if source == nil {
		e.state, e.prepared, e.changed = e.news.State, nil, true
		return nil
	}
	state, err := stateOf(source)
	if err != nil {
		// Writing over it would destroy what may still be saved by hand.
		return fmt.Errorf("its stored state is damaged: %w", err)
	}
	e.mergeState(state)
	return nil
}

func stateOf(source []byte) (*task.State, error) {
	var d struct{ State string }
	if err := json.Unmarshal(source, &d); err != nil {
		return nil, err
	}
	return task.DecodeState([]byte(d.State))
}

// mergeState brings the news into a state, which nobody else has.
func (e *taskEntry) mergeState(stored *task.State) {
	e.state, e.prepared = stored, nil
	e.changed = stored.Merge(e.news.State)
}

func (e *taskEntry) prepare(names map[string]bool) {
	if e.prepared == nil {
		e.prepared = &prepared{row: makeRow(e.state), encoded: e.state.Encode()}
	}
	if names != nil && e.prepared.row != nil {
		e.prepared.row.newFields(names)
	}
}

func (e *taskEntry) body(spill bool) ([]byte, error) {
	if !e.changed {
		e.store.tasksUnchanged.Add(1)
		return nil, nil
	}
	e.prepare(nil)
	if n, most := len(e.prepared.encoded), e.store.opts.MaxTaskBytes; n > most {
		return nil, fmt.Errorf("the task would have %d bytes; max_task_bytes is %d", n, most)
	}
	if spill {
		body, spilled := makeRow(e.state).body(&e.store.fields, e.prepared.encoded, true)
		e.store.spilled.Add(int64(spilled))
		return body, nil
	}
	e.prepared.makeBody(&e.store.fields)
	e.store.spilled.Add(int64(e.prepared.spilled))
	return e.prepared.body, nil
}

func (e *taskEntry) stored(v version) {
	e.store.tasksChanged.Add(1)
	e.store.states.Put(e.id, cachedState{e.prepared.encoded, v}, len(e.prepared.encoded)+stateOverhead)
}

// rejectAll tells all calls that have a part in an entry.
func rejectAll(events []view.Arrival) func(error) {
	return func(err error) {
		for _, a := range events {
			a.To.Add(a.Event, err)
		}
	}
}

// claimEntries add the claims of a task. A claim's id is made of all of it: claims only grow, and one that is there is
// the same.
func (s *Store) claimEntries(id string, t *view.Task) []*entry {
	var out []*entry
	seen := map[string]bool{}
	for _, c := range t.Claims {
		text := view.ClaimText(c)
		if seen[text] {
			continue
		}
		seen[text] = true
		claimID := view.Name(id, text)
		body := written(func(w *objectWriter) {
			w.text("id", claimID)
			w.text("task", id)
			w.text("entity", view.Key(c.Entity))
			w.text("role", string(c.Role))
			w.text("claim", text)
		})
		out = append(out, &entry{
			index: s.index(claims), id: claimID, addOnly: true, reject: rejectAll(t.Events),
			body: func(bool) ([]byte, error) { return body, nil },
		})
	}
	return out
}
