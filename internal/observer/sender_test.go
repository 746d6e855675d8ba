package observer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	logged "go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newEvents(n int) []*task.Event {
	out := make([]*task.Event, n)
	for i := range out {
		out[i] = &task.Event{Name: task.EventFinished, Kind: "test", Key: fmt.Sprint(i), Attempt: task.NoAttempt}
	}
	return out
}

func received(t *testing.T, sink *consumertest.LogsSink) []*task.Event {
	t.Helper()
	var all []*task.Event
	for _, l := range sink.AllLogs() {
		events, rejected := task.FromLogs(l)
		require.Empty(t, rejected)
		all = append(all, events...)
	}
	return all
}

func TestSendNumbersAndCuts(t *testing.T) {
	const most = 20
	sink := new(consumertest.LogsSink)
	s := NewSender(Settings{ID: "me", Campaign: "c", Next: sink, LastSeq: 41, MaxEvents: most})
	require.NoError(t, s.Send(t.Context(), newEvents(most+5)))
	require.Len(t, sink.AllLogs(), 2)
	require.Equal(t, int64(5), s.LastRequest())
	got := received(t, sink)
	require.Len(t, got, most+5)
	for i, e := range got {
		require.Equal(t, int64(42+i), e.Seq)
		require.Equal(t, "me", e.ObserverID)
		require.Equal(t, "c", e.Campaign)
		require.NotZero(t, e.Observed)
	}
	require.Equal(t, int64(41+most+5), s.LastSeq())
}

func TestSendOfAJournalKeepsItsNumbers(t *testing.T) {
	sink := new(consumertest.LogsSink)
	s := NewSender(Settings{ID: "me", Campaign: "mine", Next: sink, Numbered: true})
	e := newEvents(1)
	e[0].ObserverID, e[0].Seq, e[0].Campaign = "worker", 9, "theirs"
	require.NoError(t, s.Send(t.Context(), e))
	got := received(t, sink)[0]
	assert.Equal(t, "worker", got.ObserverID)
	assert.Equal(t, int64(9), got.Seq)
	assert.Equal(t, "theirs", got.Campaign)
}

// refusing fails the first n calls with err; it also spoils what it was given, as a pipeline may.
func refusing(n int64, err error, sink *consumertest.LogsSink) consumer.Logs {
	var calls atomic.Int64
	next, nerr := consumer.NewLogs(func(ctx context.Context, l plog.Logs) error {
		if calls.Add(1) <= n {
			l.ResourceLogs().RemoveIf(func(plog.ResourceLogs) bool { return true })
			return err
		}
		return sink.ConsumeLogs(ctx, l)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
	if nerr != nil {
		panic(nerr)
	}
	return next
}

func TestSendRetriesUntilAccepted(t *testing.T) {
	sink := new(consumertest.LogsSink)
	s := NewSender(Settings{ID: "me", Next: refusing(3, errors.New("store is busy"), sink)})
	require.NoError(t, s.Send(t.Context(), newEvents(3)))
	require.Len(t, received(t, sink), 3)
}

func TestSendEndsWithItsContextAndSaysWhy(t *testing.T) {
	s := NewSender(Settings{ID: "me", Next: consumertest.NewErr(errors.New("store is busy"))})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := s.Send(ctx, newEvents(1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "store is busy")
}

func TestWhatIsRefusedForGoodIsNamed(t *testing.T) {
	sink := new(consumertest.LogsSink)
	dropped := 0
	s := NewSender(Settings{
		ID: "me", Campaign: "c", Next: refusing(5, consumererror.NewPermanent(errors.New("too large")), sink),
		Dropped: func(n int, _ error) { dropped += n },
	})
	require.NoError(t, s.Send(t.Context(), newEvents(3))) // all of them, then 1, 2 and 3, 2, 3
	require.NoError(t, s.Checkpoint(t.Context(), true))
	require.Equal(t, 3, dropped)
	got := received(t, sink)
	require.Len(t, got, 1)
	assert.Equal(t, task.EventCheckpoint, got[0].Name)
	assert.Equal(t, map[string]any{
		"last_seq": int64(3), "final": true,
		"dropped": []any{[]any{int64(1), int64(3), "refused by the pipeline"}},
	}, got[0].Record)
}

func TestWhatAJournalLosesIsNamedPerObserver(t *testing.T) {
	sink := new(consumertest.LogsSink)
	core, logs := logged.New(zap.ErrorLevel)
	dropped := 0
	s := NewSender(Settings{
		ID: "me", Numbered: true, Next: refusing(18, consumererror.NewPermanent(errors.New("too large")), sink), Logger: zap.New(core),
		Dropped: func(n int, _ error) { dropped += n },
	})
	for range 2 { // 9 requests each: all of them, and halves down to each by itself
		events := newEvents(5)
		for i, e := range events {
			e.ObserverID, e.Seq = fmt.Sprint("worker-", i%2), int64(10*(i%2)+i+1)
		}
		require.NoError(t, s.Send(t.Context(), events))
	}
	assert.Equal(t, 10, dropped)
	assert.Empty(t, s.dropped, "no checkpoint of the sender's would say them")
	require.Equal(t, 2, logs.Len())
	assert.Equal(t, []any{"worker-0: 3 events, numbers 1 to 5", "worker-1: 2 events, numbers 12 to 14"},
		logs.All()[0].ContextMap()["observers"])
}

func TestDroppedRangesThatFollowAreOne(t *testing.T) {
	s := NewSender(Settings{})
	for i := range int64(1000) {
		s.Drop(2*i+1, 2*i+2, "refused by the pipeline")
	}
	s.Drop(2001, 2001, "queue full")
	assert.Equal(t, []dropped{{1, 2000, "refused by the pipeline"}, {2001, 2001, "queue full"}}, s.dropped)
}

// TestCheckpointsDoNotSayWhatIsUnderWay: a number that a checkpoint names has arrived, or is lost. A last word names all.
func TestCheckpointsDoNotSayWhatIsUnderWay(t *testing.T) {
	sink := new(consumertest.LogsSink)
	var s *Sender
	inside := true
	next, err := consumer.NewLogs(func(ctx context.Context, l plog.Logs) error {
		if inside {
			inside = false
			require.NoError(t, s.Checkpoint(ctx, false))
			require.NoError(t, s.Checkpoint(ctx, true))
		}
		return sink.ConsumeLogs(ctx, l)
	})
	require.NoError(t, err)
	s = NewSender(Settings{ID: "me", Next: next, LastSeq: 4, Witness: func() map[string]any { return map[string]any{"runs": int64(1)} }})
	require.NoError(t, s.Send(t.Context(), newEvents(3)))
	require.NoError(t, s.Checkpoint(t.Context(), false))
	var last []any
	for _, e := range received(t, sink) {
		if r, ok := e.Record.(map[string]any); ok {
			last = append(last, r["last_seq"])
			assert.Equal(t, map[string]any{"runs": int64(1)}, r["witness"])
		}
	}
	assert.Equal(t, []any{int64(4), int64(7), int64(7)}, last)
}

// TestCheckpointsGoOnWhenTheClockIsSetBack: the store takes the checkpoint with the higher stamp.
func TestCheckpointsGoOnWhenTheClockIsSetBack(t *testing.T) {
	sink := new(consumertest.LogsSink)
	s := NewSender(Settings{ID: "me", Next: sink})
	s.stamp = time.Now().Add(time.Hour).UnixNano() // as after a step back of an hour
	before := s.stamp
	require.NoError(t, s.Checkpoint(t.Context(), false))
	require.NoError(t, s.Checkpoint(t.Context(), true))
	got := received(t, sink)
	require.Len(t, got, 2)
	assert.Equal(t, before+1, got[0].Time)
	assert.Equal(t, before+2, got[1].Time)
}

type listSource []int

func (l listSource) Observe(ctx context.Context, emit func(context.Context, []int) error) error {
	return emit(ctx, l)
}

func TestOneBadChangeStopsNothing(t *testing.T) {
	sink := new(consumertest.LogsSink)
	s := NewSender(Settings{ID: "me", Next: sink})
	callback := func(i int) ([]*task.Event, error) {
		switch i {
		case 1:
			return nil, errors.New("bad record")
		case 2:
			panic("worse record")
		case 3:
			return nil, nil
		}
		return newEvents(1), nil
	}
	drops := map[int]string{}
	require.NoError(t, Run(t.Context(), listSource{0, 1, 2, 3, 4}, callback, s, func(i int, err error) { drops[i] = err.Error() }))
	tasks := slices.DeleteFunc(received(t, sink), func(e *task.Event) bool { return e.Name == task.EventCheckpoint })
	assert.Len(t, tasks, 2)
	assert.Equal(t, map[int]string{1: "bad record", 2: "internal fault: worse record"}, drops)
}

// A pipeline that cannot give up does not hold up the end of an observer: it ends without an answer, and without a last word.
func TestSilentPipelineDoesNotHoldUpTheEnd(t *testing.T) {
	silent, called := make(chan struct{}), make(chan struct{}, 1)
	next, err := consumer.NewLogs(func(context.Context, plog.Logs) error {
		called <- struct{}{}
		<-silent
		return nil
	})
	require.NoError(t, err)
	s := NewSender(Settings{ID: "me", Next: next})
	ctx, stop := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() { sent <- s.Send(ctx, newEvents(1)) }()
	<-called
	stop()
	select {
	case err := <-sent:
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errUnanswered)
	case <-time.After(time.Minute):
		t.Fatal("it waits for the pipeline")
	}
	require.ErrorIs(t, s.Checkpoint(t.Context(), true), errUnanswered)
	require.Empty(t, called, "nothing more was sent")
	close(silent)
}
