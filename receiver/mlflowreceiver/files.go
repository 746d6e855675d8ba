package mlflowreceiver

import (
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	// listFor bounds the time that listing one run's artifacts may take.
	listFor = 500 * time.Millisecond
	// visitAtMost bounds the entries that are looked at, listed or not.
	visitAtMost = 20000
)

// files finds out where the paths of a run lead on this machine.
type files struct {
	resolver *entity.Resolver
}

type artifact struct {
	name string // within the run
	path string
	info task.PathInfo
}

type listing struct {
	files   []artifact
	models  []artifact // directories with a model in them
	omitted int        // files that were seen and not listed
}

// localPath is the path of an artifact location, false when it is not on a file system.
func localPath(uri, base string) (string, bool) {
	p := uri
	if scheme, rest, ok := strings.Cut(uri, ":"); ok && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\`) {
		if !strings.EqualFold(scheme, "file") {
			return "", false
		}
		u, err := url.Parse("file:" + rest)
		if err != nil || u.Host != "" && u.Host != "localhost" {
			return "", false
		}
		if p = u.Path; p == "" {
			p = u.Opaque
		}
	}
	if p == "" {
		return "", false
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(base, p)
	}
	return filepath.Clean(p), true
}

// localOr is the path of a file: URI, else the location as it is.
func localOr(location string) any {
	if strings.HasPrefix(location, "file:") {
		if p, ok := localPath(location, "/"); ok {
			return p
		}
	}
	return location
}

// list finds at most limit files below an artifact location, in the order of their names.
func (f *files) list(uri, base string, limit int) listing {
	var out listing
	root, ok := localPath(uri, base)
	if !ok || limit <= 0 {
		return out
	}
	deadline := time.Now().Add(listFor)
	visited := 0
	_ = filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		visited++
		if visited > visitAtMost || time.Now().After(deadline) {
			out.omitted++
			return fs.SkipAll
		}
		if err != nil { // unreadable or gone meanwhile: the others count
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		if len(out.files) >= limit {
			out.omitted++
			return nil
		}
		if a, ok := f.artifact(root, p); ok {
			out.files = append(out.files, a)
		}
		if entry.Name() == "MLmodel" && filepath.Dir(p) != root {
			if a, ok := f.artifact(root, filepath.Dir(p)); ok {
				out.models = append(out.models, a)
			}
		}
		return nil
	})
	return out
}

func (f *files) artifact(root, p string) (artifact, bool) {
	name, err := filepath.Rel(root, p)
	if err != nil {
		return artifact{}, false
	}
	info, err := f.resolver.Resolve(p, "")
	if err != nil || info.ModTime == 0 {
		return artifact{}, false
	}
	return artifact{filepath.ToSlash(name), p, task.PathInfo(info)}, true
}

// resolve adds to the event where each path among its values leads.
func (f *files) resolve(e *task.Event, base string) {
	visit := func(side string) func([]string, any) {
		return func(path []string, v any) {
			text, ok := v.(string)
			// The name of an artifact is one within the run, and what held a secret is no path any more.
			if !ok || path[len(path)-1] == "artifact" || capture.Secret(text) {
				return
			}
			if _, known := e.Paths[text]; known {
				return
			}
			p, ok := entity.LocalPath(side+strings.Join(path, "."), text)
			if !ok {
				return
			}
			if info, err := f.resolver.Resolve(p, base); err == nil && !capture.Secret(info.Real) {
				e.Paths[text] = task.PathInfo(info)
			}
		}
	}
	entity.Walk(e.Used, visit("used."))
	entity.Walk(e.Generated, visit("generated."))
}
