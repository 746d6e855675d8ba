package elastic

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// recordEntries are the entries of workflows, environments and entities.
func (s *Store) recordEntries(b *view.Batch) []*entry {
	var out []*entry
	for id, w := range b.Workflows {
		out = append(out, s.workflowEntry(id, w))
	}
	for id, r := range b.Environments {
		out = append(out, s.recordEntry(environments, id, r))
	}
	for id, r := range b.Entities {
		out = append(out, s.recordEntry(entities, id, r))
	}
	return out
}

func (s *Store) workflowEntry(id string, news *view.Task) *entry {
	state, changed := news.State, true
	e := &entry{index: s.index(workflows), id: view.Name(id), reject: rejectAll(news.Events)}
	e.merge = func(source []byte) error {
		state, changed = news.State, true
		if source == nil {
			return nil
		}
		old, err := stateOf(source)
		if err != nil {
			return fmt.Errorf("workflow %s: its stored state is damaged: %w", id, err)
		}
		changed = old.Merge(news.State)
		state = old
		return nil
	}
	e.body = func(bool) ([]byte, error) {
		if !changed {
			return nil, nil
		}
		w := &objectWriter{}
		w.value("id", view.Key(id))
		w.value("campaign_id", view.Key(view.Workflow(state).CampaignID))
		w.value("state", string(state.Encode()))
		return append(w.buf, '}'), nil
	}
	return e
}

func (s *Store) recordEntry(kind, id string, news *view.Record) *entry {
	keep := news
	e := &entry{index: s.index(kind), id: view.Name(id), reject: rejectAll(news.Events)}
	e.merge = func(source []byte) error {
		keep = news
		if source == nil {
			return nil
		}
		var old view.Record
		var d struct {
			Time   int64
			Record string
		}
		if err := json.Unmarshal(source, &d); err != nil {
			return fmt.Errorf("%s %s: the stored record is damaged: %w", kind, id, err)
		}
		if old.Time, old.JSON = d.Time, d.Record; !old.Less(news) {
			keep = nil
		}
		return nil
	}
	e.body = func(bool) ([]byte, error) {
		if keep == nil {
			return nil, nil
		}
		w := &objectWriter{}
		w.value("id", view.Key(id))
		w.value("time", keep.Time)
		w.value("digest", id)
		w.value("record", keep.JSON)
		return append(w.buf, '}'), nil
	}
	return e
}

// observer is what the writer remembers of one observer in one campaign.
type observer struct {
	view.Observed
	version *version
}

// maxObservers bounds how many the writer remembers; observers come and go with the processes of a campaign.
const maxObservers = 1000

func (s *Store) observerEntries(ctx context.Context, b *view.Batch) ([]*entry, error) {
	var changed, known []*entry
	for k := range b.Observers() {
		if e, news := s.observerEntry(k, b); news {
			changed = append(changed, e)
		} else {
			known = append(known, e)
		}
	}
	gone, err := s.missing(ctx, known)
	for _, e := range gone {
		e.unread = true
	}
	return append(changed, gone...), err
}

func (s *Store) observerEntry(k view.Observer, b *view.Batch) (e *entry, news bool) {
	var now observer
	merge := func(old observer) {
		now = old
		now.Observed, news = b.Observed(k, old.Observed)
	}
	e = &entry{index: s.index(observers), id: view.Name(k.ID, k.Campaign)}
	e.merge = func(source []byte) error {
		var old observer
		if source != nil {
			var err error
			if _, old, err = observerOf(source); err != nil {
				return err
			}
		}
		merge(old)
		news = news || source == nil
		return nil
	}
	e.body = func(bool) ([]byte, error) {
		if !news {
			return nil, nil
		}
		return now.body(k), nil
	}
	e.stored = func(v version) {
		s.memory.Lock()
		defer s.memory.Unlock()
		if len(s.seen) >= maxObservers {
			clear(s.seen)
		}
		now.version = &v
		kept := now
		s.seen[k] = &kept
	}
	e.reject = func(err error) {
		s.log.Error(fmt.Sprintf("The completeness of observer %q in campaign %q cannot be kept: %v", k.ID, k.Campaign, err))
	}
	s.memory.Lock()
	cached := s.seen[k]
	s.memory.Unlock()
	if cached != nil {
		e.version = cached.version
		merge(*cached)
	} else {
		e.unread, news = true, true
	}
	return e, news
}

func (o *observer) body(k view.Observer) []byte {
	w := &objectWriter{}
	w.value("id", view.Name(k.ID, k.Campaign))
	w.value("campaign", view.Key(k.Campaign))
	w.value("record", view.ObserverText(k, o.Observed))
	return append(w.buf, '}')
}

func observerOf(source []byte) (k view.Observer, o observer, err error) {
	var d struct{ Record string }
	if err = json.Unmarshal(source, &d); err == nil {
		k, o.Observed, err = view.ParseObserver(d.Record)
	}
	if err != nil {
		return k, o, fmt.Errorf("observer: the stored record is damaged: %w", err)
	}
	return k, o, nil
}
