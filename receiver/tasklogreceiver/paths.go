package tasklogreceiver

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// tolerance is how much later than its line a file may be modified and still be the one that the line means: a line in
// whole seconds leaves open which part of its second it was.
func tolerance(at int64) int64 {
	if at%int64(time.Second) == 0 {
		return int64(time.Second)
	}
	return int64(50 * time.Millisecond)
}

// paths turns entries into events, takes out what must not leave, and finds out where the paths in the rest lead on this
// machine.
type paths struct {
	resolver *entity.Resolver
	policy   *capture.Policy
}

// callback implements observer.Callback.
func (p *paths) callback(c *change) ([]*task.Event, error) {
	events := c.parting
	if events == nil {
		if c.peek {
			var err error
			if c.res, c.state, err = c.f.engine.Peek(c.rec); err != nil {
				return nil, err
			}
		} else {
			c.res = c.f.engine.Process(c.rec)
		}
		events = c.res.Events
	}
	dir := directory(c.f.path, c.res.BaseDir)
	c.left = left{}
	kept := make([]*task.Event, 0, len(events))
	for _, e := range events {
		keep, n := p.policy.Apply(e)
		c.left.add(n)
		if !keep {
			c.left.events++
			continue
		}
		kept = append(kept, e)
		e.Resource = c.f.resource
		p.resolve(e, c.f, dir, e.Used)
		p.resolve(e, c.f, dir, e.Generated)
	}
	return kept, nil
}

// directory is where relative paths start; a relative one starts where the collector runs, as all of its configuration.
func directory(log, base string) string {
	if base == "" {
		return filepath.Dir(log)
	}
	if abs, err := filepath.Abs(base); err == nil {
		return abs
	}
	return base
}

func (p *paths) resolve(e *task.Event, f *file, dir string, values map[string]any) {
	entity.Walk(values, func(path []string, value any) {
		s, ok := value.(string)
		if !ok {
			return
		}
		local, ok := entity.LocalPath(strings.Join(path, "."), s)
		if !ok {
			if !f.engine.IsPath(s) {
				return
			}
			local = s
		}
		if capture.Secret(s) { // no longer the path that the line named
			return
		}
		if _, done := e.Paths[s]; done {
			return
		}
		info, err := p.resolver.Resolve(local, dir)
		if err != nil || capture.Secret(info.Real) {
			return
		}
		// A file that was modified long after the line says nothing about the one that the line means.
		if at := factTime(e); at != 0 && info.ModTime > at+tolerance(at) {
			info.ModTime, info.Size = 0, -1
		}
		if e.Paths == nil {
			e.Paths = map[string]task.PathInfo{}
		}
		e.Paths[s] = task.PathInfo{Real: info.Real, FS: info.FS, Rel: info.Rel, ModTime: info.ModTime, Size: info.Size}
	})
}

func factTime(e *task.Event) int64 {
	if e.EndedAt != 0 {
		return e.EndedAt
	}
	return e.StartedAt
}
