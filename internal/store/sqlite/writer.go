package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// call is one Write, or something else that must not run beside the writer.
type call struct {
	batch    *view.Batch
	rejected view.Rejections
	err      error
	done     chan struct{}
	// special, if set, is what to do instead, in a transaction of its own.
	special func(*session) error
}

// Write implements store.Writer.
func (s *Store) Write(ctx context.Context, events []*task.Event) ([]store.Rejected, error) {
	if len(events) == 0 {
		return nil, nil
	}
	c := &call{batch: view.NewBatch()}
	c.batch.Borrow = true // the cache keeps states as bytes, and no call ends before its transaction
	for _, e := range events {
		if err := c.batch.Add(&c.rejected, e); err != nil {
			c.rejected.Add(e, err)
		}
	}
	if err := s.hand(ctx, c); err != nil {
		return nil, err
	}
	return c.rejected.List, nil
}

// hand gives a call to the writer and waits for it.
func (s *Store) hand(ctx context.Context, c *call) error {
	if c.special == nil && c.batch.Events == 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	c.done = make(chan struct{})
	s.prepare(c.batch)
	select {
	case s.queue <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	// The writer answers every call that it took; to leave before would free the caller to change the events.
	<-c.done
	return c.err
}

// prepareFrom is the number of events from which on a batch is prepared: of few, the writer makes fewer in less time.
const prepareFrom = 200

// prepared is what a state becomes in the database.
type prepared struct {
	encoded []byte
	row     *row
	// base is the stored state that what arrived was merged with: while it is the stored one, there is nothing to merge.
	// Without one it was made as for a task that is new to the store.
	base []byte
	same bool // what arrived changes nothing; there is neither encoded nor row
}

// prepare does what the writer would do, as far as the states that are kept in memory tell. The callers do it in parallel,
// outside of the one writer, who takes it only if nobody changed the task meanwhile.
func (s *Store) prepare(b *view.Batch) {
	if b.Events < prepareFrom {
		return
	}
	for id, t := range b.Tasks {
		if t.State == nil {
			continue
		}
		c, ok := s.states.Get(id)
		if !ok {
			t.Made = makePrepared(t.State)
			continue
		}
		state, err := task.DecodeState(c.encoded)
		if err != nil {
			continue // the writer says so
		}
		made := &prepared{same: true}
		if state.Merge(t.State) {
			made = makePrepared(state)
		}
		made.base = c.encoded
		t.Made = made
	}
}

func makePrepared(s *task.State) *prepared { return &prepared{encoded: s.Encode(), row: makeRow(s)} }

// madeFrom says whether it was made from this very stored state, nil for none.
func (p *prepared) madeFrom(stored []byte) bool {
	if p == nil || len(p.base) != len(stored) {
		return false
	}
	return len(stored) == 0 || &p.base[0] == &stored[0]
}

// writer is the only one who writes. It takes all calls that wait and stores them in one transaction.
func (s *Store) writer() {
	defer close(s.writerDone)
	for c := range s.queue {
		for c != nil {
			c = s.serve(c)
		}
	}
}

// serve stores a call together with all that wait behind it, and returns the first one that must stand alone.
func (s *Store) serve(first *call) (alone *call) {
	calls := []*call{first}
	var err error
	if first.special != nil {
		err = s.transaction(func(ses *session) error {
			s.rewritten = true
			return first.special(ses)
		})
		s.forget()
	} else {
		group := first.batch
		for group.Events < s.opts.BatchEvents {
			more := s.meet.next(s.queue, len(calls), group.Events)
			if more == nil {
				break
			}
			if more.special != nil {
				alone = more
				break
			}
			calls = append(calls, more)
			group.Merge(more.batch)
		}
		began := time.Now()
		err = s.store(group)
		now := time.Now()
		s.meet.stored(len(calls), len(s.queue), now.Sub(began), now)
		if err == nil {
			s.batches.Wrote(group.Events, len(calls), now)
		}
	}
	for _, c := range calls {
		c.err = err
		close(c.done)
	}
	return alone
}

// forget drops all that the writer remembers of the database.
func (s *Store) forget() {
	s.states.Clear()
	clear(s.observers)
}

// store writes one group. A task or workflow that the database can never take is rejected and left out of the next try.
func (s *Store) store(b *view.Batch) error {
	single := false
	for {
		var bad *poisonError
		err := s.transaction(func(ses *session) error {
			ses.single = single
			return s.merge(ses, b)
		})
		var one *severalError
		if errors.As(err, &one) {
			single = true // to learn whose row it is
			continue
		}
		if err == nil || !errors.As(err, &bad) {
			return err
		}
		from := b.Tasks
		if bad.workflow {
			from = b.Workflows
		}
		b.RejectTask(from, bad.id, bad.err)
	}
}

// subject is the task or the workflow that an error is about.
type subject struct {
	id       string
	workflow bool
}

func taskSubject(id string) subject     { return subject{id: id} }
func workflowSubject(id string) subject { return subject{id: id, workflow: true} }

func (s subject) String() string {
	if s.workflow {
		return "workflow " + s.id
	}
	return "task " + s.id
}

// poisonError says that one task or workflow can never be stored as it is.
type poisonError struct {
	subject
	err error
}

func (e *poisonError) Error() string { return fmt.Sprintf("%v: %v", e.subject, e.err) }
func (e *poisonError) Unwrap() error { return e.err }

// poison turns an error that lies in the data into a poisonError. Everything else (a full disk, a lock) may pass.
func poison(of subject, err error) error {
	if refused(err) {
		return &poisonError{subject: of, err: err}
	}
	return err
}

// refused says that the database can never take what was given to it.
func refused(err error) bool {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return false
	}
	switch se.Code() & 0xff {
	case sqlitelib.SQLITE_TOOBIG, sqlitelib.SQLITE_CONSTRAINT, sqlitelib.SQLITE_MISMATCH:
		return true
	}
	return false
}

// damaged is the error for a stored state that cannot be read. Writing over it would destroy what may still be saved by
// hand.
func damaged(of subject, err error) error {
	return &poisonError{subject: of, err: fmt.Errorf("its stored state is damaged: %w", err)}
}

// transaction runs f in a write transaction on the writing connection. Whatever it may have cached is dropped when it
// does not commit.
func (s *Store) transaction(f func(*session) error) error {
	ctx := context.Background()
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.opts.Path, err)
	}
	defer conn.Close()
	return s.transactionOn(conn, f)
}

func (s *Store) transactionOn(conn *sql.Conn, f func(*session) error) error {
	err := conn.Raw(func(dc any) error {
		dconn, ok := dc.(driver.Conn)
		if !ok {
			return fmt.Errorf("driver connection is a %T", dc)
		}
		if s.session == nil || s.session.conn != dconn {
			s.session = newSession(dconn)
		}
		ses := s.session
		s.changed, s.same, s.rewritten = s.changed[:0], 0, false
		clear(s.campaigns)
		if err := ses.begin(); err != nil {
			return err
		}
		err := f(ses)
		if err == nil {
			err = s.commit(ses)
		}
		if err != nil {
			// A COMMIT that failed may have ended the transaction already: then there is nothing to roll back.
			if _, rerr := ses.exec("ROLLBACK"); rerr != nil {
				s.log.Debug("no transaction was left to roll back", zap.Error(rerr))
			}
		}
		return err
	})
	if err == nil {
		s.transactions.Add(1)
		s.tasksChanged.Add(int64(len(s.changed)))
		s.tasksUnchanged.Add(s.same)
	}
	if err != nil {
		s.forget()
		var bad *poisonError
		if errors.As(err, &bad) {
			return bad
		}
		return fmt.Errorf("write to %s: %w", s.opts.Path, err)
	}
	return nil
}

// commit commits, and tells the columns and the tallies in the same breath what changed.
func (s *Store) commit(ses *session) error {
	if s.columns == nil {
		_, err := ses.exec("COMMIT")
		return err
	}
	s.columns.dirtyMu.Lock()
	defer s.columns.dirtyMu.Unlock()
	s.tallies.mu.Lock()
	defer s.tallies.mu.Unlock()
	_, err := ses.exec("COMMIT")
	// Also after an error: a commit may have happened although it was not confirmed.
	s.columns.note(s.changed, s.rewritten || err != nil)
	s.tallies.note(s.campaigns, s.rewritten || err != nil)
	return err
}
