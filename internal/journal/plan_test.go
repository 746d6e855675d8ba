package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// TestMoreOnlyWhereMoreCanBeRead: a file that is stuck must not make every round be followed by another at once.
func TestMoreOnlyWhereMoreCanBeRead(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1)))
	stuck := h.writer("w.2")
	require.NoError(t, stuck.Write(finished("b", 1)))
	appendTo(t, stuck.Path(), mustRecord(t, finished("c", 2))[:20])
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(w.Path()), "alien-1.mj"), []byte("no journal"), 0o600))
	r := h.reader()
	defer r.release()
	batches := 0
	look := func() (progress, more bool) {
		found, err := r.look(t.Context(), func(ctx context.Context, events []*task.Event) func() error {
			batches++
			return inTurn(h.emit)(ctx, events)
		})
		require.NoError(t, err)
		return found.progress, found.more
	}
	progress, more := look()
	assert.True(t, progress)
	assert.False(t, more)
	assert.Positive(t, r.Lag(), "the torn record and the alien are counted")

	for i := range 3 * roundBytes / 2000 {
		e := finished(fmt.Sprint("big-", i), i+2)
		e["stdout"] = strings.Repeat("x", 2000)
		require.NoError(t, w.Write(e))
	}
	batches = 0
	progress, more = look()
	assert.True(t, progress)
	assert.False(t, more, "a look goes on while there is more")
	assert.Greater(t, batches, 1, "a share is not everything")
	assert.Len(t, h.events, 2+3*roundBytes/2000)
	_, more = look()
	assert.False(t, more)
}

// TestObserversReachTheEndTogether: what a scheduler says in a few bytes and its worker in many is read at the pace of the
// backlog, so that both mostly tell of the same tasks in one batch.
func TestObserversReachTheEndTogether(t *testing.T) {
	h := newHarness(t)
	small, large := h.writer("w.1", func(o *WriterOptions) { o.SegmentSize = roundBytes }), h.writer("w.2")
	const events = 12 * roundBytes / 2500
	for i := range events {
		key := fmt.Sprint("task-", i)
		e := finished(key, i+1)
		require.NoError(t, small.Write(e))
		e["stdout"] = strings.Repeat("x", 2500)
		require.NoError(t, large.Write(e))
	}
	r := h.reader()
	defer r.release()
	told := map[string]int{}
	apart, batches := 0, 0
	_, err := r.look(t.Context(), func(ctx context.Context, batch []*task.Event) func() error {
		for _, e := range batch {
			told[e.ObserverID]++
		}
		batches++
		apart = max(apart, told["w.1"]-told["w.2"], told["w.2"]-told["w.1"])
		return inTurn(h.emit)(ctx, batch)
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"w.1": events, "w.2": events}, told)
	require.Greater(t, batches, 10)
	assert.Less(t, apart, 2*events/batches, "less than two batches")
}

// TestTheEndOfASegmentHoldsNobodyBack: an observer of which a round reads less, for its segment ends, is not behind the
// others ever after.
func TestTheEndOfASegmentHoldsNobodyBack(t *testing.T) {
	h := newHarness(t)
	cut := h.writer("w.1", func(o *WriterOptions) { o.SegmentSize = 7 * roundBytes / 4 })
	whole := h.writer("w.2", func(o *WriterOptions) { o.SegmentSize = 100 * roundBytes })
	const events, size = 20 * roundBytes / 2000, 2000 // of each: 40 rounds
	for i := range events {
		e := finished(fmt.Sprint("task-", i), i+1)
		e["stdout"] = strings.Repeat("x", size)
		require.NoError(t, cut.Write(e))
		require.NoError(t, whole.Write(e))
	}
	r := h.reader()
	defer r.release()
	told := map[string]int{}
	behind := 0
	_, err := r.look(t.Context(), func(ctx context.Context, batch []*task.Event) func() error {
		for _, e := range batch {
			told[e.ObserverID]++
		}
		if apart := max(told["w.1"]-told["w.2"], told["w.2"]-told["w.1"]); apart*size > roundBytes/10 {
			behind++
		}
		return inTurn(h.emit)(ctx, batch)
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"w.1": events, "w.2": events}, told)
	segments := events * size / (7 * roundBytes / 4)
	assert.LessOrEqual(t, behind, segments+1, "for one round after each end of a segment")
}

// TestCheckpointsComeAfterWhatTheyCount: what is read ahead is on its way at the same time, and stays so while a checkpoint
// waits for what it counts.
func TestCheckpointsComeAfterWhatTheyCount(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	const events, every = 6 * roundBytes / 2000, 400
	for i := range events {
		e := finished(fmt.Sprint("big-", i), i+1)
		e["stdout"] = strings.Repeat("x", 2000)
		require.NoError(t, w.Write(e))
		if (i+1)%every == 0 {
			require.NoError(t, w.Write(checkpoint(i+1, false)))
		}
	}
	require.NoError(t, w.Write(checkpoint(events, true)))
	r := h.reader()
	defer r.release()
	underWay, beside, told := 0, 0, 0
	var accepted int64 // the highest number
	found, err := r.look(t.Context(), func(_ context.Context, batch []*task.Event) func() error {
		last := accepted
		for _, e := range batch {
			if isCheckpoint(e) {
				told++
				counted := e.Record.(map[string]any)["last_seq"].(int64)
				assert.LessOrEqual(t, counted, last, "all before it was accepted, or comes with it")
				if underWay > 0 {
					beside++
				}
			} else {
				last = e.Seq
			}
		}
		underWay++
		return func() error {
			underWay--
			accepted = max(accepted, last)
			return nil
		}
	})
	require.NoError(t, err)
	assert.True(t, found.progress)
	assert.EqualValues(t, events, accepted)
	assert.Equal(t, events/every+1, told)
	assert.Greater(t, beside, told/2, "what was read ahead does not wait for checkpoints")
}
