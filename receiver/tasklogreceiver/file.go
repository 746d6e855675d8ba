package tasklogreceiver

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	readSize   = 256 << 10
	batchLines = 1000
	batchBytes = 4 << 20
	// idleAfter is when a log that does not grow is closed; it stays known.
	idleAfter = time.Minute
)

// file is one log that is followed. Its position is where the first entry stands that was not accepted yet.
type file struct {
	key      string // in the storage
	identity string
	path     string // absolute, as last seen
	id       fileID
	offset   int64
	marks    marks
	engine   *rules.Engine

	handle *os.File
	size   int64 // as last seen
	mtime  time.Time
	readTo int64
	lines  *rules.Lines
	group  *rules.Grouper
	grown  time.Time // when it last grew
	peeked int64     // end of the entry that was shown although it may grow
	ahead  []byte    // state of the rules behind that entry, for when it can no longer be read
	waits  bool      // it was said that the last line has no end

	gone      bool // no name in include leads to it
	moved     bool // out of sight it lives on, so that what takes its place continues its run
	continued bool // another log continues its run
	late      bool // it was said that it grew after that

	parting  []*task.Event
	resource map[string]any
	report   fileReport
	tally    tally   // of the accepted entries
	shown    *change // what was shown up to peeked
}

// change is one entry of a log, or events that are ready; it collects what became of it.
type change struct {
	f       *file
	rec     rules.Record
	peek    bool
	parting []*task.Event
	res     rules.Result
	left    left
	state   []byte // of the rules, behind a peek
	failed  bool   // it could not become events
}

// open prepares reading; the first time from the accepted position.
func (t *tail) open(f *file) error {
	if f.handle != nil {
		return nil
	}
	h, err := os.Open(f.path)
	if err != nil {
		return err
	}
	f.handle = h
	if f.lines == nil {
		f.readTo, f.peeked = f.offset, 0
		f.lines = t.rules.NewLines(f.offset, t.cfg.MaxLineSize)
		f.group = t.rules.NewGrouper()
	}
	return nil
}

func (f *file) close() {
	if f.handle != nil {
		_ = f.handle.Close()
		f.handle = nil
	}
}

// idle says that nothing new is expected, so that the file need not stay open.
func (f *file) idle(now time.Time) bool { return now.Sub(f.grown) > idleAfter }

// read emits all that the log holds. Only the end of ctx is an error; the position then stays where it is.
func (t *tail) read(ctx context.Context, f *file, emit emitFunc) error {
	if f.parting != nil {
		c := &change{f: f, parting: f.parting}
		if err := emit(ctx, []*change{c}); err != nil {
			return err
		}
		t.report.left(ctx, f, c)
		f.parting = nil
		t.store.save(ctx, f)
	}
	if f.handle == nil && (f.gone || f.size == f.readTo && f.lines != nil) {
		return t.settle(ctx, f, emit)
	}
	if err := t.open(f); err != nil {
		t.report.unreadable(ctx, f.path, err)
		return nil
	}
	buf := t.buf
	var batch []*change
	bytes := 0
	for {
		n, err := f.handle.ReadAt(buf, f.readTo)
		if n > 0 {
			f.readTo += int64(n)
			f.grown, f.waits = time.Now(), false
		}
		for _, l := range f.lines.Add(buf[:n]) {
			if rec, ok := f.group.Add(l); ok {
				batch = append(batch, &change{f: f, rec: rec})
				bytes += len(rec.Text)
			}
			if len(batch) >= batchLines || bytes >= batchBytes {
				if err := t.accept(ctx, f, batch, emit); err != nil {
					return err
				}
				batch, bytes = nil, 0
			}
		}
		if err != nil || n == 0 {
			if err != nil && !errors.Is(err, io.EOF) {
				t.report.unreadable(ctx, f.path, err)
			}
			break
		}
	}
	if err := t.accept(ctx, f, batch, emit); err != nil {
		return err
	}
	if f.marks.End != f.readTo {
		f.mark(f.readTo)
	}
	if !keepOpen {
		f.close()
	}
	return t.settle(ctx, f, emit)
}

// accept hands entries over and moves the position behind them once they were accepted.
func (t *tail) accept(ctx context.Context, f *file, batch []*change, emit emitFunc) error {
	if len(batch) == 0 {
		return nil
	}
	if err := emit(ctx, batch); err != nil {
		return err
	}
	end := batch[len(batch)-1].rec.End
	t.report.accepted(ctx, f, batch, end-f.offset)
	for _, c := range batch {
		f.tally.add(c)
	}
	if f.continued && !f.late {
		f.late = true
		t.report.grewLate(ctx, f)
	}
	f.mark(end)
	f.offset, f.ahead = end, nil
	t.store.save(ctx, f)
	return nil
}

// mark remembers what was read. When that fails the log was just cut: the old marks no longer fit, which the next look
// finds.
func (f *file) mark(end int64) {
	if f.handle == nil {
		return
	}
	if m, err := marksOf(f.handle, end); err == nil {
		f.marks = m
	}
}

// settle shows an entry that has been quiet, although more lines of it may follow. The position stays before it: when it
// grows, or after a restart, it is read again, and its later events replace these.
func (t *tail) settle(ctx context.Context, f *file, emit emitFunc) error {
	if f.group == nil {
		return nil
	}
	quiet := time.Since(f.grown)
	if rec, ok := f.group.Pending(); ok && f.peeked != rec.End && quiet >= t.cfg.SettleAfter {
		c := &change{f: f, rec: rec, peek: true}
		if err := emit(ctx, []*change{c}); err != nil {
			return err
		}
		f.peeked, f.ahead, f.shown = rec.End, c.state, c
		t.store.save(ctx, f)
	}
	if rest := f.lines.Rest(); rest > 0 && quiet > idleAfter && !f.waits {
		f.waits = true
		t.logger.Info("the last line of a log has no line end yet; it is read when it is complete",
			zap.String("path", f.path), zap.Int64("bytes", rest))
	}
	return nil
}

// finish reads the last entry of a log that will not grow any more.
func (t *tail) finish(ctx context.Context, f *file, emit emitFunc) error {
	if f.lines == nil {
		return nil
	}
	if rest := f.lines.Rest(); rest > 0 {
		t.report.torn(ctx, f, rest)
	}
	rec, ok := f.group.Last()
	if !ok {
		return nil
	}
	return t.accept(ctx, f, []*change{{f: f, rec: rec}}, emit)
}
