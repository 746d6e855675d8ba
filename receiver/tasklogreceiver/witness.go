package tasklogreceiver

import (
	"cmp"
	"slices"
	"sync"
)

// maxWitnessed bounds the logs that a checkpoint lists; those that are not as they should be come first.
const maxWitnessed = 100

// tally is what became of the entries of a log since it began, also over restarts of the collector.
type tally struct {
	Entries   int64 `json:"entries"`
	Matched   int64 `json:"matched"`
	Ignored   int64 `json:"ignored"`
	Unmatched int64 `json:"unmatched"`
	// Unusable are entries that a rule is for, but that do not hold what it says, and those that were cut.
	Unusable int64 `json:"unusable,omitempty"`
	// Of the first of them: where it stands, and the rule.
	FirstUnmatched int64  `json:"first_unmatched,omitempty"`
	FirstUnusable  int64  `json:"first_unusable,omitempty"`
	UnusableRule   string `json:"unusable_rule,omitempty"`
}

func (n *tally) add(c *change) {
	if c.parting != nil {
		return // no entry
	}
	n.Entries++
	switch {
	case c.failed || c.res.Problem != nil || c.rec.Cut > 0:
		if n.Unusable++; n.Unusable == 1 {
			n.FirstUnusable, n.UnusableRule = c.rec.Offset, c.res.Rule
		}
	case c.res.Rule != "":
		n.Matched++
	case c.res.Ignored:
		n.Ignored++
	default:
		if n.Unmatched++; n.Unmatched == 1 {
			n.FirstUnmatched = c.rec.Offset
		}
	}
}

// witnessed is a log as a checkpoint says it.
type witnessed struct {
	path       string
	size, read int64
	tally
}

// witness also counts the entry that was shown although it may grow: as a rule it is the last one, and whole.
func (f *file) witness() witnessed {
	w := witnessed{path: f.path, size: f.size, read: f.offset, tally: f.tally}
	if f.shown != nil && f.peeked > f.offset {
		w.read = f.peeked
		w.add(f.shown)
	}
	return w
}

func (w *witnessed) odd() int64 {
	return w.Unmatched + w.Unusable + max(0, w.size-w.read)
}

func (w *witnessed) record() map[string]any {
	m := map[string]any{
		"path": w.path, "size": w.size, "read": w.read, "entries": w.Entries, "matched": w.Matched, "ignored": w.Ignored,
		"unmatched": w.Unmatched, "unusable": w.Unusable,
	}
	if w.Unmatched > 0 {
		m["first_unmatched"] = w.FirstUnmatched
	}
	if w.Unusable > 0 {
		m["first_unusable"], m["unusable_rule"] = w.FirstUnusable, w.UnusableRule
	}
	return m
}

// witness holds what the last look found, for the checkpoints, which another goroutine makes.
type witness struct {
	mu   sync.Mutex
	logs []witnessed
}

func (w *witness) looked(files []*file) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logs = w.logs[:0]
	for _, f := range files {
		w.logs = append(w.logs, f.witness())
	}
}

// list are the logs of the last look, those that are not as they should be first.
func (w *witness) list() []witnessed {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Clone(w.logs)
	slices.SortStableFunc(out, func(a, b witnessed) int { return cmp.Compare(min(1, b.odd()), min(1, a.odd())) })
	return out
}

// record is the witness of a checkpoint: the logs, and the sum of those that are not listed.
func (w *witness) record() map[string]any {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.logs) == 0 {
		return nil
	}
	slices.SortStableFunc(w.logs, func(a, b witnessed) int { return cmp.Compare(min(1, b.odd()), min(1, a.odd())) })
	var list []any
	var more int64
	var rest witnessed
	for i, l := range w.logs {
		if i < maxWitnessed {
			list = append(list, l.record())
			continue
		}
		more++
		rest.size, rest.read = rest.size+l.size, rest.read+min(l.read, l.size)
		rest.Entries, rest.Matched, rest.Ignored = rest.Entries+l.Entries, rest.Matched+l.Matched, rest.Ignored+l.Ignored
		rest.Unmatched, rest.Unusable = rest.Unmatched+l.Unmatched, rest.Unusable+l.Unusable
	}
	if more > 0 {
		m := rest.record()
		m["logs"], m["path"] = more, ""
		list = append(list, m)
	}
	return map[string]any{"logs": list}
}
