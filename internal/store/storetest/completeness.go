package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/completeness"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var completenessCases = []testCase{
	{
		name:     "a campaign whose observers ended and whose numbers arrived is complete",
		contract: "query.md: `complete`: every observer ended, every number that it gave out arrived, and every witness agrees.",
		run: judged(completeness.Complete, []*task.Event{numbered("1", 1), numbered("2", 2), checkpointEvent(10, 2, true)},
			func(t *testing.T, o completeness.Observer) { require.Zero(t, o.OpenSince) }),
	},
	{
		name:     "a number that did not arrive is missing, and named",
		contract: "query.md: or `missing_ranges` (`[first, last]`, numbers that did not arrive and nobody explains), with its `host`;",
		run: judged(completeness.Missing, []*task.Event{numbered("1", 1), numbered("4", 4), checkpointEvent(10, 4, true)},
			func(t *testing.T, o completeness.Observer) {
				require.Equal(t, [][2]int64{{2, 3}}, o.MissingRanges)
				require.EqualValues(t, 2, o.MissingCount)
				require.Equal(t, "node-3", o.Host)
			}),
	},
	{
		name:     "what an observer lost itself is missing, with its reason",
		contract: "query.md: An observer then has `dropped_ranges` (`[first, last, reason]`, what it lost itself)",
		run: judged(completeness.Missing, []*task.Event{
			numbered("1", 1), checkpointEvent(10, 3, true, []any{int64(2), int64(3), "queue full"}),
		}, func(t *testing.T, o completeness.Observer) {
			require.Empty(t, o.MissingRanges)
			require.EqualValues(t, 2, o.DroppedCount)
			require.Equal(t, []any{[]any{int64(2), int64(3), "queue full"}}, o.Dropped)
		}),
	},
	{
		name:     "an observer that has not ended is open, never complete",
		contract: "query.md: `unknown`: an observer has not said that it ended (`open_since` its last checkpoint), it is too early to say, or nobody observed;",
		run: judged(completeness.Unknown, []*task.Event{numbered("1", 1), checkpointEvent(10, 1, false)},
			func(t *testing.T, o completeness.Observer) { require.EqualValues(t, 10, o.OpenSince) }),
	},
	{
		name:     "where nobody observed nothing is known",
		contract: "query.md: `unknown`: an observer has not said that it ended (`open_since` its last checkpoint), it is too early to say, or nobody observed;",
		run:      judged(completeness.Unknown, nil, nil),
	},
	{
		name:     "what may be under way is not missing yet",
		contract: "query.md: Only what is at or below a checkpoint counts as missing, since the rest may be under way; an observer that has been silent for a minute has nothing under way.",
		run: func(t *testing.T, f Factory) {
			s := f.New(t)
			write(t, s, numbered("1", 1), numbered("4", 4), checkpointEvent(time.Unix(1_000, 0).UnixNano(), 1, false))
			list, err := s.Checkpoints(t.Context(), "c")
			require.NoError(t, err)
			after := func(d time.Duration) completeness.State {
				return completeness.Compare(list, completeness.RunsInView{}, time.Unix(1_000, 0).Add(d)).State
			}
			require.Equal(t, completeness.Unknown, after(10*time.Second))
			require.Equal(t, completeness.Missing, after(2*time.Minute))
		},
	},
	{
		name:     "the worst state of an observer is that of the campaign",
		contract: "query.md: The worst one is that of the campaign.",
		run: judged(completeness.Missing, []*task.Event{
			numbered("1", 1), checkpointEvent(10, 1, true),
			{Name: task.EventCheckpoint, Time: 10, Campaign: "c", ObserverID: "a", Attempt: task.NoAttempt, Record: map[string]any{"last_seq": int64(1)}},
		}, func(t *testing.T, o completeness.Observer) { require.Equal(t, "a", o.Observer) }),
	},
}

// judged wants a state of the campaign after these events, and looks at its first observer.
func judged(want completeness.State, events []*task.Event, look func(*testing.T, completeness.Observer)) func(*testing.T, Factory) {
	return func(t *testing.T, f Factory) {
		s := f.New(t)
		write(t, s, events...)
		list, err := f.Reopen(t, s).Checkpoints(t.Context(), "c")
		require.NoError(t, err)
		a := completeness.Compare(list, completeness.RunsInView{}, time.Unix(10, 0))
		require.Equal(t, want, a.State)
		if look != nil {
			look(t, a.Observers[0])
		}
	}
}
