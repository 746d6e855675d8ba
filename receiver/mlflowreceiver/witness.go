package mlflowreceiver

import "sync/atomic"

// totals is what is known of all runs that were read: kept as each changes, never counted over all of them.
type totals struct {
	captured        int64 // runs that the capture policy lets through
	used, generated int64 // leaves of their events
	unknown         int64 // runs whose leaves an older version did not note
}

func (t *totals) add(s seen, by int64) {
	if s.content == notCaptured {
		return
	}
	t.captured += by
	if s.used < 0 || s.generated < 0 {
		t.unknown += by
		return
	}
	t.used += by * int64(s.used)
	t.generated += by * int64(s.generated)
}

// maxNamedRuns is the most runs whose leaves a checkpoint tells one by one, so that a missing one has a name. Of more, it
// tells the sums alone.
const maxNamedRuns = 100

// named returns the leaves of each run, [used, generated], nil where the runs are too many or not all are known.
func (k *keeper) named() map[string]any {
	if k.totals.captured > maxNamedRuns || k.totals.unknown > 0 || len(k.runs) > 2*maxNamedRuns {
		return nil
	}
	each := make(map[string]any, k.totals.captured)
	for id, s := range k.runs {
		if s.content != notCaptured {
			each[id] = []any{int64(s.used), int64(s.generated)}
		}
	}
	return each
}

// witness holds, as of the last poll, what the checkpoints say; another goroutine makes them.
type witness struct {
	record atomic.Pointer[map[string]any]
}

// polled takes over what a poll found: everything in it was accepted by the pipeline.
func (w *witness) polled(database string, k *keeper, counted int64) {
	m := map[string]any{"database": database, "read": int64(len(k.runs)), "runs": k.totals.captured}
	if counted >= 0 {
		m["counted"] = counted
	}
	if k.totals.unknown == 0 {
		m["used"], m["generated"] = k.totals.used, k.totals.generated
	}
	if each := k.named(); len(each) > 0 {
		m["each"] = each
	}
	w.record.Store(&m)
}

func (w *witness) get() map[string]any {
	m := w.record.Load()
	if m == nil {
		return nil
	}
	return map[string]any{"mlflow": *m}
}
