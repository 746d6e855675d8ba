package tasklogreceiver

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

// A series is the log that is written and what rotation made of its earlier parts: all have one identity, that of the
// path without what rotation adds. Each continues the run of the one before it. So it does not matter when a look happens:
// between the renaming and the new file, hours later, or at the first start over all of them.

// rotationSuffix is what logrotate and Python's handlers add: a number, or a date with or without a time.
var rotationSuffix = regexp.MustCompile(`^(.+\.[A-Za-z]\w*)[.-](\d{1,4}|\d{4}-?\d\d-?\d\d(?:[T_-]?\d\d(?:-?\d\d){0,2})?)$`)

var compressed = regexp.MustCompile(`\.(gz|bz2|xz|zst|lz4|Z)$`)

// logPath is a log's path without what rotation adds to it.
func logPath(path string) string {
	if m := rotationSuffix.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	return path
}

// part is one log of a series.
type part struct {
	path  string
	mtime time.Time
}

// live says that the log has the name of its series: it is the last one.
func (p part) live() bool { return logPath(p.path) == p.path }

func (p part) counter() (int, bool) {
	n, err := strconv.Atoi(strings.TrimLeft(strings.TrimPrefix(p.path, logPath(p.path)), ".-"))
	return n, err == nil && n < 10_000
}

// comparePart orders a series in time. What rotation counts or dates is known by that, because a copy of it can have any
// modification time.
func comparePart(a, b part) int {
	if a.live() != b.live() {
		if b.live() {
			return -1
		}
		return 1
	}
	n, aCounts := a.counter()
	m, bCounts := b.counter()
	switch {
	case aCounts && bCounts && n != m:
		return m - n // run.log.2 is older than run.log.1
	case aCounts || bCounts || a.path == b.path:
		return a.mtime.Compare(b.mtime)
	}
	return strings.Compare(a.path, b.path)
}

func (c *found) part() part { return part{c.path, c.mtime} }

func (f *file) part() part { return part{f.path, f.mtime} }

// newest is the last known log of a series. The names of those that are there now go together; that of one that is gone
// is of an earlier look, so that its time counts.
func newest(series []*file) *file {
	var there, gone *file
	for _, f := range series {
		switch {
		case f.gone && (gone == nil || !f.mtime.Before(gone.mtime)):
			gone = f
		case !f.gone && (there == nil || comparePart(there.part(), f.part()) <= 0):
			there = f
		}
	}
	if there == nil || gone != nil && gone.mtime.After(there.mtime) {
		return gone
	}
	return there
}

// newLog is a file that belongs to no known log.
type newLog struct {
	*found
	identity string
}

// adoptNew begins to follow what is new, the oldest of each series first. An empty file waits: until somebody writes to it,
// the log that was in its place may grow.
func (t *tail) adoptNew(ctx context.Context, all *listing, emit emitFunc) error {
	var logs []newLog
	for _, c := range all.rest() {
		if c.size > 0 {
			logs = append(logs, newLog{c, t.identify(c.path)})
		}
	}
	if len(logs) == 0 {
		return nil
	}
	slices.SortStableFunc(logs, func(a, b newLog) int {
		return cmp.Or(strings.Compare(a.identity, b.identity), comparePart(a.part(), b.part()))
	})
	series := map[string][]*file{}
	for _, f := range t.files {
		series[f.identity] = append(series[f.identity], f)
	}
	var last *file // of the present series
	for i, c := range logs {
		if i == 0 || logs[i-1].identity != c.identity {
			last = newest(series[c.identity])
		}
		if !c.part().live() && isCopy(c, series[c.identity], logs[i+1:]) {
			continue
		}
		f := t.adopt(ctx, c)
		if f == nil {
			continue
		}
		if last != nil && continues(c.found, last, all) {
			if err := t.handOver(ctx, last, f, emit); err != nil {
				return err
			}
			last = f
		} else if last == nil {
			last = f
		}
		t.files = append(t.files, f)
	}
	return nil
}

// continues says that a new log comes behind the last known one of its series. Logs with numbers are a series only beside
// one without: train.log.0 and train.log.1 alone may be of two processes.
func continues(c *found, last *file, all *listing) bool {
	if c.part().live() {
		return true
	}
	return all.byPath[logPath(c.path)] != nil && !last.part().live() && comparePart(last.part(), c.part()) < 0
}

// isCopy says that a new part holds nothing but what another log of its series begins with: it is being copied, and the
// original will be truncated, which copyOf finds.
func isCopy(c newLog, series []*file, newer []newLog) bool {
	for _, f := range series {
		if !f.gone && beginsAs(f.path, c.found) {
			return true
		}
	}
	for _, o := range newer {
		if o.identity == c.identity && beginsAs(o.path, c.found) {
			return true
		}
	}
	return false
}

// beginsAs says that a log begins with all that another file holds.
func beginsAs(log string, c *found) bool {
	part, err := os.Open(c.path)
	if err != nil {
		return false
	}
	defer part.Close()
	whole, err := os.Open(log)
	if err != nil {
		return false
	}
	defer whole.Close()
	fi, err := whole.Stat()
	if err != nil || fi.Size() < c.size {
		return false
	}
	m, err := marksOf(part, c.size)
	return err == nil && m.fit(whole, fi.Size())
}

// handOver lets a new log continue the run of the one before it, which is read to its end.
func (t *tail) handOver(ctx context.Context, last, f *file, emit emitFunc) error {
	if err := t.read(ctx, last, emit); err != nil {
		return err
	}
	if err := t.finish(ctx, last, emit); err != nil {
		return err
	}
	t.inherit(ctx, f, last)
	last.continued = true
	t.store.save(ctx, last)
	return nil
}

// inherit continues what another log began; also what was shown of it and can no longer be read.
func (t *tail) inherit(ctx context.Context, f, last *file) {
	if last.ahead == nil {
		f.engine.Inherit(last.engine, last.offset)
		return
	}
	if err := f.engine.Restore(last.ahead); err != nil {
		t.report.problem(ctx, last, last.offset, "its state is not readable", zap.Error(err))
	}
	f.engine.Inherit(f.engine, last.marks.End)
}

// livesOn says that a log that is out of sight was not removed: it has another name, or it was compressed, which keeps the
// time of modification.
func (f *file) livesOn() bool {
	mtime := f.mtime
	if f.handle != nil {
		if !deleted(f.handle) {
			return true
		}
		if fi, err := f.handle.Stat(); err == nil {
			mtime = fi.ModTime()
		}
	}
	entries, err := os.ReadDir(filepath.Dir(f.path))
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !compressed.MatchString(e.Name()) || !strings.HasPrefix(e.Name(), filepath.Base(f.path)) {
			continue
		}
		if fi, err := e.Info(); err == nil && fi.ModTime().Sub(mtime).Abs() < time.Second {
			return true
		}
	}
	return false
}

// replace begins a log anew whose path holds another content. A file that lives on was rotated out of sight: its rest is
// read from the open handle, and the new file continues its run.
func (t *tail) replace(ctx context.Context, f *file, c *found, emit emitFunc) error {
	if f.handle != nil && c.id != f.id {
		if err := t.read(ctx, f, emit); err != nil {
			return err
		}
	}
	if c.id != f.id || f.handle == nil { // a closed one may have left its number to the new file
		f.moved = f.moved || f.livesOn()
	}
	if err := t.finish(ctx, f, emit); err != nil {
		return err
	}
	read := f.offset > 0 || f.ahead != nil
	t.inherit(ctx, f, f)
	if !f.moved && read {
		t.report.fault(ctx, f.path, overwritten)
		t.logger.Info("a log was overwritten; it is read from its beginning, and what was not read before is lost",
			zap.String("path", f.path))
		f.parting = f.engine.NextGeneration()
	}
	f.close()
	f.offset, f.marks, f.lines, f.group, f.ahead, f.continued = 0, marks{}, nil, nil, nil, false
	f.tally, f.shown = tally{}, nil
	t.take(f, c)
	return nil
}

// adopt begins to follow a new log.
func (t *tail) adopt(ctx context.Context, c newLog) *file {
	f := &file{grown: time.Now(), identity: c.identity}
	var err error
	f.engine, err = t.rules.NewEngine(rules.Log{Identity: f.identity, Path: logPath(c.path)})
	if err != nil {
		t.report.unusable(ctx, c.path, err)
		return nil
	}
	f.key = t.store.newKey()
	t.take(f, c.found)
	t.logger.Info("following a log", zap.String("path", f.path))
	return f
}

// identify names a log in a way that is the same after a restart, after rotation, and from every host that sees it.
func (t *tail) identify(path string) string {
	info, err := t.resolver.Resolve(path, string(filepath.Separator))
	if err != nil || info.Rel == "" {
		return t.host + ":" + logPath(path)
	}
	if info.FS == "" {
		return t.host + ":" + logPath(info.Rel)
	}
	return info.FS + ":" + logPath(info.Rel)
}
