package completeness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// skew is by how much the clocks of two hosts may differ.
const skew = 5 * time.Second

// scheduler is what the observers on one Dask scheduler counted, as of their last checkpoint.
type scheduler struct {
	id      string
	at      int64 // of the last checkpoint
	open    bool
	workers map[string]*worker
	more    [2]int64 // workers that are not listed, and what finished on them
}

// worker is what the scheduler knows of one of its workers, and what came of the observers there.
type worker struct {
	address     string
	finished    int64 // that the scheduler saw finish on it
	since, left int64 // unix ns; left is 0 while it is there
	observers   int
	recorded    int64 // that its observers told of
	at          int64 // of the last checkpoint of its observers
	ended       bool  // all of its observers
}

// dask compares each scheduler with the observers on its workers.
func dask(list []store.Checkpoint, now time.Time) (out []Witness) {
	byID := map[string]*scheduler{}
	for _, c := range list {
		if w := section(c.Record, "witness"); w["workers"] != nil {
			s := byID[text(w["scheduler"])]
			if s == nil {
				s = &scheduler{id: text(w["scheduler"]), workers: map[string]*worker{}}
				byID[s.id] = s
			}
			s.add(c, w)
		}
	}
	for _, c := range list {
		w := section(c.Record, "witness")
		if s := byID[text(w["scheduler"])]; s != nil && w["worker"] != nil {
			s.worker(text(w["worker"])).heard(c)
		}
	}
	for _, id := range sortedKeys(byID) {
		s := byID[id]
		out = append(out, s.tasks(now), s.observed(now))
	}
	return out
}

func (s *scheduler) worker(address string) *worker {
	w := s.workers[address]
	if w == nil {
		w = &worker{address: address, ended: true}
		s.workers[address] = w
	}
	return w
}

func (s *scheduler) add(c store.Checkpoint, witness map[string]any) {
	s.at, s.open = max(s.at, c.At), s.open || !c.Final
	l, _ := witness["workers"].([]any)
	for _, v := range l {
		m, _ := v.(map[string]any)
		w := s.worker(text(m["address"]))
		w.finished += number(m["finished"])
		w.since, w.left = max(w.since, number(m["since"])), max(w.left, number(m["left"]))
	}
	more := section(witness, "more")
	s.more[0] += number(more["workers"])
	s.more[1] += number(more["finished"])
}

func (w *worker) heard(c store.Checkpoint) {
	w.observers++
	w.recorded += c.Finished
	w.at = max(w.at, c.At)
	w.ended = w.ended && c.Final
}

// settled says that no more records are under way of what the scheduler had seen at its last checkpoint.
func (w *worker) settled(s *scheduler, now time.Time) bool {
	late := now.Add(-patience).UnixNano()
	switch {
	case w.observers > 0 && (w.ended || w.at > s.at+int64(skew)):
		return true // its observers wrote what was before that checkpoint before it
	case w.left > 0 && w.left < late, !s.open && s.at < late:
		return true
	default:
		return w.observers == 0 && w.since < late
	}
}

// tasks compares what the scheduler saw finish with what the workers recorded.
func (s *scheduler) tasks(now time.Time) Witness {
	out := Witness{What: "tasks that the Dask scheduler saw finish, against worker records", Of: s.id, State: Complete}
	var lacking []string
	for _, address := range sortedKeys(s.workers) {
		w := s.workers[address]
		out.Expected += w.finished
		out.Found += min(w.finished, w.recorded)
		if w.recorded >= w.finished {
			continue
		}
		state := Unknown
		if w.settled(s, now) {
			state = Missing
		}
		out.State = worse(out.State, state)
		line := fmt.Sprintf("%s: %d finished, %d recorded", address, w.finished, w.recorded)
		if w.left > 0 {
			line += ", the worker is gone"
		}
		lacking = append(lacking, line)
	}
	if s.more[1] > 0 {
		out.State = worse(out.State, Unknown)
		lacking = append(lacking, fmt.Sprintf("%d tasks finished on %d workers that are too many to list", s.more[1], s.more[0]))
	}
	out.Detail = listed(lacking)
	return out
}

// observed compares the workers of the cluster with those that were observed.
func (s *scheduler) observed(now time.Time) Witness {
	out := Witness{What: "workers in the Dask cluster, against workers observed", Of: s.id, State: Complete}
	var lacking []string
	for _, address := range sortedKeys(s.workers) {
		w := s.workers[address]
		if w.since == 0 || w.left > 0 && w.finished == 0 && w.observers == 0 {
			continue // of another time, or gone before it did anything
		}
		out.Expected++
		if w.observers > 0 {
			out.Found++
			continue
		}
		state := Unknown
		if w.settled(s, now) {
			state = Missing
		}
		out.State = worse(out.State, state)
		lacking = append(lacking, address)
	}
	if len(lacking) > 0 {
		out.Detail = "not observed: " + listed(lacking)
	}
	return out
}

// atMost is how many are named.
const atMost = 20

func listed(lines []string) string {
	sep := "; "
	if len(lines) > atMost {
		return strings.Join(lines[:atMost], sep) + fmt.Sprintf("; and %d more", len(lines)-atMost)
	}
	return strings.Join(lines, sep)
}

func section(m map[string]any, key string) map[string]any {
	s, _ := m[key].(map[string]any)
	return s
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int64 {
	n, _ := v.(int64)
	return n
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
