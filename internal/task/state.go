package task

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
)

// State is all that is known about one task: attempt → facet → snapshot. Merging keeps, per facet, the snapshot with the
// higher stamp, so the result depends neither on order nor on repetition.
type State struct {
	Attempts map[int64]map[string]*Snapshot
}

// Snapshot is an event in a state. It is never changed.
type Snapshot struct {
	Event   *Event
	encoded atomic.Pointer[[]byte] // once they were asked for: a snapshot that a later one replaces needs none
}

// bytes are the canonical bytes, the last part of the stamp.
func (s *Snapshot) bytes() []byte {
	if p := s.encoded.Load(); p != nil {
		return *p
	}
	b := s.Event.canonical()
	s.encoded.Store(&b)
	return b
}

// NewSnapshot takes an event out of the stream into a state. Claims have a life of their own and are left out; the
// observation time is no part of the fact, so that a replay is identical.
func NewSnapshot(e *Event) *Snapshot {
	c := *e
	c.Claims, c.Paths, c.Observed = nil, nil, 0
	return &Snapshot{Event: &c}
}

// less orders snapshots of one facet by their stamp: time of the fact in the source, then the observer's sequence
// number, then the canonical bytes.
func (s *Snapshot) less(o *Snapshot) bool {
	if s.Event.Time != o.Event.Time {
		return s.Event.Time < o.Event.Time
	}
	if s.Event.Seq != o.Event.Seq {
		return s.Event.Seq < o.Event.Seq
	}
	return bytes.Compare(s.bytes(), o.bytes()) < 0
}

// Apply merges one event and says whether the state changed.
func (s *State) Apply(e *Event) bool { return s.put(NewSnapshot(e)) }

func (s *State) put(n *Snapshot) bool {
	if s.Attempts == nil {
		s.Attempts = make(map[int64]map[string]*Snapshot, 1)
	}
	facets := s.Attempts[n.Event.Attempt]
	if facets == nil {
		facets = make(map[string]*Snapshot, 2)
		s.Attempts[n.Event.Attempt] = facets
	}
	old := facets[n.Event.Facet]
	if old != nil && !old.less(n) {
		return false
	}
	facets[n.Event.Facet] = n
	return true
}

// Merge merges another state of the same task and says whether this one changed.
func (s *State) Merge(o *State) bool {
	changed := false
	for _, facets := range o.Attempts {
		for _, n := range facets {
			changed = s.put(n) || changed
		}
	}
	return changed
}

// Equal says whether both states hold the same snapshots.
func (s *State) Equal(o *State) bool { return bytes.Equal(s.Encode(), o.Encode()) }

// AttemptNumbers returns the tool's attempt numbers in rising order, without NoAttempt.
func (s *State) AttemptNumbers() []int64 {
	var out []int64
	for a := range s.Attempts {
		if a != NoAttempt {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return out
}

// snapshots returns the facets of one attempt, in the order of their stamps.
func (s *State) snapshots(attempt int64) []*Snapshot {
	facets := s.Attempts[attempt]
	out := make([]*Snapshot, 0, len(facets))
	for _, n := range facets {
		out = append(out, n)
	}
	sortSnapshots(out)
	return out
}

func sortSnapshots(l []*Snapshot) {
	if len(l) < 2 {
		return
	}
	slices.SortFunc(l, func(a, b *Snapshot) int {
		switch {
		case a.less(b):
			return -1
		case b.less(a):
			return 1
		}
		return 0
	})
}

// Encode writes the state as canonical JSON: {"<attempt>": {"<facet>": <event>}}, "" standing for NoAttempt.
func (s *State) Encode() []byte {
	return Scratched(s.appendCanonical)
}

func (s *State) appendCanonical(dst []byte) []byte {
	var few [4]int64
	attempts := few[:0]
	for a := range s.Attempts {
		attempts = append(attempts, a)
	}
	slices.Sort(attempts)
	dst = append(dst, '{')
	for i, a := range attempts {
		if i > 0 {
			dst = append(dst, ',')
		}
		name := ""
		if a != NoAttempt {
			name = strconv.FormatInt(a, 10)
		}
		dst = AppendText(dst, name)
		dst = append(dst, ":{"...)
		for j, f := range sortedKeys(s.Attempts[a]) {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = AppendText(dst, f)
			dst = append(dst, ':')
			n := s.Attempts[a][f]
			if known := n.encoded.Load(); known != nil {
				dst = append(dst, *known...)
			} else {
				dst = n.Event.appendCanonical(dst)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// DecodeState reads what Encode wrote.
func DecodeState(data []byte) (*State, error) {
	if s := readState(string(data)); s != nil {
		return s, nil
	}
	v, err := DecodeStored(data)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	attempts, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("state: %.80s is not a map", data)
	}
	s := &State{}
	for name, fv := range attempts {
		attempt, err := attemptNumber(name)
		if err != nil {
			return nil, err
		}
		facets, ok := fv.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("state: attempt %q is not a map", name)
		}
		for facet, ev := range facets {
			m, ok := ev.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("state: facet %q is not a map", facet)
			}
			e, err := FromWire(m)
			if err != nil {
				return nil, fmt.Errorf("state: facet %q: %w", facet, err)
			}
			e.Attempt, e.Facet = attempt, facet
			s.put(NewSnapshot(e))
		}
	}
	return s, nil
}

func attemptNumber(name string) (int64, error) {
	if name == "" {
		return NoAttempt, nil
	}
	attempt, err := strconv.ParseInt(name, 10, 64)
	if err != nil || attempt < math.MinInt64+1 {
		return 0, fmt.Errorf("state: attempt %q is not a number", name)
	}
	return attempt, nil
}

// readState is DecodeState for what is written as Encode writes it: the bytes of a snapshot need not be made again. It
// returns nil for anything else.
func readState(text string) *State {
	s := &State{}
	r := reader{text: text}
	ok := r.object(func(name string) bool {
		attempt, err := attemptNumber(name)
		return err == nil && r.object(func(facet string) bool {
			start := r.at
			e, w := &Event{Attempt: NoAttempt}, wireReader{clean: true}
			ok := r.object(func(key string) bool {
				v, ok := r.value(storedDepth - 3)
				w.set(e, key, v)
				return ok
			})
			w.refs(e)
			if !ok || w.err != nil || e.Name == "" || e.Attempt != attempt || e.Facet != facet ||
				e.Claims != nil || e.Paths != nil || e.Observed != 0 {
				return false
			}
			n, encoded := &Snapshot{Event: e}, []byte(text[start:r.at])
			n.encoded.Store(&encoded)
			s.put(n)
			return true
		})
	})
	if !ok || r.at != len(text) {
		return nil
	}
	return s
}
