package observer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drains starts Drain and returns its answer, once the source was woken.
func drains(ctx context.Context, t *testing.T, l *Looks) <-chan error {
	t.Helper()
	answer := make(chan error, 1)
	go func() { answer <- l.Drain(ctx, 0) }()
	<-l.Wake()
	return answer
}

func TestDrainWaitsForALookThatBeganLater(t *testing.T) {
	l := NewLooks()
	l.Begin() // under way when the call comes: what it passed already may have changed
	answer := drains(t.Context(), t, l)
	assert.True(t, l.Waited())
	l.End(true, nil)
	l.Begin()
	l.End(false, nil) // something is left
	l.Begin()
	l.End(true, errors.New("no such table"))
	select {
	case err := <-answer:
		t.Fatalf("drained too early: %v", err)
	default:
	}
	l.Begin()
	l.End(true, nil)
	require.NoError(t, <-answer)
	assert.False(t, l.Waited())
}

func TestDrainSaysWhatStoodInTheWay(t *testing.T) {
	l := NewLooks()
	ctx, cancel := context.WithCancel(t.Context())
	answer := drains(ctx, t, l)
	l.Begin()
	l.End(false, errors.New("the database is locked"))
	cancel()
	require.ErrorContains(t, <-answer, "the database is locked")
	assert.False(t, l.Waited())
	require.ErrorIs(t, l.Drain(ctx, time.Hour), ctx.Err(), "also during the delay")
}

func TestAtEnd(t *testing.T) {
	l := NewLooks()
	require.NoError(t, l.AtEnd(t.Context(), 0, time.Hour), "without a timeout nothing is waited for")
	require.ErrorContains(t, l.AtEnd(t.Context(), time.Millisecond, 0), "not everything was read", "nobody looked")
}
