package entity

import (
	"os"
	"strings"
)

// initialPIDNamespace is PROC_PID_INIT_INO of the kernel: fixed since 3.8.
const initialPIDNamespace = "4026531836"

// probe reads the facts about the process's namespaces; tests replay recorded
// ones.
type probe struct {
	self, init, cgroup    func() ([]byte, error)
	pidNS, mntNS, initAge func() string
}

func osProbe() probe {
	file := func(name string) func() ([]byte, error) {
		return func() ([]byte, error) { return os.ReadFile(name) }
	}
	link := func(name string) func() string {
		return func() string {
			s, _ := os.Readlink(name) // absent on other systems: the empty answer says so
			_, inode, _ := strings.Cut(s, ":[")
			return strings.TrimSuffix(inode, "]")
		}
	}
	return probe{
		self:    file("/proc/self/mountinfo"),
		init:    file("/proc/1/mountinfo"),
		cgroup:  file("/proc/self/cgroup"),
		pidNS:   link("/proc/self/ns/pid"),
		mntNS:   link("/proc/self/ns/mnt"),
		initAge: startOfInit,
	}
}

// startOfInit tells two containers apart that got the same namespace inode one
// after the other.
func startOfInit() string {
	text, err := os.ReadFile("/proc/1/stat")
	if err != nil {
		return "0"
	}
	s := string(text)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 20 {
		return "0"
	}
	return f[19] // field 22 of proc(5), counted after the command's name
}

// space is the view of one process: its own mounts, those of its host or
// container, and which of the two it is.
type space struct {
	self, home *mountTable
	onHost     bool
	runtimeID  string
	pidNS      string
	mntNS      string
	initAge    string
}

func (p probe) read() *space {
	s := &space{pidNS: p.pidNS(), mntNS: p.mntNS(), initAge: p.initAge()}
	self, err := p.self()
	if err != nil {
		return s
	}
	s.self = parseMounts(self)
	s.home = s.self
	seen := false
	if text, err := p.init(); err == nil {
		if t := parseMounts(text); len(t.mounts) > 0 {
			s.home, seen = t, true
		}
	}
	cgroup, _ := p.cgroup() // without it the mounts may still tell
	s.runtimeID = runtimeID(string(cgroup), s.self)
	switch s.pidNS {
	case initialPIDNamespace:
		s.onHost = seen || s.runtimeID == "" && plainRoot(s.self)
	case "":
		s.onHost = s.runtimeID == "" && plainRoot(s.self)
	}
	return s
}

// plainRoot reports whether "/" looks like a machine's, not like a container's.
func plainRoot(t *mountTable) bool {
	m := t.find("/")
	if m == nil {
		return true
	}
	switch m.fstype {
	case "overlay", "aufs", "squashfs", "tmpfs", "fuse-overlayfs", "fuse.fuse-overlayfs":
		return false
	}
	return m.root == "/" || m.fstype == "btrfs"
}

// runtimeID finds the id that Docker, containerd, CRI-O and Podman write into
// the cgroup's name and into the origin of the files they mount.
func runtimeID(cgroup string, t *mountTable) string {
	for line := range strings.SplitSeq(cgroup, "\n") {
		if id := lastHexRun(line); id != "" {
			return id
		}
	}
	for i := range t.mounts {
		switch m := &t.mounts[i]; m.point {
		case "/etc/hostname", "/etc/hosts", "/etc/resolv.conf":
			if id := lastHexRun(m.root); id != "" {
				return id
			}
		}
	}
	return ""
}

// lastHexRun returns the last run of exactly 64 hex digits.
func lastHexRun(s string) string {
	end := len(s)
	for i := len(s) - 1; i >= -1; i-- {
		if i >= 0 && isHex(s[i]) {
			continue
		}
		if end-i-1 == 64 {
			return s[i+1 : end]
		}
		end = i
	}
	return ""
}

func (s *space) containerID() string {
	switch {
	case s.runtimeID != "":
		return s.runtimeID
	case s.pidNS != "" && s.pidNS != initialPIDNamespace:
		return "pid-" + s.pidNS + "-" + s.initAge
	case s.mntNS != "":
		return "mnt-" + s.mntNS
	}
	return ""
}

// locate maps a resolved path to the identity of its file system and the path
// inside it.
func (s *space) locate(real string) (fs, rel string) {
	if share, ok := strings.CutPrefix(real, "//"); ok { // Windows: \\server\share
		server, rest, _ := strings.Cut(share, "/")
		name, sub, _ := strings.Cut(rest, "/")
		return "cifs:" + serverName(server), joinRoot("/"+strings.ToLower(name), sub)
	}
	if s.self == nil {
		return "", joinRoot(real, "")
	}
	m := s.self.find(real)
	if m == nil {
		return "", real
	}
	rest, _ := under(real, m.point)
	inside := joinRoot(m.root, rest)
	if fs, base, ok := network(m); ok {
		if strings.Contains(fs, ":") || fs == "afs" {
			return fs, joinRoot(base, inside)
		}
		// Known by its mount point: a bind mount of a part must not rename it.
		if path, ok := s.self.pathOf(m.dev, inside); ok {
			return fs, path
		}
		return fs, real
	}
	outer, known := s.home.pathOf(m.dev, inside)
	switch {
	case s.onHost && known:
		return "", outer
	case s.onHost && s.runtimeID != "":
		return "container:" + s.runtimeID, real
	case s.onHost:
		return "container:mnt-" + s.mntNS, real
	case !volatile(m):
		return "dev:" + m.dev, inside
	case known:
		return "container:" + s.containerID(), outer
	}
	return "container:" + s.containerID() + ".mnt-" + s.mntNS, real
}

// volatile file systems live as long as their container, and the kernel gives
// their device number to the next one.
func volatile(m *mount) bool {
	switch m.fstype {
	case "overlay", "aufs", "tmpfs", "ramfs", "rootfs", "devtmpfs", "squashfs", "proc", "sysfs", "devpts", "9p", "virtiofs":
		return true
	}
	return strings.HasPrefix(m.fstype, "fuse")
}

// stale reports whether the table seems older than the file: it shows an
// automount point or another device.
func (s *space) stale(real, dev string) bool {
	if s.self == nil || dev == "" {
		return false
	}
	m := s.self.find(real)
	if m == nil || m.fstype == "autofs" {
		return true
	}
	switch m.fstype { // their files may show a device that no mount has
	case "btrfs", "overlay", "aufs", "nfs", "nfs4", "zfs":
		return false
	}
	return m.dev != dev && !strings.HasPrefix(m.fstype, "fuse")
}
