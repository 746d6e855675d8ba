package procstat

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// maxDescendants bounds what is read for one process: of more children, the rest is not counted.
const maxDescendants = 256

// Process reads one process and its descendants again and again. Not for concurrent use.
type Process struct {
	r     *Reader
	pid   int
	root  one
	tool  *os.File     // schedstat of the tool's thread, nil if unknown
	tree  map[int]*one // descendants by their number in this /proc
	buf   []byte
	noIO  bool // refused: belongs to another user
	floor Values
}

// one is a process of the tree.
type one struct {
	stat, statm, io *os.File
	seen            bool
}

// Attach finds a process and opens it. The tool's thread, in the process's own numbers, is 0 where there is none.
func (r *Reader) Attach(id Identity, tool int) (*Process, error) {
	pid, err := r.find(id)
	if err != nil {
		return nil, err
	}
	p := &Process{r: r, pid: pid, tree: map[int]*one{}, buf: make([]byte, 4096)}
	if p.root, err = r.open(pid); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	// Opened after it was found: it may be another one by now.
	b, err := read(p.root.stat, p.buf)
	if err == nil {
		var s stat
		if s, err = parseStat(b); err == nil && s.start != id.Start {
			err = ErrGone
		}
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	_, err = read(p.root.io, p.buf)
	p.noIO = err != nil
	if tool == id.PID { // the main thread has the number that the process has here
		tool = pid
	}
	if tool != 0 && (tool == pid || pid == id.PID) {
		p.tool, _ = os.Open(r.path(pid, "task/"+strconv.Itoa(tool)+"/schedstat"))
	}
	return p, nil
}

// PID is the number of the process in this /proc.
func (p *Process) PID() int { return p.pid }

// PIDs are the numbers of the process and of its descendants that are known, in this /proc.
func (p *Process) PIDs() []int {
	out := []int{p.pid}
	for pid := range p.tree {
		out = append(out, pid)
	}
	return out
}

func (r *Reader) open(pid int) (o one, err error) {
	if o.stat, err = os.Open(r.path(pid, "stat")); err != nil {
		return o, err
	}
	if o.statm, err = os.Open(r.path(pid, "statm")); err != nil {
		_ = o.stat.Close()
		return o, err
	}
	o.io, _ = os.Open(r.path(pid, "io")) // may be refused; then it is nil, and reading says so
	return o, nil
}

func (o *one) close() {
	_ = o.stat.Close()
	_ = o.statm.Close()
	if o.io != nil {
		_ = o.io.Close()
	}
}

// Close lets go of all files.
func (p *Process) Close() {
	p.root.close()
	if p.tool != nil {
		_ = p.tool.Close()
	}
	for pid, o := range p.tree {
		o.close()
		delete(p.tree, pid)
	}
}

// Read takes a sample. With children it also looks for new ones, which costs more. An error says that the process is gone.
func (p *Process) Read(withChildren bool) (v Values, at int64, err error) {
	before := time.Now()
	b, err := read(p.root.stat, p.buf)
	if err != nil {
		return v, 0, fmt.Errorf("%w: %w", ErrGone, err)
	}
	s, err := parseStat(b)
	if err != nil {
		return v, 0, err
	}
	if s.zombie {
		return v, 0, ErrGone
	}
	v[CPU], v[ChildCPU] = s.cpu, s.childCPU
	v[Memory], v[Threads], v[Processes] = p.memory(&p.root), float64(s.threads), 1
	if p.noIO {
		v[DiskRead], v[DiskWrite], v[IORead], v[IOWrite] = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	} else if b, err = read(p.root.io, p.buf); err == nil {
		parseIO(b, &v)
	}
	v[ToolCPU] = math.NaN()
	if p.tool != nil {
		if b, err = read(p.tool, p.buf); err == nil {
			v[ToolCPU] = float64(number(b)) / 1e9
		}
	}
	at = before.UnixNano() + int64(time.Since(before))/2
	if withChildren {
		p.discover()
	}
	for pid, o := range p.tree {
		if !p.add(o, &v) {
			o.close()
			delete(p.tree, pid)
		}
	}
	// A child that nobody waits for takes its numbers along: a counter never falls.
	for i := range v {
		if Counter(i) && v[i] < p.floor[i] {
			v[i] = p.floor[i]
		}
	}
	p.floor = v
	return v, at, nil
}

// memory is what a process has in physical memory: by statm, because stat adds up only roughly what each CPU counted.
func (p *Process) memory(o *one) float64 {
	b, err := read(o.statm, p.buf)
	if err != nil {
		return math.NaN()
	}
	_, rest, _ := bytes.Cut(b, []byte{' '})
	return float64(number(rest)) * p.r.page
}

// add adds a descendant to a sample, and says whether it is still there.
func (p *Process) add(o *one, v *Values) bool {
	b, err := read(o.stat, p.buf)
	if err != nil {
		return false
	}
	s, err := parseStat(b)
	if err != nil {
		return false
	}
	v[ChildCPU] += s.cpu + s.childCPU
	if m := p.memory(o); !math.IsNaN(m) { // it may just have ended
		v[Memory] += m
	}
	v[Processes]++
	if o.io != nil && !p.noIO {
		if b, err = read(o.io, p.buf); err == nil {
			parseIO(b, v)
		}
	}
	return true
}

// discover looks for descendants that are not known yet, and forgets those that left.
func (p *Process) discover() {
	for _, o := range p.tree {
		o.seen = false
	}
	p.descend(p.pid)
	for pid, o := range p.tree {
		if !o.seen {
			o.close()
			delete(p.tree, pid)
		}
	}
}

func (p *Process) descend(parent int) {
	for _, pid := range p.childrenOf(parent) {
		o := p.tree[pid]
		if o == nil {
			if len(p.tree) >= maxDescendants {
				return
			}
			opened, err := p.r.open(pid)
			if err != nil {
				continue
			}
			o = &opened
			p.tree[pid] = o
		}
		if o.seen {
			continue
		}
		o.seen = true
		p.descend(pid)
	}
}

// childrenOf lists the children of all threads of a process.
func (p *Process) childrenOf(pid int) []int {
	dir, err := os.Open(p.r.path(pid, "task"))
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(4096)
	if err != nil {
		return nil
	}
	var out []int
	for _, tid := range names {
		f, err := os.Open(filepath.Join(dir.Name(), tid, "children"))
		if err != nil {
			continue
		}
		if b, err := read(f, p.buf); err == nil {
			out = appendNumbers(out, b)
		}
		_ = f.Close()
	}
	return out
}
