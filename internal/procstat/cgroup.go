package procstat

import (
	"bytes"
	"os"
	"path/filepath"
	"time"
)

// What a sample of a cgroup holds.
const (
	GroupCPU      = iota // s
	GroupOOMKills        // processes that the kernel killed for want of memory in the group
	GroupMemory   = Memory
)

// Group reads the cgroup of a process, version 2 or 1. Not for concurrent use.
type Group struct {
	Path string // names it, below the root of cgroups

	memory, cpu, events string // files, "" where there is none
	cpuField            string // of a file with several numbers
	unit                float64
	buf                 []byte
}

// Group finds the cgroup of a process. It is nil for one that is in the root: that would be the whole host.
func (p *Process) Group(sys string) *Group {
	b, err := os.ReadFile(p.r.path(p.pid, "cgroup"))
	if err != nil {
		return nil
	}
	paths := map[string]string{} // controller → path
	for _, line := range bytes.Split(b, []byte{'\n'}) {
		parts := bytes.SplitN(line, []byte{':'}, 3)
		if len(parts) != 3 {
			continue
		}
		for _, c := range bytes.Split(parts[1], []byte{','}) {
			paths[string(c)] = string(parts[2])
		}
	}
	root := filepath.Join(sys, "fs/cgroup")
	buf := make([]byte, 4096)
	if path, ok := paths["memory"]; ok && path != "/" {
		dir := filepath.Join(root, "memory", path)
		g := &Group{Path: path, memory: filepath.Join(dir, "memory.usage_in_bytes"), events: filepath.Join(dir, "memory.oom_control"), unit: 1e9, buf: buf}
		if cpu := paths["cpuacct"]; cpu != "" && cpu != "/" {
			g.cpu = filepath.Join(root, "cpuacct", cpu, "cpuacct.usage")
		}
		return g.there()
	}
	if path, ok := paths[""]; ok && path != "/" {
		dir := filepath.Join(root, path)
		g := &Group{
			Path: path, memory: filepath.Join(dir, "memory.current"), events: filepath.Join(dir, "memory.events"),
			cpu: filepath.Join(dir, "cpu.stat"), cpuField: "usage_usec", unit: 1e6, buf: buf,
		}
		return g.there()
	}
	return nil
}

// there returns the group if it can be read at all.
func (g *Group) there() *Group {
	if _, ok := g.number(g.memory, ""); !ok {
		return nil
	}
	return g
}

// Read takes a sample; what cannot be read is unknown.
func (g *Group) Read() Sample {
	x := Sample{At: time.Now().UnixNano(), Values: Unknown()}
	if n, ok := g.number(g.memory, ""); ok {
		x.Values[GroupMemory] = float64(n)
	}
	if n, ok := g.number(g.cpu, g.cpuField); ok {
		x.Values[GroupCPU] = float64(n) / g.unit
	}
	if n, ok := g.number(g.events, "oom_kill"); ok {
		x.Values[GroupOOMKills] = float64(n)
	}
	return x
}

// number reads a file that is a number, or the number behind a word that begins a line.
func (g *Group) number(path, field string) (uint64, bool) {
	if path == "" {
		return 0, false
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	b, err := read(f, g.buf)
	if err != nil {
		return 0, false
	}
	if field == "" {
		return number(b), len(b) > 0
	}
	for _, line := range bytes.Split(b, []byte{'\n'}) {
		if rest, ok := bytes.CutPrefix(line, []byte(field+" ")); ok {
			return number(rest), true
		}
	}
	return 0, false
}
