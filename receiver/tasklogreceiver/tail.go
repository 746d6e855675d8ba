package tasklogreceiver

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer/matcher"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

type emitFunc = func(context.Context, []*change) error

// tail follows the logs. Why it is not the file consumer of pkg/stanza: docs/adr/003-log-reader.md.
//
// A log is known by three things: its path, what the file system calls it, and its marks (the beginning and the end of
// what was read). At every look each known log is found again:
//
//	same path or same file, marks fit          → it goes on
//	another file, marks fit                    → it was copied (copytruncate, rsync), it goes on there
//	its path holds another file, it lives on   → rotated: both are followed (rotate.go)
//	its path holds another content             → overwritten: it begins anew, what was open is lost
//	nothing                                    → gone: what is open is read to its end, the position is kept
//
// A log whose state a newer version stored is refused: what this one would store in its place, that one could not use.
type tail struct {
	cfg      *Config
	pace     *observer.Pace
	looks    *observer.Looks
	rules    *rules.Set
	matcher  *matcher.Matcher
	store    *stateStore
	report   *report
	resolver *entity.Resolver
	host     string
	logger   *zap.Logger
	witness  witness
	doctor   doctor

	files   []*file
	refused []refusedLog
	owners  map[string]string // names of users, by uid
	buf     []byte
}

// Observe implements observer.Source.
func (t *tail) Observe(ctx context.Context, emit func(context.Context, []*change) error) error {
	t.buf = make([]byte, readSize)
	defer func() {
		t.witness.looked(t.files)
		for _, f := range t.files {
			f.close()
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-t.looks.Wake():
		}
		began := time.Now()
		t.looks.Begin()
		t.report.broken = nil
		if err := t.poll(ctx, emit); err != nil || ctx.Err() != nil {
			return ctx.Err()
		}
		t.looks.End(!t.unsettled(), t.report.broken)
		pause := t.pace.After(time.Since(began), 0)
		if t.looks.Waited() {
			pause = min(pause, waitedPause)
		}
		timer.Reset(pause)
	}
}

// waitedPause is the pause between two looks while somebody waits for all to be read.
const waitedPause = 50 * time.Millisecond

// unsettled says whether the last entry of a log still waits for more lines of it.
func (t *tail) unsettled() bool {
	for _, f := range t.files {
		if f.group == nil {
			continue
		}
		if rec, ok := f.group.Pending(); ok && f.peeked != rec.End {
			return true
		}
	}
	return false
}

func (t *tail) poll(ctx context.Context, emit emitFunc) error {
	if err := t.look(ctx, emit); err != nil {
		return err
	}
	now := time.Now()
	for _, f := range t.files {
		if err := t.read(ctx, f, emit); err != nil {
			return err
		}
		if f.handle != nil && f.idle(now) {
			if f.gone {
				if err := t.finish(ctx, f, emit); err != nil {
					return err
				}
			}
			f.close()
		}
	}
	t.report.looked(ctx, t.files)
	t.witness.looked(t.files)
	return nil
}

// look finds every known log again, and new ones.
func (t *tail) look(ctx context.Context, emit emitFunc) error {
	all := t.list(ctx)
	t.leaveAlone(ctx, all)
	var lost []*file
	for _, f := range t.files {
		if c := t.again(ctx, f, all); c != nil {
			t.take(f, c)
			continue
		}
		lost = append(lost, f)
	}
	known := map[fileID]bool{}
	if len(lost) > 0 {
		for _, f := range t.files {
			known[f.id] = true
		}
	}
	rest := all.rest()
	for _, f := range lost {
		if c := t.copyOf(ctx, f, all, rest, known); c != nil {
			f.close()
			t.take(f, c)
			continue
		}
		c := all.at(f.path)
		// While an empty file is in its place, the program may still write to the old one.
		if c == nil || c.size == 0 && c.id != f.id {
			t.miss(ctx, f)
			continue
		}
		if err := t.replace(ctx, f, c, emit); err != nil {
			return err
		}
	}
	if err := t.adoptNew(ctx, all, emit); err != nil {
		return err
	}
	t.forget(ctx)
	return nil
}

// leaveAlone passes over the logs that are refused, under the name that they had and wherever they were moved.
func (t *tail) leaveAlone(ctx context.Context, all *listing) {
	for _, r := range t.refused {
		for _, c := range []*found{all.byPath[r.path], all.byID[r.id]} {
			if c != nil {
				c.taken = true
				t.report.lasting(ctx, c.path, newer, "a log is left alone: its position was stored by a newer version; start that one again", r.err)
			}
		}
	}
}

// miss says once that no name in include leads to a log any more, also over restarts.
func (t *tail) miss(ctx context.Context, f *file) {
	if f.gone {
		return
	}
	if _, err := os.Stat(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.report.unreadable(ctx, f.path, err) // which is not gone
		return
	}
	f.gone, f.moved = true, f.livesOn()
	t.report.fault(ctx, f.path, vanished)
	t.logger.Info("a log is gone; its position is kept in case that it comes back", zap.String("path", f.path))
	t.store.save(ctx, f)
}

// forget bounds what is known: beyond the limit, logs that are gone are forgotten, those known for longest first.
func (t *tail) forget(ctx context.Context) {
	over := len(t.files) - maxFiles
	if over <= 0 {
		return
	}
	kept := t.files[:0]
	for _, f := range t.files {
		if over > 0 && f.gone {
			over--
			f.close()
			t.store.forget(ctx, f)
			t.report.fault(ctx, f.path, forgotten)
			t.logger.Warn("too many logs are known; one that is gone is forgotten, and would be read from its beginning",
				zap.String("path", f.path), zap.Int("limit", maxFiles))
			continue
		}
		kept = append(kept, f)
	}
	t.files = kept
}

// again finds a log as the same file, under its own or another name.
func (t *tail) again(ctx context.Context, f *file, all *listing) *found {
	if c := all.at(f.path); c != nil && c.id == f.id && t.fits(ctx, f, c) {
		return c
	}
	if c := all.byID[f.id]; c != nil && !c.taken && t.fits(ctx, f, c) {
		return c
	}
	return nil
}

// copyOf finds the content of a log in another file: first in one of its own name.
func (t *tail) copyOf(ctx context.Context, f *file, all *listing, rest []*found, known map[fileID]bool) *found {
	if f.marks.End == 0 {
		return nil
	}
	if c := all.at(f.path); c != nil && c.id != f.id && t.fits(ctx, f, c) {
		return c
	}
	for _, c := range rest {
		if !c.taken && !known[c.id] && t.fits(ctx, f, c) {
			return c
		}
	}
	return nil
}

// fits says that a file holds what was read of a log. What has not changed since it was last looked at does.
func (t *tail) fits(ctx context.Context, f *file, c *found) bool {
	if c.id == f.id && c.size == f.size && c.mtime.Equal(f.mtime) {
		return true
	}
	if c.size < f.marks.End {
		return false
	}
	h, err := os.Open(c.path)
	if err != nil {
		t.report.unreadable(ctx, c.path, err)
		return c.id == f.id // not readable now is no other content
	}
	defer h.Close()
	return f.marks.fit(h, c.size)
}

func (t *tail) take(f *file, c *found) {
	c.taken = true
	f.path, f.id, f.size, f.mtime, f.gone, f.moved = c.path, c.id, c.size, c.mtime, false, false
	if f.resource == nil {
		f.resource = t.resourceOf(f, c)
	}
}

func (t *tail) resourceOf(f *file, c *found) map[string]any {
	r := map[string]any{"host.name": t.host, "log.file.path": logPath(f.path)}
	if owner := t.ownerOf(c.info); owner != "" {
		r["user.name"] = owner
	}
	if id := t.resolver.Container(); id != "" {
		r["container.id"] = id
	}
	return r
}

// ownerOf is the user who owns a log: as a rule the one who ran the script. To look one up reads a file, or asks a server.
func (t *tail) ownerOf(info fs.FileInfo) string {
	uid := uidOf(info)
	if uid == "" {
		return ""
	}
	name, ok := t.owners[uid]
	if !ok {
		if u, err := user.LookupId(uid); err == nil {
			name = u.Username
		}
		if t.owners == nil {
			t.owners = map[string]string{}
		}
		t.owners[uid] = name
	}
	return name
}
