// Package completeness says whether the view holds all that its observers saw, and all that independent witnesses counted.
// It is a pure function of the checkpoints that a store keeps. What it does not know it calls unknown, never complete.
package completeness

import (
	"slices"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// State of an observer, of what a witness counted, or of a whole campaign.
type State string

// The worse one holds for the whole: missing over unknown over complete.
const (
	Complete State = "complete"
	Missing  State = "missing" // something is known to be lost, or not to have arrived
	Unknown  State = "unknown" // open: an observer has not said that it ended, or too early to say
)

// patience is how long what is under way may take to arrive: a journal is read and stored within a second, or two.
const patience = 15 * time.Second

// quiet is when an observer, which says every 10 seconds how far it is, has fallen silent: nothing of it is under way.
const quiet = time.Minute

// Answer is what is known of a campaign.
type Answer struct {
	State     State
	Observers []Observer
	Witnesses []Witness
	// UpTo is set when nothing is missing and some observers go on: all that they saw until then is in the view (unix ns).
	UpTo int64
}

// Observer says whether all that one observer saw has arrived.
type Observer struct {
	store.Checkpoint
	State State
	// OpenSince is the time of the last checkpoint of an observer that has not ended; 0 when it made none.
	OpenSince     int64
	DroppedCount  int64      // numbers that the observer itself lost, and says why
	MissingCount  int64      // numbers that did not arrive, and nobody says why
	MissingRanges [][2]int64 // which
}

// Witness compares what somebody else counted with what is in the view.
type Witness struct {
	What            string // what was counted
	Of              string // whose: the scheduler, the log, …
	Expected, Found int64
	State           State
	Detail          string
}

// Compare judges the checkpoints of a campaign. runs is what the view holds of MLflow; it is not needed where Runs wants none.
func Compare(list []store.Checkpoint, runs RunsInView, now time.Time) Answer {
	a := Answer{State: Complete, Observers: make([]Observer, len(list))}
	for i, c := range list {
		a.Observers[i] = observe(c, now)
	}
	a.Witnesses = append(dask(list, now), polled(list)...)
	a.Witnesses = append(a.Witnesses, mlflow(list, runs)...)
	a.conclude()
	return a
}

func (a *Answer) conclude() {
	if len(a.Observers) == 0 {
		a.State = Unknown // nobody says that there was nothing to see
	}
	for _, o := range a.Observers {
		a.State = worse(a.State, o.State)
	}
	known := true // whatever is open, all before its last checkpoint is known
	for _, w := range a.Witnesses {
		a.State = worse(a.State, w.State)
		known = known && w.State != Unknown
	}
	if a.State != Unknown || !known {
		return
	}
	for _, o := range a.Observers {
		switch {
		case o.State != Unknown:
		case o.OpenSince == 0:
			a.UpTo = 0
			return
		case a.UpTo == 0 || o.OpenSince < a.UpTo:
			a.UpTo = o.OpenSince
		}
	}
}

func worse(a, b State) State {
	order := []State{Complete, Unknown, Missing}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

func observe(c store.Checkpoint, now time.Time) Observer {
	o := Observer{Checkpoint: c}
	limit := c.LastSeq // numbers above it may be under way
	if c.Final || now.Sub(time.Unix(0, c.At)) > quiet {
		limit = max(limit, c.Highest)
	}
	dropped := numbersOf(c.Dropped)
	for _, r := range dropped {
		o.DroppedCount += r[1] - r[0] + 1
	}
	for _, gap := range c.Gaps {
		if gap[0] <= limit {
			o.MissingRanges = append(o.MissingRanges, without([2]int64{gap[0], min(gap[1], limit)}, dropped)...)
		}
	}
	if len(c.Gaps) < store.MaxGaps {
		for _, r := range o.MissingRanges {
			o.MissingCount += r[1] - r[0] + 1
		}
	} else { // the list of gaps is cut off; what is above LastSeq may count too
		o.MissingCount = max(1, max(c.LastSeq, c.Highest)-c.Arrived-o.DroppedCount)
	}
	open := !c.Final || c.Highest > c.LastSeq // it has gone on after its last word
	switch {
	case o.DroppedCount > 0 || o.MissingCount > 0:
		o.State = Missing
	case open:
		o.State = Unknown
	default:
		o.State = Complete
	}
	if open {
		o.OpenSince = c.At
	}
	return o
}

// numbersOf reads [[first, last, reason], …]: sorted, and each number once.
func numbersOf(dropped []any) (out [][2]int64) {
	var all [][2]int64
	for _, r := range dropped {
		l, _ := r.([]any)
		if len(l) < 2 {
			continue
		}
		first, ok1 := l[0].(int64)
		last, ok2 := l[1].(int64)
		if ok1 && ok2 && first <= last {
			all = append(all, [2]int64{first, last})
		}
	}
	slices.SortFunc(all, func(a, b [2]int64) int { return int(min(1, max(-1, a[0]-b[0]))) })
	for _, r := range all {
		if n := len(out); n > 0 && r[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], r[1])
			continue
		}
		out = append(out, r)
	}
	return out
}

// without is what is left of a range when others, sorted and disjoint, are taken out.
func without(r [2]int64, others [][2]int64) (out [][2]int64) {
	for _, o := range others {
		if o[1] < r[0] {
			continue
		}
		if o[0] > r[1] {
			break
		}
		if o[0] > r[0] {
			out = append(out, [2]int64{r[0], o[0] - 1})
		}
		r[0] = o[1] + 1
	}
	if r[0] <= r[1] {
		out = append(out, r)
	}
	return out
}
