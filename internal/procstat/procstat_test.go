package procstat

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const boot = "cf7d5a4e-df51-4894-b30e-2f9ce59a7fae"

// tree is a /proc as it was recorded, with processes put into it.
type tree struct {
	t   *testing.T
	dir string
}

func newTree(t *testing.T) *tree {
	tr := &tree{t, t.TempDir()}
	tr.write("sys/kernel/random/boot_id", boot+"\n")
	tr.write("loadavg", "3.41 2.33 1.99 1/96 22340\n")
	tr.process(1, "systemd", procFacts{start: 1, namespace: 4026531836})
	return tr
}

func (tr *tree) write(name, text string) {
	path := filepath.Join(tr.dir, name)
	require.NoError(tr.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(tr.t, os.WriteFile(path, []byte(text), 0o600))
}

type procFacts struct {
	start, namespace                 uint64
	nspid                            string
	utime, stime, cutime, cstime     int
	rss                              int
	children                         []int
	rchar, wchar, readBytes, written int
	state                            string
}

func (tr *tree) process(pid int, name string, f procFacts) {
	dir := strconv.Itoa(pid) + "/"
	if f.state == "" {
		f.state = "S"
	}
	tr.write(dir+"stat", fmt.Sprintf("%d (%s) %s 1 %d %d 0 -1 4194560 2204 519 0 0 %d %d %d %d 20 0 3 0 %d 17723392 %d 18446744073709551615 1 1 0 0 0 0 0 4096 2 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		pid, name, f.state, pid, pid, f.utime, f.stime, f.cutime, f.cstime, f.start, f.rss))
	tr.write(dir+"statm", fmt.Sprintf("4327 %d 350 20 0 150 0\n", f.rss))
	tr.write(dir+"io", fmt.Sprintf("rchar: %d\nwchar: %d\nsyscr: 10\nsyscw: 0\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: 0\n",
		f.rchar, f.wchar, f.readBytes, f.written))
	if f.nspid == "" {
		f.nspid = strconv.Itoa(pid)
	}
	tr.write(dir+"status", fmt.Sprintf("Name:\t%s\nNStgid:\t%s\nNSpid:\t%s\nNSpgid:\t0\n", name, f.nspid, f.nspid))
	tr.write(dir+"task/"+strconv.Itoa(pid)+"/children", strings.Trim(fmt.Sprint(f.children), "[]")+" ")
	tr.write(dir+"task/"+strconv.Itoa(pid)+"/schedstat", "63144000000 43735 2\n")
	require.NoError(tr.t, os.MkdirAll(filepath.Join(tr.dir, dir, "ns"), 0o700))
	require.NoError(tr.t, os.Symlink(fmt.Sprintf("pid:[%d]", f.namespace), filepath.Join(tr.dir, dir, "ns/pid")))
}

func (tr *tree) open() *Reader {
	r, err := Open(tr.dir)
	require.NoError(tr.t, err)
	return r
}

func TestAProcessIsItsNumberItsStartItsNamespaceAndItsBoot(t *testing.T) {
	tr := newTree(t)
	const host, inner = 4026531836, 4026532999
	tr.process(4242, "dask) R (worker", procFacts{start: 777, namespace: host})
	tr.process(5000, "python", procFacts{start: 900, namespace: inner, nspid: "5000\t42"})
	tr.process(5001, "python", procFacts{start: 950, namespace: inner + 1, nspid: "5001\t42"})
	r := tr.open()
	for _, c := range []struct {
		name string
		id   Identity
		pid  int
		err  error
	}{
		{"by its number", Identity{boot, host, 4242, 777}, 4242, nil},
		{"namespace unknown", Identity{boot, 0, 4242, 777}, 4242, nil},
		{"number given again", Identity{boot, host, 4242, 778}, 0, ErrGone},
		{"nobody has it", Identity{boot, host, 4243, 777}, 0, ErrGone},
		{"another boot", Identity{"0000", host, 4242, 777}, 0, ErrOtherHost},
		{"in a namespace of its own", Identity{boot, inner, 42, 900}, 5000, nil},
		{"the same number in another one", Identity{boot, inner + 1, 42, 950}, 5001, nil},
		{"a number of this namespace is none of that one", Identity{boot, inner, 4242, 777}, 0, ErrGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := r.Attach(c.id, 0)
			require.ErrorIs(t, err, c.err)
			if err == nil {
				assert.Equal(t, c.pid, p.PID())
				p.Close()
			}
		})
	}
	require.NoError(t, os.RemoveAll(filepath.Join(tr.dir, "1")))
	_, err := r.Attach(Identity{boot, host, 9999, 1}, 0)
	require.ErrorIs(t, err, ErrHidden, "where process 1 cannot be seen, others may be hidden too")
}

func TestChildrenCountToTheirProcess(t *testing.T) {
	tr := newTree(t)
	tr.process(100, "worker", procFacts{start: 5, utime: 100, stime: 20, cutime: 7, cstime: 3, rss: 1000, children: []int{101, 102}, rchar: 10, wchar: 20, readBytes: 30, written: 40})
	tr.process(101, "loader", procFacts{start: 6, utime: 50, rss: 200, children: []int{103}, rchar: 1, wchar: 2, readBytes: 3, written: 4})
	tr.process(102, "loader", procFacts{start: 6, stime: 50, rss: 300})
	tr.process(103, "sh", procFacts{start: 7, utime: 10, cutime: 5, rss: 50, written: 1000})
	p, err := tr.open().Attach(Identity{boot, 0, 100, 5}, 100)
	require.NoError(t, err)
	defer p.Close()
	v, at, err := p.Read(true)
	require.NoError(t, err)
	assert.Positive(t, at)
	page := float64(os.Getpagesize())
	assert.Equal(t, Values{
		CPU: 1.2, ToolCPU: 63.144, ChildCPU: 0.1 + 0.5 + 0.5 + 0.15, DiskRead: 33, DiskWrite: 1044, IORead: 11, IOWrite: 22,
		Memory: 1550 * page, Threads: 3, Processes: 4,
	}, v)

	// What a child used stays its process's when it is gone, waited for or not.
	tr.write("100/task/100/children", "102 ")
	again, _, err := p.Read(true)
	require.NoError(t, err)
	assert.InDelta(t, v[ChildCPU], again[ChildCPU], 1e-9)
	assert.InDelta(t, v[DiskWrite], again[DiskWrite], 0)
	assert.InDelta(t, 1300*page, again[Memory], 0)
	assert.InDelta(t, 2, again[Processes], 0)
}

func TestAZombieIsGone(t *testing.T) {
	tr := newTree(t)
	tr.process(100, "worker", procFacts{start: 5, state: "Z"})
	p, err := tr.open().Attach(Identity{boot, 0, 100, 5}, 0)
	require.NoError(t, err)
	defer p.Close()
	_, _, err = p.Read(false)
	require.ErrorIs(t, err, ErrGone)
}

func TestWhatMayNotBeReadIsUnknown(t *testing.T) {
	tr := newTree(t)
	tr.process(100, "worker", procFacts{start: 5, utime: 100})
	require.NoError(t, os.Remove(filepath.Join(tr.dir, "100/io")))
	p, err := tr.open().Attach(Identity{boot, 0, 100, 5}, 0)
	require.NoError(t, err)
	defer p.Close()
	v, _, err := p.Read(true)
	require.NoError(t, err)
	assert.InDelta(t, 1, v[CPU], 0)
	for _, i := range []int{DiskRead, DiskWrite, IORead, IOWrite, ToolCPU} {
		assert.True(t, math.IsNaN(v[i]), i)
	}
}

func TestOpenSaysThatThereIsNoProc(t *testing.T) {
	_, err := Open(t.TempDir())
	require.ErrorIs(t, err, ErrNoProc)
}

func TestSeries(t *testing.T) {
	s := NewSeries(4)
	assert.False(t, s.At(5).Inside)
	assert.True(t, math.IsNaN(s.At(5).Values[CPU]))
	for i := range 6 { // 200 … 500 stay
		left, full := s.Add(Sample{At: int64(i * 100), Values: Values{CPU: float64(i), Memory: float64(i % 3)}})
		assert.Equal(t, i >= 4, full)
		if full {
			assert.Equal(t, int64((i-4)*100), left.At)
		}
	}
	s.Add(Sample{At: 450}) // out of turn
	require.Equal(t, 4, s.Len())
	p := s.At(325)
	assert.True(t, p.Inside)
	assert.InDelta(t, 3.25, p.Values[CPU], 1e-9)
	assert.Equal(t, []float64{3, 4}, []float64{p.Before[CPU], p.After[CPU]})
	assert.Equal(t, int64(25), p.Away)
	assert.Equal(t, Point{Values: Values{CPU: 4, Memory: 1}, Before: Values{CPU: 4, Memory: 1}, After: Values{CPU: 4, Memory: 1}, BeforeAt: 400, AfterAt: 400, Inside: true}, s.At(400))
	for at, want := range map[int64]float64{100: 2, 600: 5} {
		p := s.At(at)
		assert.False(t, p.Inside)
		assert.InDelta(t, want, p.Values[CPU], 0)
		assert.Equal(t, int64(100), p.Away)
	}
	peak := Unknown()
	assert.Equal(t, 3, s.Max(&peak, 200, 400))
	assert.InDelta(t, 2, peak[Memory], 0)
	assert.InDelta(t, 4, peak[CPU], 0)
}

// After the clock was set back, sampling goes on, and what was before is not taken for what comes.
func TestAClockThatIsSetBack(t *testing.T) {
	s := NewSeries(4)
	const hour = int64(3600e9)
	for i := range int64(6) {
		s.Add(Sample{At: 2*hour + i, Values: Values{CPU: 9}})
	}
	for i := range int64(6) {
		s.Add(Sample{At: hour + i, Values: Values{CPU: float64(i)}})
	}
	assert.Equal(t, 4, s.Len())
	assert.InDelta(t, 3, s.At(hour + 3).Values[CPU], 0)
	assert.InDelta(t, 5, s.At(2 * hour).Values[CPU], 0)
	assert.False(t, s.At(2*hour).Inside)
}
