package entity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// ErrNotAPath is returned for a string that cannot be a path of this machine:
// empty, with a NUL byte, of another operating system, or relative where the
// working directory is unknown.
var ErrNotAPath = errors.New("not a path that can be resolved")

const (
	maxSymlinks   = 40
	rereadAtLeast = time.Second
)

// Resolver finds out where a path of this machine really lies (doc.go has the
// algorithm). One per process is enough; it is safe for concurrent use.
//
// Resolve asks the file system and can block as long as a dead network file
// system blocks: call it from a goroutine that may wait.
type Resolver struct {
	probe probe

	mu     sync.Mutex
	space  *space
	readAt time.Time
}

// NewResolver returns a resolver for the mount namespace of this process. It
// never fails: without a mount table paths are local to the host.
func NewResolver() *Resolver { return &Resolver{probe: osProbe()} }

// Container is the id that qualifies paths in the container of this process, ""
// when the process runs on the host. Observers report it as container.id; it is
// what [Where] wants.
func (r *Resolver) Container() string {
	s := r.current()
	if s.onHost {
		return s.runtimeID
	}
	return s.containerID()
}

// Resolve finds a path that a task named while dir was its working directory.
// A file that does not exist has an identity too: its ModTime is 0. "~/" is the
// home directory of this process.
func (r *Resolver) Resolve(path, dir string) (PathInfo, error) {
	abs, err := r.absolute(path, dir)
	if err != nil {
		return PathInfo{}, err
	}
	real, err := realPath(abs)
	if err != nil { // a loop of symlinks: the path as written is all there is
		real = filepath.Clean(abs)
	}
	info := PathInfo{Real: slash(real), Size: -1}
	dev := ""
	if st, err := os.Stat(real); err == nil {
		info.ModTime = st.ModTime().UnixNano()
		if st.Mode().IsRegular() {
			info.Size = st.Size()
		}
		dev = deviceOf(st)
	}
	s := r.current()
	if s.stale(info.Real, dev) {
		s = r.reread()
	}
	info.FS, info.Rel = s.locate(info.Real)
	return info, nil
}

// OnNetwork says whether a path lies on a file system that other machines may
// share. A path that cannot be read lies where it says.
func (r *Resolver) OnNetwork(path string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	s := r.current()
	if s.self == nil {
		return false
	}
	m := s.self.find(filepath.Clean(path))
	if m == nil {
		return false
	}
	_, _, ok := network(m)
	return ok
}

// Outer maps what a process in a container of this host knew only by device to
// the host's own path. Other infos come back unchanged.
func (r *Resolver) Outer(info PathInfo) PathInfo {
	dev, ok := strings.CutPrefix(info.FS, "dev:")
	if !ok {
		return info
	}
	s := r.current()
	if !s.onHost {
		return info
	}
	if path, ok := s.home.pathOf(dev, info.Rel); ok {
		info.FS, info.Rel = "", path
	}
	return info
}

func (r *Resolver) current() *space {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.space == nil {
		r.space, r.readAt = r.probe.read(), time.Now()
	}
	return r.space
}

// reread serves mounts that came after the first read (automounts, a user's own
// mounts); a burst of paths on them costs one read a second.
func (r *Resolver) reread() *space {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.readAt) >= rereadAtLeast {
		r.space, r.readAt = r.probe.read(), time.Now()
	}
	return r.space
}

func (r *Resolver) absolute(path, dir string) (string, error) {
	if path == "" || strings.ContainsRune(path, 0) || strings.ContainsRune(dir, 0) {
		return "", fmt.Errorf("%w: %q", ErrNotAPath, path)
	}
	if filepath.Separator == '/' && isWindowsPath(path) {
		return "", fmt.Errorf("%w: %q is a path of Windows, this is %s", ErrNotAPath, path, runtime.GOOS)
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%w: %q: %w", ErrNotAPath, path, err)
		}
		path = home + string(filepath.Separator) + rest
	}
	if filepath.IsAbs(path) {
		return path, nil
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("%w: %q is relative and the working directory is %q, not an absolute path", ErrNotAPath, path, dir)
	}
	return dir + string(filepath.Separator) + path, nil
}

// realPath resolves every symlink of an absolute path; what does not exist is
// kept as written.
func realPath(path string) (string, error) {
	if runtime.GOOS == "windows" {
		return realPathPortable(path)
	}
	todo := strings.Split(path, "/")
	done := ""
	links := 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = done[:max(strings.LastIndexByte(done, '/'), 0)]
			continue
		}
		next := done + "/" + name
		target, err := os.Readlink(next)
		if err != nil { // not a link, or not there
			done = next
			continue
		}
		if links++; links > maxSymlinks {
			return "", fmt.Errorf("more than %d symbolic links in %q", maxSymlinks, path)
		}
		if strings.HasPrefix(target, "/") {
			done = ""
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if done == "" {
		return "/", nil
	}
	return done, nil
}

// realPathPortable leaves links to the platform and puts the missing tail back.
func realPathPortable(path string) (string, error) {
	path = filepath.Clean(path)
	tail := ""
	for dir := path; ; {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, tail), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return path, nil
		}
		tail = filepath.Join(filepath.Base(dir), tail)
		dir = parent
	}
}

// slash gives C:\x and \\server\share\x one form with slashes; on other systems
// a backslash is a character like any other.
func slash(path string) string {
	if filepath.Separator == '/' {
		return path
	}
	return windowsSlashes(path)
}
