package tasklogreceiver

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// found is a file that include leads to.
type found struct {
	path  string
	id    fileID
	size  int64
	mtime time.Time
	info  fs.FileInfo
	taken bool
}

// listing is what one look found: each file once, however many names it has.
type listing struct {
	files  []*found
	byPath map[string]*found
	byID   map[fileID]*found
}

func (t *tail) list(ctx context.Context) *listing {
	paths, globErr := t.matcher.MatchFiles()
	var fault *fs.PathError // else there are no logs yet
	faulty := errors.As(globErr, &fault)
	all := &listing{byPath: make(map[string]*found, len(paths)), byID: make(map[fileID]*found, len(paths))}
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
		if all.byID[id] != nil {
			continue
		}
		c := &found{path: abs, id: id, size: fi.Size(), mtime: fi.ModTime(), info: fi}
		all.files = append(all.files, c)
		all.byPath[abs], all.byID[id] = c, c
	}
	if faulty {
		t.report.unreadable(ctx, fault.Path, globErr)
	}
	return all
}

// at returns the file of that path, unless it was recognised as a known log.
func (l *listing) at(path string) *found {
	if c := l.byPath[path]; c != nil && !c.taken {
		return c
	}
	return nil
}

// rest lists what was not recognised so far.
func (l *listing) rest() []*found {
	var out []*found
	for _, c := range l.files {
		if !c.taken {
			out = append(out, c)
		}
	}
	return out
}
