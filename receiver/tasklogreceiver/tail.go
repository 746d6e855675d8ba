package tasklogreceiver

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer/matcher"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
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
//	its path holds another file, it lives on   → rotated: both are followed, the new one continues the run
//	its path holds another content             → overwritten: it begins anew, what was open is lost
//	nothing                                    → gone: what is open is read to its end, the position is kept
//
// A log whose state a newer version stored is refused: what this one would store in its place, that one could not use.
type tail struct {
	cfg      *Config
	rules    *rules.Set
	matcher  *matcher.Matcher
	store    *stateStore
	report   *report
	resolver *entity.Resolver
	host     string
	logger   *zap.Logger

	files   []*file
	refused []refusedLog
	buf     []byte
}

// found is a file that include leads to.
type found struct {
	path  string
	id    fileID
	size  int64
	mtime time.Time
	owner string
	taken bool
}

// Observe implements observer.Source.
func (t *tail) Observe(ctx context.Context, emit func(context.Context, []*change) error) error {
	t.buf = make([]byte, readSize)
	defer func() {
		for _, f := range t.files {
			f.close()
		}
	}()
	ticker := time.NewTicker(t.cfg.PollInterval)
	defer ticker.Stop()
	for {
		if err := t.poll(ctx, emit); err != nil || ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
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
	return nil
}

// look finds every known log again, and new ones.
func (t *tail) look(ctx context.Context, emit emitFunc) error {
	all := t.list(ctx)
	t.leaveAlone(ctx, all)
	rotated := map[string]*file{} // by the path that they left
	var lost []*file
	for _, f := range t.files {
		if c := t.again(ctx, f, all); c != nil {
			if c.path != f.path {
				rotated[f.path] = f
			}
			t.take(f, c)
			continue
		}
		lost = append(lost, f)
	}
	for _, f := range lost {
		if c := t.copyOf(ctx, f, all); c != nil {
			if c.path != f.path {
				rotated[f.path] = f
			}
			f.close()
			t.take(f, c)
			continue
		}
		c := at(f.path, all)
		if c == nil {
			t.miss(ctx, f)
			continue
		}
		if err := t.replace(ctx, f, c, emit); err != nil {
			return err
		}
	}
	for i := range all {
		c := &all[i]
		if c.taken {
			continue
		}
		f := t.adopt(ctx, c)
		if f == nil {
			continue
		}
		if old := rotated[c.path]; old != nil {
			if err := t.read(ctx, old, emit); err != nil {
				return err
			}
			if err := t.finish(ctx, old, emit); err != nil {
				return err
			}
			f.engine.Inherit(old.engine, old.offset)
		}
		t.files = append(t.files, f)
	}
	t.forget(ctx)
	return nil
}

// leaveAlone passes over the logs that are refused, under the name that they had and wherever they were moved.
func (t *tail) leaveAlone(ctx context.Context, all []found) {
	for _, r := range t.refused {
		for i := range all {
			if c := &all[i]; c.path == r.path || c.id == r.id {
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
	f.gone = true
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

// list returns the files that include leads to, each once, however many names it has.
func (t *tail) list(ctx context.Context) []found {
	paths, globErr := t.matcher.MatchFiles()
	var fault *fs.PathError // else there are no logs yet
	faulty := errors.As(globErr, &fault)
	out := make([]found, 0, len(paths))
	seen := map[fileID]bool{}
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			abs = p
		}
		fi, err := os.Stat(abs)
		if err != nil {
			if !os.IsNotExist(err) {
				t.report.unreadable(ctx, abs, err)
				faulty = false // this is what the pattern met
			}
			continue
		}
		if !fi.Mode().IsRegular() {
			continue
		}
		id := idOf(abs, fi)
		if seen[id] {
			continue
		}
		seen[id] = true
		out = append(out, found{path: abs, id: id, size: fi.Size(), mtime: fi.ModTime(), owner: ownerOf(fi)})
	}
	if faulty {
		t.report.unreadable(ctx, fault.Path, globErr)
	}
	return out
}

func at(path string, all []found) *found {
	for i := range all {
		if c := &all[i]; c.path == path && !c.taken {
			return c
		}
	}
	return nil
}

// again finds a log as the same file, under its own or another name.
func (t *tail) again(ctx context.Context, f *file, all []found) *found {
	if c := at(f.path, all); c != nil && c.id == f.id && t.fits(ctx, f, c) {
		return c
	}
	for i := range all {
		if c := &all[i]; c.id == f.id && !c.taken && t.fits(ctx, f, c) {
			return c
		}
	}
	return nil
}

// copyOf finds the content of a log in another file: first in one of its own name.
func (t *tail) copyOf(ctx context.Context, f *file, all []found) *found {
	if f.marks.End == 0 {
		return nil
	}
	if c := at(f.path, all); c != nil && c.id != f.id && t.fits(ctx, f, c) {
		return c
	}
	for i := range all {
		if c := &all[i]; !c.taken && c.id != f.id && !t.known(c.id) && t.fits(ctx, f, c) {
			return c
		}
	}
	return nil
}

func (t *tail) known(id fileID) bool {
	for _, f := range t.files {
		if f.id == id {
			return true
		}
	}
	return false
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
	f.path, f.id, f.size, f.mtime, f.gone = c.path, c.id, c.size, c.mtime, false
	if f.resource == nil {
		f.resource = t.resourceOf(f, c)
	}
}

// replace begins a log anew whose path holds another content. A file that still lives elsewhere was rotated out of
// sight: its rest is read from the open handle, and the new file continues its run.
func (t *tail) replace(ctx context.Context, f *file, c *found, emit emitFunc) error {
	rotatedAway := false
	if f.handle != nil && c.id != f.id {
		if err := t.read(ctx, f, emit); err != nil {
			return err
		}
		rotatedAway = !deleted(f.handle)
	}
	if err := t.finish(ctx, f, emit); err != nil {
		return err
	}
	if f.ahead != nil { // the last entry was shown, and can no longer be read
		if err := f.engine.Restore(f.ahead); err != nil {
			t.report.problem(ctx, f, f.offset, "its state is not readable", zap.Error(err))
		}
		f.ahead = nil
	}
	if rotatedAway {
		f.engine.Inherit(f.engine, f.offset)
	} else if f.offset > 0 {
		t.report.fault(ctx, f.path, overwritten)
		t.logger.Info("a log was overwritten; it is read from its beginning, and what was not read before is lost",
			zap.String("path", f.path))
		f.parting = f.engine.NextGeneration()
	}
	f.close()
	f.offset, f.marks, f.lines, f.group = 0, marks{}, nil, nil
	t.take(f, c)
	return nil
}

var rotationSuffix = regexp.MustCompile(`^(.+\.[A-Za-z]\w*)(?:[.-](?:\d{1,4}|\d{4}-?\d\d-?\d\d(?:[T_-]?\d{2,6})?))$`)

// logPath is a log's path without what rotation adds to it.
func logPath(path string) string {
	if m := rotationSuffix.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	return path
}

// adopt begins to follow a new log.
func (t *tail) adopt(ctx context.Context, c *found) *file {
	f := &file{grown: time.Now(), identity: t.identify(c.path)}
	var err error
	f.engine, err = t.rules.NewEngine(rules.Log{Identity: f.identity, Path: logPath(c.path)})
	if err != nil {
		t.report.unusable(ctx, c.path, err)
		return nil
	}
	f.key = t.store.newKey()
	t.take(f, c)
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

func (t *tail) resourceOf(f *file, c *found) map[string]any {
	r := map[string]any{"host.name": t.host, "log.file.path": logPath(f.path)}
	if c.owner != "" {
		r["user.name"] = c.owner
	}
	if id := t.resolver.Container(); id != "" {
		r["container.id"] = id
	}
	return r
}
