package procstat

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Identity names a process for all times: numbers of processes are given again, and each namespace has its own.
type Identity struct {
	BootID    string
	Namespace uint64 // inode of its pid namespace; 0 = unknown
	PID       int    // in that namespace
	Start     uint64 // ticks since boot, field 22 of /proc/<pid>/stat
}

// Why a process cannot be read.
var (
	ErrOtherHost = errors.New("the process runs on another host, or ran before this one was booted")
	ErrGone      = errors.New("the process is gone")
	ErrHidden    = errors.New("the process is hidden from this user")
	ErrNoProc    = errors.New("there is no /proc here")
)

// Reader opens processes below one /proc.
type Reader struct {
	proc      string
	bootID    string
	namespace uint64 // of this /proc, 0 = unknown
	page      float64
}

// Open looks at a /proc, "/proc" or a mounted or recorded one.
func Open(proc string) (*Reader, error) {
	r := &Reader{proc: proc, page: float64(os.Getpagesize())}
	boot, err := os.ReadFile(filepath.Join(proc, "sys/kernel/random/boot_id"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w (this is %s)", ErrNoProc, err, runtime.GOOS)
	}
	r.bootID = strings.TrimSpace(string(boot))
	if r.namespace = r.namespaceOf("1"); r.namespace == 0 { // only root may ask for that of process 1
		r.namespace = r.namespaceOf("self")
	}
	return r, nil
}

// BootID names this boot of the host.
func (r *Reader) BootID() string { return r.bootID }

func (r *Reader) path(pid int, name string) string {
	return filepath.Join(r.proc, strconv.Itoa(pid), name)
}

// namespaceOf returns the pid namespace of a process, 0 where it may not be asked for.
func (r *Reader) namespaceOf(pid string) uint64 {
	link, err := os.Readlink(filepath.Join(r.proc, pid, "ns/pid"))
	if err != nil {
		return 0
	}
	return number([]byte(strings.TrimPrefix(link, "pid:[")))
}

// find returns the number that a process has in this /proc.
func (r *Reader) find(id Identity) (int, error) {
	if id.BootID != r.bootID {
		return 0, ErrOtherHost
	}
	if id.Namespace == 0 || id.Namespace == r.namespace {
		if start, err := r.startOf(id.PID); err == nil && start == id.Start {
			return id.PID, nil
		}
		if id.Namespace != 0 {
			return 0, r.absent()
		}
	}
	entries, err := os.ReadDir(r.proc)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		pid := int(number([]byte(e.Name())))
		if pid == 0 || r.innerPID(pid) != id.PID {
			continue
		}
		if start, err := r.startOf(pid); err != nil || start != id.Start {
			continue
		}
		if ns := r.namespaceOf(e.Name()); ns == 0 || id.Namespace == 0 || ns == id.Namespace {
			return pid, nil
		}
	}
	return 0, r.absent()
}

// absent says why a process is not in this /proc: where other users' are hidden (hidepid), nobody can tell.
func (r *Reader) absent() error {
	if _, err := os.Stat(r.path(1, "stat")); err != nil {
		return ErrHidden
	}
	return ErrGone
}

func (r *Reader) startOf(pid int) (uint64, error) {
	b, err := os.ReadFile(r.path(pid, "stat"))
	if err != nil {
		return 0, err
	}
	s, err := parseStat(b)
	return s.start, err
}

// innerPID is the number of a process in its own namespace, the last one of NSpid.
func (r *Reader) innerPID(pid int) int {
	b, err := os.ReadFile(r.path(pid, "status"))
	if err != nil {
		return 0
	}
	_, line, ok := bytes.Cut(b, []byte("NSpid:"))
	if !ok {
		return 0
	}
	line, _, _ = bytes.Cut(line, []byte{'\n'})
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	return int(number(fields[len(fields)-1]))
}

// LastPID is the last number that was given to a process or thread on this host: as long as it is the same, nothing was
// begun. 0 = unknown.
func (r *Reader) LastPID() int {
	b, err := os.ReadFile(filepath.Join(r.proc, "loadavg"))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 5 {
		return 0
	}
	return int(number(fields[4]))
}
