package view

import (
	"fmt"
	"slices"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Checkpoint is what an observer last said about itself.
type Checkpoint struct {
	At, Seq, LastSeq int64
	Dropped          string // canonical JSON of [[first, last, reason], …]
	Final            bool
	Host             string
	Record           string // canonical JSON of what else it says, "{}" when nothing
}

// ownKeys are the keys of a checkpoint's record that have a place of their own.
var ownKeys = []string{"last_seq", "dropped", "final", "host"}

func (b *Batch) addCheckpoint(e *task.Event) error {
	m, ok := e.Record.(map[string]any)
	if !ok || e.ObserverID == "" {
		return fmt.Errorf("event %q: observer is %q and its record a %T; want an id and a map", e.Name, e.ObserverID, e.Record)
	}
	c := &Checkpoint{At: e.Time, Seq: e.Seq, Dropped: "[]"}
	switch v := m["last_seq"].(type) {
	case nil:
	case int64:
		c.LastSeq = v
	default:
		return fmt.Errorf("event %q: last_seq is %s; want an integer", e.Name, task.JSON(v))
	}
	switch v := m["dropped"].(type) {
	case nil:
	case []any:
		c.Dropped = task.JSON(v)
	default:
		return fmt.Errorf("event %q: dropped is %s; want a list of [first, last, reason]", e.Name, task.JSON(v))
	}
	c.Final, _ = m["final"].(bool)
	c.Host, _ = e.Resource["host.name"].(string)
	if h, ok := m["host"].(string); ok {
		c.Host = h
	}
	more := make(map[string]any, len(m))
	for name, v := range m {
		if !slices.Contains(ownKeys, name) {
			more[name] = v
		}
	}
	c.Record = task.JSON(more)
	k := Observer{e.ObserverID, e.Campaign}
	if old := b.Checkpoints[k]; old == nil || old.Less(c) {
		b.Checkpoints[k] = c
	}
	return nil
}

// Less orders checkpoints of one observer: the one that has given more numbers away holds, of equal ones the later. Numbers
// go on when an observer is started again; its clock may have been set back meanwhile.
func (c *Checkpoint) Less(o *Checkpoint) bool {
	switch {
	case c.LastSeq != o.LastSeq:
		return c.LastSeq < o.LastSeq
	case c.At != o.At:
		return c.At < o.At
	case c.Seq != o.Seq:
		return c.Seq < o.Seq
	case c.Final != o.Final:
		return o.Final
	case c.Dropped != o.Dropped:
		return c.Dropped < o.Dropped
	case c.Host != o.Host:
		return c.Host < o.Host
	default:
		return c.Record < o.Record
	}
}

// Ranges is a set of numbers: sorted, disjoint, not adjacent [first, last].
type Ranges [][2]int64

// Has says that a number is in the set.
func (r Ranges) Has(n int64) bool {
	i := sort.Search(len(r), func(i int) bool { return r[i][1] >= n })
	return i < len(r) && r[i][0] <= n
}

// New counts the different numbers that are not in the set; it sorts them.
func (r Ranges) New(numbers []int64) (n int64) {
	slices.Sort(numbers)
	for i, x := range numbers {
		if (i == 0 || numbers[i-1] != x) && !r.Has(x) {
			n++
		}
	}
	return n
}

// Add unites the set with numbers, which it sorts, and says whether that changed it.
func (r Ranges) Add(numbers []int64) (Ranges, bool) {
	sort.Slice(numbers, func(i, j int) bool { return numbers[i] < numbers[j] })
	changed := false
	for i := 0; i < len(numbers); {
		first, last := numbers[i], numbers[i]
		for i++; i < len(numbers) && numbers[i] <= last+1; i++ {
			last = numbers[i]
		}
		var c bool
		r, c = r.AddRange(first, last)
		changed = changed || c
	}
	return r, changed
}

// AddRange unites the set with one range.
func (r Ranges) AddRange(first, last int64) (Ranges, bool) {
	// i is the first range that ends at first-1 or later, j the first one that begins after last+1.
	i := sort.Search(len(r), func(i int) bool { return r[i][1] >= first-1 })
	j := sort.Search(len(r), func(j int) bool { return r[j][0] > last+1 })
	if i < j {
		if r[i][0] <= first && last <= r[i][1] {
			return r, false
		}
		first, last = min(first, r[i][0]), max(last, r[j-1][1])
	}
	out := append(Ranges{}, r[:i]...)
	out = append(out, [2]int64{first, last})
	return append(out, r[j:]...), true
}

// Union unites two sets and says whether that changed this one.
func (r Ranges) Union(o Ranges) (Ranges, bool) {
	changed := false
	for _, x := range o {
		var c bool
		r, c = r.AddRange(x[0], x[1])
		changed = changed || c
	}
	return r, changed
}
