package store

// Checkpoint is what an observer last said about itself, beside what arrived of it.
type Checkpoint struct {
	Observer, Campaign string
	At                 int64  // unix ns of the checkpoint; 0 = none yet
	LastSeq            int64  // the last sequence number that was given away
	Dropped            []any  // [[first, last, reason], …]
	Final              bool   // it is the last one: the observer has ended
	Host               string // where the observer runs, as its checkpoints or their resource say
	// Record is what else the checkpoint says (docs/journal.md): witness, errors, segments_removed, …; nil when nothing.
	Record map[string]any
	// Arrived counts the distinct sequence numbers of the observer in the campaign that reached the view.
	Arrived int64
	// Highest is the greatest of them; above LastSeq it is newer than the checkpoint.
	Highest int64
	// Gaps are the ranges [first, last] of numbers below Highest or up to LastSeq that did not arrive, in ascending order:
	// the first MaxGaps.
	Gaps [][2]int64
	// Finished counts those of the arrived numbers whose events told that an attempt of a task finished well (a task event
	// with an attempt and the status FINISHED). A number that arrives again is not counted again.
	Finished int64
}

// MaxGaps bounds Checkpoint.Gaps; above what an observer names as dropped, so that what nobody names is not cut off.
const MaxGaps = 2000

// Arrivals sets Arrived, Highest and Gaps from the numbers that arrived: sorted, disjoint ranges. LastSeq is set before.
func (c *Checkpoint) Arrivals(ranges [][2]int64) {
	c.Arrived, c.Highest, c.Gaps = 0, 0, nil
	for _, r := range ranges {
		c.gap(c.Highest+1, r[0]-1)
		c.Arrived += r[1] - r[0] + 1
		c.Highest = r[1]
	}
	c.gap(c.Highest+1, c.LastSeq)
}

func (c *Checkpoint) gap(first, last int64) {
	if first <= last && len(c.Gaps) < MaxGaps {
		c.Gaps = append(c.Gaps, [2]int64{first, last})
	}
}
