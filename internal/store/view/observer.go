package view

import (
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Observer names an observer in a campaign: its id (mida.observer.id) and that of the campaign, which may be "".
type Observer struct{ ID, Campaign string }

// Observed is what a store knows of an observer in a campaign.
type Observed struct {
	Checkpoint Checkpoint
	Arrived    Ranges // sequence numbers
	// Finished counts those of Arrived whose events told of an attempt that finished well.
	Finished int64
}

// Observers are those that a batch tells of.
func (b *Batch) Observers() map[Observer]bool {
	out := make(map[Observer]bool, len(b.Seqs))
	for k := range b.Checkpoints {
		out[k] = true
	}
	for k := range b.Seqs {
		out[k] = true
	}
	for k := range b.Ranges {
		out[k] = true
	}
	return out
}

// Observed adds to what is known of an observer what the batch tells, and says whether that is more. Old is left as it was.
func (b *Batch) Observed(k Observer, old Observed) (now Observed, more bool) {
	now = old
	if c := b.Checkpoints[k]; c != nil && old.Checkpoint.Less(c) {
		now.Checkpoint = *c
	}
	now.Finished = max(old.Finished+old.Arrived.New(b.Finished[k]), b.Counted[k])
	var numbers, ranges bool
	now.Arrived, numbers = now.Arrived.Add(b.Seqs[k])
	now.Arrived, ranges = now.Arrived.Union(b.Ranges[k])
	return now, numbers || ranges || now.Checkpoint != old.Checkpoint || now.Finished != old.Finished
}

// AddObserved groups what another store knows of an observer.
func (b *Batch) AddObserved(k Observer, o Observed) {
	b.putCheckpoint(k, &o.Checkpoint)
	b.putRanges(k, o.Arrived, o.Finished)
}

func (b *Batch) putRanges(k Observer, r Ranges, finished int64) {
	b.Ranges[k], _ = b.Ranges[k].Union(r)
	b.Counted[k] = max(b.Counted[k], finished)
}

// Answer is what readers are told of an observer. It fails when what is stored is damaged.
func (o *Observed) Answer(k Observer) (store.Checkpoint, error) {
	c := store.Checkpoint{
		Observer: k.ID, Campaign: k.Campaign, At: o.Checkpoint.At, LastSeq: o.Checkpoint.LastSeq, Final: o.Checkpoint.Final,
		Host: o.Checkpoint.Host, Dropped: []any{}, Finished: o.Finished,
	}
	c.Arrivals(o.Arrived)
	for _, text := range []string{o.Checkpoint.Dropped, o.Checkpoint.Record} {
		if text == "" {
			continue
		}
		v, err := task.DecodeStored([]byte(text))
		if err != nil {
			return c, fmt.Errorf("checkpoint of %s: %w", k.ID, err)
		}
		switch v := v.(type) {
		case []any:
			c.Dropped = v
		case map[string]any:
			if len(v) > 0 {
				c.Record = v
			}
		}
	}
	return c, nil
}
