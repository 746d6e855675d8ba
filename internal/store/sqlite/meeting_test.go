package sqlite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMeeting(t *testing.T) {
	m := meeting{longest: defaultBatchWait}
	now := time.Unix(1_000, 0)
	require.Zero(t, m.patience(1, 10, now), "nobody is known yet")

	m.stored(1, 0, 10*time.Millisecond, now)
	require.Zero(t, m.patience(1, 10, now), "who writes alone does not wait")

	m.stored(1, 1, 10*time.Millisecond, now)
	require.Equal(t, 10*time.Millisecond, m.patience(1, 10, now), "the other one comes again")
	require.Equal(t, 4*time.Millisecond, m.patience(1, 10, now.Add(6*time.Millisecond)), "a group waits once")
	require.LessOrEqual(t, m.patience(1, 10, now.Add(11*time.Millisecond)), time.Duration(0))
	require.Zero(t, m.patience(2, 10, now), "all are here")
	require.Zero(t, m.patience(1, smallGroup, now), "a large group waits for nobody")

	m.stored(3, 0, time.Minute, now)
	require.Zero(t, m.patience(1, 10, now.Add(2*crowdDisperse)), "that was long ago")
	require.Equal(t, defaultBatchWait, m.patience(1, 10, now.Add(time.Millisecond)))

	for range maxMissed {
		m.stored(1, 0, time.Millisecond, now)
		require.Equal(t, minMeeting, m.patience(1, 10, now), "the others may come next time")
	}
	m.stored(1, 0, time.Millisecond, now)
	require.Zero(t, m.patience(1, 10, now), "the others did not come: nobody waits for them again")
}

func TestMeetingTakesWhoComes(t *testing.T) {
	m := meeting{longest: defaultBatchWait}
	m.stored(1, 1, 0, time.Now())
	queue := make(chan *call, 1)
	first := &call{}
	queue <- first
	require.Same(t, first, m.next(queue, 1, 1))
	require.Nil(t, m.next(queue, 1, 1), "the wait ends")
	close(queue)
	require.Nil(t, m.next(queue, 1, 1))
}
