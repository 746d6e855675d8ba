package entity

import (
	"bytes"
	"strconv"
	"strings"
)

// mount is one line of mountinfo (proc(5)).
type mount struct {
	id, parent int
	dev        string // "major:minor"
	root       string // directory of the file system that is mounted
	point      string
	fstype     string
	source     string
	options    []string // of the mount and of the super block
}

func (m *mount) option(name string) string {
	for _, o := range m.options {
		if v, ok := strings.CutPrefix(o, name+"="); ok {
			return v
		}
	}
	return ""
}

// mountTable keeps the order of the file: of two mounts in one place the later
// one is on top.
type mountTable struct {
	mounts   []mount
	root     int // index, -1 when the table has no root mount
	children map[int][]int
	byDev    map[string][]int
}

// parseMounts reads a mountinfo text. Lines it cannot read are left out: a
// kernel with a longer format must not cost us the whole table.
func parseMounts(text []byte) *mountTable {
	t := &mountTable{root: -1, children: map[int][]int{}, byDev: map[string][]int{}}
	ids := map[int]bool{}
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		m, ok := parseMount(string(line))
		if !ok {
			continue
		}
		t.byDev[m.dev] = append(t.byDev[m.dev], len(t.mounts))
		if m.parent != m.id {
			t.children[m.parent] = append(t.children[m.parent], len(t.mounts))
		}
		t.mounts = append(t.mounts, m)
		ids[m.id] = true
	}
	for i := range t.mounts {
		m := &t.mounts[i]
		if m.point == "/" && (m.parent == m.id || !ids[m.parent]) {
			t.root = i
			break
		}
	}
	return t
}

func parseMount(line string) (mount, bool) {
	// 36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
	f := strings.Split(strings.TrimRight(line, "\r"), " ")
	sep := -1
	for i := 6; i < len(f); i++ {
		if f[i] == "-" {
			sep = i
			break
		}
	}
	if sep < 0 || len(f) < sep+3 {
		return mount{}, false
	}
	id, err1 := strconv.Atoi(f[0])
	parent, err2 := strconv.Atoi(f[1])
	if err1 != nil || err2 != nil || !strings.Contains(f[2], ":") {
		return mount{}, false
	}
	m := mount{
		id: id, parent: parent, dev: f[2],
		root: unescapeOctal(f[3]), point: unescapeOctal(f[4]),
		fstype: unescapeOctal(f[sep+1]), source: unescapeOctal(f[sep+2]),
		options: strings.Split(f[5], ","),
	}
	if len(f) > sep+3 {
		for o := range strings.SplitSeq(f[sep+3], ",") {
			m.options = append(m.options, unescapeOctal(o))
		}
	}
	return m, strings.HasPrefix(m.point, "/")
}

// unescapeOctal undoes the kernel's \040 for space, tab, newline and backslash.
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// find returns the mount that holds an absolute, clean path, or nil. It walks
// the mount tree as the kernel walks the path, so a mount that a later one hides
// is never found.
func (t *mountTable) find(path string) *mount {
	i := t.findIndex(path)
	if i < 0 {
		return nil
	}
	return &t.mounts[i]
}

func (t *mountTable) findIndex(path string) int {
	if t.root < 0 {
		return t.findLongest(path)
	}
	cur := t.root
	for range t.mounts { // a parent loop in a broken table ends here
		next := -1
		for _, c := range t.children[t.mounts[cur].id] {
			point := t.mounts[c].point
			if _, ok := under(path, point); !ok {
				continue
			}
			if next < 0 || len(point) <= len(t.mounts[next].point) {
				next = c
			}
		}
		if next < 0 {
			return cur
		}
		cur = next
	}
	return cur
}

func (t *mountTable) findLongest(path string) int {
	best := -1
	for i := range t.mounts {
		if _, ok := under(path, t.mounts[i].point); !ok {
			continue
		}
		if best < 0 || len(t.mounts[i].point) >= len(t.mounts[best].point) {
			best = i
		}
	}
	return best
}

// pathOf maps a directory entry of a device to a path that this table shows,
// preferring the mount nearest to the root of the file system.
func (t *mountTable) pathOf(dev, inside string) (string, bool) {
	best, bestPath := -1, ""
	for _, i := range t.byDev[dev] {
		m := &t.mounts[i]
		rest, ok := under(inside, m.root)
		if !ok {
			continue
		}
		if best >= 0 {
			b := &t.mounts[best]
			if len(m.root) > len(b.root) || len(m.root) == len(b.root) && len(m.point) >= len(b.point) {
				continue
			}
		}
		path := joinRoot(m.point, rest)
		if t.findIndex(path) != i {
			continue // another mount lies over it
		}
		best, bestPath = i, path
	}
	return bestPath, best >= 0
}
