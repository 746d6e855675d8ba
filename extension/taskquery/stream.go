package taskquery

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	watchInterval  = 500 * time.Millisecond // how often the view is looked at while somebody watches
	watchShare     = 10                     // at most a tenth of the time is spent looking
	streamBeat     = 15 * time.Second       // a comment, so that a dead connection is noticed
	streamDeadline = 30 * time.Second       // for a client that does not read
	changesKept    = 256                    // a client that missed more is told to ask anew
	maxStreams     = 100
)

// changes tells which campaigns changed, and when. It looks at the view while somebody watches, whoever wrote it, and keeps
// what was seen lately, so that a client that lost its connection goes on where it was. A client that reads slowly gets
// what it missed as one change: nothing queues up.
type changes struct {
	look  func(ctx context.Context) (map[string]store.Campaign, int64, error)
	log   *zap.Logger
	epoch string // of this process; ids of another are unknown here

	mu       sync.Mutex
	watchers int
	stop     context.CancelFunc
	seq      int64
	kept     []change // ascending, the last changesKept
	seen     map[string]store.Campaign
	counter  int64
	news     chan struct{} // closed at the next change
	closed   bool
	loops    sync.WaitGroup
}

type change struct {
	seq       int64
	campaigns []string
}

func newChanges(log *zap.Logger, look func(ctx context.Context) (map[string]store.Campaign, int64, error)) *changes {
	var epoch [6]byte
	_, _ = rand.Read(epoch[:]) // it never fails
	return &changes{look: look, log: log, epoch: hex.EncodeToString(epoch[:]), news: make(chan struct{})}
}

// watch counts one more watcher; false when there are too many, or the server ends.
func (c *changes) watch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.watchers >= maxStreams {
		return false
	}
	c.watchers++
	if c.watchers == 1 {
		ctx, cancel := context.WithCancel(context.Background())
		c.stop = cancel
		c.loops.Add(1)
		go c.loop(ctx)
	}
	return true
}

func (c *changes) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers--
	if c.watchers == 0 {
		c.stop()
	}
}

// close ends all streams.
func (c *changes) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.news)
		if c.stop != nil {
			c.stop()
		}
	}
	c.mu.Unlock()
	c.loops.Wait()
}

func (c *changes) loop(ctx context.Context) {
	defer c.loops.Done()
	for {
		began := time.Now()
		now, counter, err := c.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.log.Warn("the view could not be looked at for changes", zap.Error(err))
		default:
			c.note(now, counter)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(watchInterval, watchShare*time.Since(began))):
		}
	}
}

// note compares the view with what was seen before. What was missed while nobody watched is a change too.
func (c *changes) note(now map[string]store.Campaign, counter int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, counted := c.seen, c.counter
	c.seen, c.counter = now, counter
	if before == nil || c.closed {
		return
	}
	changed := map[string]bool{}
	for id, campaign := range now {
		if old, known := before[id]; !known || !sameCampaign(old, campaign) {
			changed[id] = true
		}
	}
	for id := range before {
		if _, there := now[id]; !there {
			changed[id] = true
		}
	}
	if counter != counted {
		// Values changed, and perhaps no count did: most likely of what runs.
		for id, campaign := range now {
			if campaign.ByStatus["RUNNING"] > 0 {
				changed[id] = true
			}
		}
		if len(changed) == 0 {
			for id := range now {
				changed[id] = true
			}
		}
	}
	if len(changed) == 0 {
		return
	}
	c.seq++
	c.kept = append(c.kept, change{seq: c.seq, campaigns: slices.Sorted(maps.Keys(changed))})
	if len(c.kept) > changesKept {
		c.kept = slices.Delete(c.kept, 0, len(c.kept)-changesKept)
	}
	close(c.news)
	c.news = make(chan struct{})
}

func sameCampaign(a, b store.Campaign) bool {
	return a.Tasks == b.Tasks && a.Workflows == b.Workflows && a.FirstAt == b.FirstAt && a.LastAt == b.LastAt &&
		maps.Equal(a.ByStatus, b.ByStatus)
}

// since returns the campaigns that changed after seq, the new position, and what is closed at the next change; known is
// false when the position is too old.
func (c *changes) since(seq int64) (campaigns []store.Campaign, now int64, news <-chan struct{}, known, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq > c.seq || seq < c.seq-int64(len(c.kept)) {
		return nil, c.seq, c.news, false, !c.closed
	}
	ids := map[string]bool{}
	for _, ch := range c.kept {
		if ch.seq > seq {
			for _, id := range ch.campaigns {
				ids[id] = true
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		campaign := c.seen[id]
		campaign.ID = id // also when it was deleted
		campaigns = append(campaigns, campaign)
	}
	return campaigns, c.seq, c.news, true, !c.closed
}

func (c *changes) id(seq int64) string { return c.epoch + "-" + strconv.FormatInt(seq, 10) }

// position reads the id of an event; false when it is none of this process.
func (c *changes) position(id string) (int64, bool) {
	epoch, text, ok := strings.Cut(id, "-")
	seq, err := strconv.ParseInt(text, 10, 64)
	return seq, ok && err == nil && epoch == c.epoch && seq >= 0
}

// stream answers GET /api/v1/stream with server-sent events until the client goes or the server ends.
func (s *server) stream(w http.ResponseWriter, r *http.Request) error {
	form, err := timeForm(r)
	if err != nil {
		return err
	}
	if !s.changes.watch() {
		return &apiError{
			status:  http.StatusServiceUnavailable,
			Message: fmt.Sprintf("%d streams are open, or the collector ends; close some, or ask again later", maxStreams),
		}
	}
	defer s.changes.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies pass on what comes
	out := &eventWriter{w: w, control: http.NewResponseController(w), changes: s.changes}
	only := r.URL.Query().Get("campaign_id")
	_, controls := s.controller()
	hello := task.JSON(map[string]any{"takes_observers": controls == nil})

	seq, resumed := s.changes.position(r.Header.Get("Last-Event-ID"))
	if !resumed {
		_, seq, _, _, _ = s.changes.since(0)
		name := "ready"
		if r.Header.Get("Last-Event-ID") != "" {
			name = "reset"
		}
		if err := out.event(name, seq, hello); err != nil {
			return nil // the client has gone
		}
	} else if err := out.comment(); err != nil { // the headers are a sign of life
		return nil
	}
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for {
		campaigns, now, news, known, open := s.changes.since(seq)
		var err error
		switch {
		case !open:
			return nil
		case !known:
			err = out.event("reset", now, hello)
		default:
			if rows := changedRows(campaigns, only, form); len(rows) > 0 {
				err = out.event("change", now, task.JSON(map[string]any{"campaigns": rows}))
			}
		}
		if err != nil {
			return nil
		}
		seq = now
		select {
		case <-news:
		case <-beat.C:
			if out.comment() != nil {
				return nil
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

func changedRows(campaigns []store.Campaign, only string, form clock) []any {
	var rows []any
	for _, c := range campaigns {
		if only == "" || c.ID == only {
			rows = append(rows, campaignRow(c, form))
		}
	}
	return rows
}

// eventWriter writes server-sent events, each within a deadline.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	changes *changes
}

func (e *eventWriter) event(name string, seq int64, data string) error {
	return e.write(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", e.changes.id(seq), name, data))
}

func (e *eventWriter) comment() error { return e.write(": still here\n\n") }

func (e *eventWriter) write(text string) error {
	_ = e.control.SetWriteDeadline(time.Now().Add(streamDeadline)) // not every connection has one
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.control.Flush()
}

// lookForChanges is what changes compares: the campaigns, and what the store counted if it counts.
func (s *server) lookForChanges(ctx context.Context) (map[string]store.Campaign, int64, error) {
	st, err := s.store()
	if err != nil {
		return nil, 0, err
	}
	list, err := st.Campaigns(ctx)
	if err != nil {
		return nil, 0, err
	}
	byID := make(map[string]store.Campaign, len(list))
	for _, c := range list {
		byID[c.ID] = c
	}
	var counted int64
	if c, ok := st.(interface{ Counters() store.Counters }); ok {
		counted = c.Counters().TasksChanged
	}
	return byID, counted, nil
}
