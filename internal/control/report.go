package control

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Report is what a running observer says of itself: what it looks at, whether it reached it, what it saw there, and what it
// could not use.
type Report struct {
	ID, Kind, Campaign string
	// Places are what its configuration leads to, from the root: a URI of a database, a scheduler, a glob of logs.
	Places []string
	Parts  []Part
}

// PartState says how far an observer got with one thing.
type PartState string

// The states of a part.
const (
	Reached PartState = "reached"
	Waiting PartState = "waiting" // it is not there yet, which need not be wrong
	Trouble PartState = "trouble" // somebody has to do something
)

// Part is one thing that is observed: a scheduler, a database, a log.
type Part struct {
	What  string
	State PartState
	// Problem says what is wrong or missing, and what to do about it. A part that was reached may have one too.
	Problem string
	Saw     []Count
	Dropped []Count // by reason
	Lines   []Line  // the first that nothing could be made of
	Errors  []Error // the last ones
}

// Count is a number and what it counts.
type Count struct {
	What string
	N    int64
}

// Line is an entry of a log that no rule is for, or that is not as its rule says.
type Line struct {
	Path   string
	Offset int64
	Text   string // without secrets
	Why    string
}

// Error is something that went wrong.
type Error struct {
	At   time.Time
	Text string
}

// Reporter is an observer that says how it is doing. Report may be called at any time from its start to its shutdown.
type Reporter interface{ Report() Report }

// Checker is the configuration of an observer that can be looked at without running it: what is missing, or cannot be
// reached, with what to do about it. It changes nothing.
type Checker interface{ Check() []Part }

// Roster knows the observers of this collector: those of its configuration, and those that were registered.
type Roster interface {
	// Join adds an observer until leave is called.
	Join(r Reporter) (leave func())
	Reports() []Report
}

// Book is a Roster.
type Book struct {
	mu   sync.Mutex
	next int
	all  map[int]Reporter
}

var _ Roster = (*Book)(nil)

// Join implements Roster.
func (b *Book) Join(r Reporter) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[int]Reporter{}
	}
	n := b.next
	b.next++
	b.all[n] = r
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.all, n)
	}
}

// Reports implements Roster, in the order of kinds and ids.
func (b *Book) Reports() []Report {
	b.mu.Lock()
	list := make([]Reporter, 0, len(b.all))
	for _, r := range b.all {
		list = append(list, r)
	}
	b.mu.Unlock() // an observer may take its time
	reports := make([]Report, len(list))
	for i, r := range list {
		reports[i] = r.Report()
	}
	slices.SortFunc(reports, func(x, y Report) int {
		return strings.Compare(x.Kind+"\x00"+x.ID, y.Kind+"\x00"+y.ID)
	})
	return reports
}

// RosterOf returns the roster of this collector, nil where none is configured.
func RosterOf(host component.Host) Roster {
	for _, ext := range host.GetExtensions() {
		if r, ok := ext.(Roster); ok {
			return r
		}
	}
	return nil
}

// Join adds an observer to the roster of its collector, if there is one.
func Join(host component.Host, r Reporter) (leave func()) {
	if roster := RosterOf(host); roster != nil {
		return roster.Join(r)
	}
	return func() {}
}

// Recent keeps the last few errors, each once in a row.
type Recent struct {
	mu   sync.Mutex
	list []Error
}

const keptErrors = 3

// Add notes an error; the same one again only has a later time.
func (r *Recent) Add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.list); n > 0 && r.list[n-1].Text == text {
		r.list[n-1].At = time.Now()
		return
	}
	r.list = append(r.list, Error{At: time.Now(), Text: text})
	if len(r.list) > keptErrors {
		r.list = slices.Delete(r.list, 0, 1)
	}
}

// List returns them, the last one last.
func (r *Recent) List() []Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}
