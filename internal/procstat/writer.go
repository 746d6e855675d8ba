package procstat

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Writer finds the one process that has a file open for writing; false if there is none, or several.
func (r *Reader) Writer(path string) (Identity, bool) {
	entries, err := os.ReadDir(r.proc)
	if err != nil {
		return Identity{}, false
	}
	found := Identity{BootID: r.bootID}
	for _, e := range entries {
		pid := int(number([]byte(e.Name())))
		if pid == 0 || !r.writes(pid, path) || r.relays(pid) {
			continue
		}
		if found.PID != 0 {
			return Identity{}, false
		}
		start, err := r.startOf(pid)
		if err != nil {
			continue
		}
		found.PID, found.Start = pid, start
	}
	return found, found.PID != 0
}

// relays says whether a process passes on what another one writes: python train.py | tee train.log.
func (r *Reader) relays(pid int) bool {
	comm, err := os.ReadFile(r.path(pid, "comm"))
	return err == nil && slices.Contains(relays, strings.TrimSpace(string(comm)))
}

var relays = []string{"tee", "logger", "ts", "cat", "rotatelogs", "multilog", "cronolog", "slurmstepd", "containerd-shim", "conmon", "systemd-journal"}

func (r *Reader) writes(pid int, path string) bool {
	dir := r.path(pid, "fd")
	names, err := os.ReadDir(dir) // refused for processes of others
	if err != nil {
		return false
	}
	for _, fd := range names {
		if target, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && target == path && r.forWriting(pid, fd.Name()) {
			return !other(filepath.Join(dir, fd.Name()), path)
		}
	}
	return false
}

// other says that an open file is not the one of that name here, but in a container.
func other(open, path string) bool {
	there, err1 := os.Stat(open)
	here, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && !os.SameFile(there, here)
}

// forWriting reads the access mode, the last octal digit of the flags of an open file.
func (r *Reader) forWriting(pid int, fd string) bool {
	b, err := os.ReadFile(r.path(pid, "fdinfo/"+fd))
	if err != nil {
		return false
	}
	_, flags, ok := bytes.Cut(b, []byte("flags:"))
	flags, _, _ = bytes.Cut(bytes.TrimSpace(flags), []byte{'\n'})
	return ok && len(flags) > 0 && (flags[len(flags)-1]-'0')&3 != 0
}
