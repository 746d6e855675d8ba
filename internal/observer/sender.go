package observer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	// maxRequestBytes is the size of a request on its way to other nodes, unless it holds one event alone.
	maxRequestBytes = 8 << 20
	minBackoff      = 100 * time.Millisecond
	maxBackoff      = 30 * time.Second
	// answerAfterEnd is how long the pipeline may take to answer once the observer ends.
	answerAfterEnd = 2 * time.Second
	// CheckpointInterval is how often an observer says how far it is.
	CheckpointInterval = 10 * time.Second
)

// Settings of a Sender.
type Settings struct {
	ID       string // mida.observer.id; see NewID
	Campaign string // given to events that have none
	Next     consumer.Logs
	Logger   *zap.Logger
	// LastSeq continues the numbering of an observer that keeps its position (a poller): the number that was stored with
	// the position.
	LastSeq int64
	// MaxEvents is how many events one request has at most: speed needs large requests, memory bounded ones. Zero: as
	// DefaultBatch says.
	MaxEvents int
	// Numbered says that the events come with numbers of their own (a journal): the sender numbers nothing and makes no
	// checkpoints.
	Numbered bool
	// Witness returns what the observer counted besides its events (docs/journal.md), for its checkpoints; may be nil.
	Witness func() map[string]any
	// Dropped is called for every event that the pipeline refused for good, with the reason; may be nil.
	Dropped func(events int, err error)
}

// Sender numbers events, cuts them into requests and delivers each until the pipeline accepts it. It is safe for
// concurrent use; concurrent batches are not ordered.
type Sender struct {
	set Settings

	request   atomic.Int64 // events in the last request that the pipeline accepted
	abandoned atomic.Bool  // a request was left to the pipeline, unanswered, when the context ended

	mu       sync.Mutex
	seq      int64
	underway map[int64]int // numbers before the first of each batch that is under way → batches
	dropped  []dropped
	stamp    int64 // of the last checkpoint
}

// NewSender makes a sender.
func NewSender(set Settings) *Sender {
	if set.Logger == nil {
		set.Logger = zap.NewNop()
	}
	if set.MaxEvents == 0 {
		set.MaxEvents = DefaultBatch().MaxEvents
	}
	return &Sender{set: set, seq: set.LastSeq, underway: map[int64]int{}}
}

// NewID makes the id of an observer that lives in this process: what it is, and host, pid and start of the process.
func NewID(what string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s@%s-%d-%x", what, host, os.Getpid(), processStart.UnixMilli())
}

var processStart = time.Now()

// LastSeq is the number last given to an event; a poller stores it with its position.
func (s *Sender) LastSeq() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

// LastRequest is how many events the request had that the pipeline accepted last.
func (s *Sender) LastRequest() int64 { return s.request.Load() }

// Send returns nil when every event was accepted, or refused for good (then it is counted and named in the next
// checkpoint). It retries for ever and returns an error only when ctx ended first.
func (s *Sender) Send(ctx context.Context, events []*task.Event) error {
	if len(events) == 0 {
		return nil
	}
	before := s.number(events)
	defer s.arrived(before)
	for len(events) > 0 {
		n := min(len(events), s.set.MaxEvents)
		if err := s.deliver(ctx, events[:n]); err != nil {
			return err
		}
		s.request.Store(int64(n))
		events = events[n:]
	}
	return nil
}

// number gives numbers to events, which are under way from here on, and returns the last number before them.
func (s *Sender) number(events []*task.Event) (before int64) {
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.seq
	s.underway[before]++
	for _, e := range events {
		if e.Campaign == "" {
			e.Campaign = s.set.Campaign
		}
		if e.Observed == 0 {
			e.Observed = now
		}
		if s.set.Numbered || e.Seq != 0 {
			continue
		}
		if e.ObserverID == "" {
			e.ObserverID = s.set.ID
		}
		s.seq++
		e.Seq = s.seq
	}
	return before
}

// arrived says that a batch is no longer under way.
func (s *Sender) arrived(before int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underway[before]--; s.underway[before] == 0 {
		delete(s.underway, before)
	}
}

// deliver says once what the pipeline refused for good of these events.
func (s *Sender) deliver(ctx context.Context, events []*task.Event) error {
	var refused []*task.Event
	var why error
	err := s.attempt(ctx, events, func(e *task.Event, err error) {
		refused, why = append(refused, e), err
	})
	if len(refused) > 0 {
		s.refuse(refused, why)
	}
	return err
}

// errUnanswered says that the pipeline keeps a request although the observer ends.
var errUnanswered = errors.New("the pipeline has not answered yet; what it holds is sent again at the next start")

// consume hands a request to the pipeline. Once ctx ends, it waits for the answer only a little: a Kafka client, say, cannot
// take back what it sent to a broker that is silent. Then nothing was accepted as far as the observer knows.
func (s *Sender) consume(ctx context.Context, logs plog.Logs) error {
	answer := make(chan error, 1)
	go func() { answer <- s.set.Next.ConsumeLogs(ctx, logs) }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(answerAfterEnd)
	defer timer.Stop()
	select {
	case err := <-answer:
		return err
	case <-timer.C:
		s.abandoned.Store(true)
		return errUnanswered
	}
}

func (s *Sender) attempt(ctx context.Context, events []*task.Event, refused func(*task.Event, error)) error {
	backoff := minBackoff
	for try := 1; ; try++ {
		// The pipeline may own and change what it is given: every try gets a copy of its own.
		logs := task.ToLogs(events)
		if len(events) > 1 && size.LogsSize(logs) > maxRequestBytes {
			return s.halves(ctx, events, refused)
		}
		err := s.consume(ctx, logs)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if aboutEvents(err) {
			if len(events) > 1 {
				return s.halves(ctx, events, refused) // whichever it is about, the others get through
			}
			refused(events[0], err)
			return nil
		}
		if try == 1 || backoff == maxBackoff {
			s.set.Logger.Warn("the pipeline does not accept task events yet; retrying until it does",
				zap.Int("events", len(events)), zap.Int("try", try), zap.Error(err))
		}
		timer := time.NewTimer(backoff)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		case <-timer.C:
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

var size plog.ProtoMarshaler

func (s *Sender) halves(ctx context.Context, events []*task.Event, refused func(*task.Event, error)) error {
	middle := len(events) / 2
	if err := s.attempt(ctx, events[:middle], refused); err != nil {
		return err
	}
	return s.attempt(ctx, events[middle:], refused)
}

func (s *Sender) refuse(events []*task.Event, err error) {
	s.set.Logger.Error("the pipeline refused task events for good; they are lost",
		zap.Int("events", len(events)), zap.String("first task", events[0].Key), zap.Strings("observers", ranges(events)), zap.Error(err))
	if s.set.Dropped != nil {
		s.set.Dropped(len(events), err)
	}
	if s.set.Numbered {
		return // the numbers are those of many observers, whose own checkpoints show them as missing
	}
	for _, e := range events {
		s.Drop(e.Seq, e.Seq, "refused by the pipeline")
	}
}

// ranges says, for each observer, how many of its events there are and their first and last number.
func ranges(events []*task.Event) []string {
	type span struct{ n, first, last int64 }
	byID := map[string]span{}
	for _, e := range events {
		r, ok := byID[e.ObserverID]
		if !ok {
			r.first, r.last = e.Seq, e.Seq
		}
		byID[e.ObserverID] = span{n: r.n + 1, first: min(r.first, e.Seq), last: max(r.last, e.Seq)}
	}
	out := make([]string, 0, len(byID))
	for id, r := range byID {
		out = append(out, fmt.Sprintf("%s: %d events, numbers %d to %d", id, r.n, r.first, r.last))
	}
	sort.Strings(out)
	return out
}

// Reserve gives out n numbers to changes that are captured now but may be dropped before they become events.
func (s *Sender) Reserve(n int64) (first int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = s.seq + 1
	s.seq += n
	return first
}

// Drop names a range of numbers that will never arrive.
func (s *Sender) Drop(first, last int64, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.dropped); n > 0 && s.dropped[n-1].reason == reason && s.dropped[n-1].last+1 == first {
		s.dropped[n-1].last = last
		return
	}
	s.dropped = append(s.dropped, dropped{first, last, reason})
}

// dropped is a range of numbers.
type dropped struct {
	first, last int64
	reason      string
}

// Checkpoint says how far the observer is. A final one is its last word: its stamp is above those before it, also when the
// clock was set back.
func (s *Sender) Checkpoint(ctx context.Context, final bool) error {
	if final && s.abandoned.Load() {
		return errUnanswered // nor would it answer this
	}
	s.mu.Lock()
	dropped := make([]any, len(s.dropped))
	for i, d := range s.dropped {
		dropped[i] = []any{d.first, d.last, d.reason}
	}
	seq := s.seq
	if !final { // what is under way may arrive yet
		for before := range s.underway {
			seq = min(seq, before)
		}
	}
	now := time.Now().UnixNano()
	s.stamp = max(now, s.stamp+1)
	stamp := s.stamp
	s.mu.Unlock()
	record := map[string]any{"last_seq": seq, "dropped": dropped, "final": final}
	if s.set.Witness != nil {
		if w := s.set.Witness(); len(w) > 0 {
			record["witness"] = w
		}
	}
	e := &task.Event{
		Name: task.EventCheckpoint, Time: stamp, Observed: now, Attempt: task.NoAttempt,
		Campaign: s.set.Campaign, ObserverID: s.set.ID, Record: record,
	}
	if host, err := os.Hostname(); err == nil {
		e.Resource = map[string]any{"host.name": host}
	}
	return s.deliver(ctx, []*task.Event{e})
}

// Run observes until ctx ends: every change goes through the callback, its events through the sender. Changes that the
// callback cannot use are handed to drop with the reason and stop nothing. Unless the sender is of a journal, it
// writes a checkpoint at the beginning and every CheckpointInterval; the final one is the receiver's to write, when it stops for good.
func Run[C any](ctx context.Context, src Source[C], callback Callback[C], s *Sender, drop func(C, error)) error {
	made := func(changes []C) []*task.Event {
		events := make([]*task.Event, 0, len(changes))
		for _, c := range changes {
			made, err := safely(callback, c)
			if err != nil {
				if drop != nil {
					drop(c, err)
				}
				continue
			}
			events = append(events, made...)
		}
		return events
	}
	observe := func() error {
		if src, ok := src.(Ahead[C]); ok {
			return src.ObserveAhead(ctx, func(ctx context.Context, changes []C) func() error {
				events, answer := made(changes), make(chan error, 1)
				go func() { answer <- s.Send(ctx, events) }()
				return sync.OnceValue(func() error { return <-answer })
			})
		}
		return src.Observe(ctx, func(ctx context.Context, changes []C) error { return s.Send(ctx, made(changes)) })
	}
	if s.set.Numbered {
		return observe()
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		ticker := time.NewTicker(CheckpointInterval)
		defer ticker.Stop()
		for {
			_ = s.Checkpoint(ctx, false) // only ctx can end it
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	err := observe()
	close(done)
	wg.Wait()
	return err
}

// safely keeps a fault in one change from stopping the stream.
func safely[C any](callback Callback[C], c C) (events []*task.Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal fault: %v", p)
		}
	}()
	return callback(c)
}
