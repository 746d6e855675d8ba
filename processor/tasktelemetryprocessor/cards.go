package tasktelemetryprocessor

import (
	"context"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/gpu"
	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// What a sample of a GPU holds beside what package gpu says of it.
const (
	cardUsers = 8 // processes that have it; one with its children counts once
	cardBusy  = 9 // s, by all of them
)

// hangs is how long a driver may take at the end.
const hangs = 5 * time.Second

// What a sample of a process on a GPU holds.
const (
	heldMemory = iota // bytes
	heldBusy          // s
)

// maxHolders bounds the processes of one tree whose use of a GPU is remembered when they do not use it any more.
const maxHolders = 256

// reachFor is how long a batch may wait for a sample that is not older than the end of its tasks.
const reachFor = 50 * time.Millisecond

// staleCard is how old a sample may be to count as that of now, and how long GPUs are read after metrics were asked for.
const staleCard = 2 * time.Minute

// cards samples the GPUs of this host, in a goroutine of its own: a driver may take its time, and the sampler does not wait.
type cards struct {
	readers  []gpu.Reader
	interval time.Duration
	history  int
	proc     string
	watched  func() []*process

	wake     chan struct{}
	stop     context.CancelFunc
	done     chan struct{}
	patience time.Duration

	mu      sync.Mutex
	devices map[string]*card
	totals  map[string]*total
	failed  int64
	news    chan struct{} // closed at each sample
	wanted  time.Time     // when metrics were asked for last
}

// card is a GPU with its samples. Those of its energy are added up from its power where it does not count itself.
type card struct {
	gpu.Device
	series    followed
	fromPower bool
	joules    float64
	complete  bool // all of its processes are known
	blind     bool // some of its processes are not in this /proc
}

// total is for how long processes kept a GPU busy so far: what one used stays used when it ends.
type total struct {
	busy float64         // s
	pids map[int]float64 // pid → its own when last seen
}

// add counts what a process did since it was last seen.
func (t *total) add(pid int, busy float64) {
	t.busy += math.Max(0, busy-t.pids[pid])
	t.pids[pid] = busy
}

// keep forgets those that do not use it any more, where they are many.
func keep[V any](t *total, using map[int]V) {
	for pid := range t.pids {
		if _, uses := using[pid]; !uses && len(t.pids) > maxHolders {
			delete(t.pids, pid)
		}
	}
}

// of counts what all processes of a GPU did; unknown if one of them is.
func (t *total) of(pids map[int]float64) float64 {
	keep(t, pids)
	sum := 0.0
	for pid, busy := range pids {
		if busy == busy {
			t.add(pid, busy)
		} else {
			sum = busy
		}
	}
	return sum + t.busy
}

// held is what a process had of a GPU.
type held struct {
	series followed
	counts bool  // it is known how long it kept the GPU busy
	total  total // of its process and the children
}

func newCards(readers []gpu.Reader, cfg *Config, watched func() []*process) *cards {
	return &cards{
		readers: readers, interval: cfg.GPU.Interval, history: cfg.History, proc: cfg.ProcPath, watched: watched,
		wake: make(chan struct{}, 1), patience: hangs, done: make(chan struct{}), devices: map[string]*card{}, totals: map[string]*total{}, news: make(chan struct{}),
	}
}

func (c *cards) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	go c.run(ctx)
}

// shutdown ends the sampling. A driver that hangs is left to itself: it may never answer.
func (c *cards) shutdown() {
	c.stop()
	patience := time.NewTimer(c.patience)
	defer patience.Stop()
	select {
	case <-c.done:
	case <-patience.C:
		return
	}
	for _, r := range c.readers {
		_ = r.Close()
	}
}

func (c *cards) run(ctx context.Context) {
	defer close(c.done)
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-tick.C:
		}
		c.round()
	}
}

func (c *cards) look() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// begins asks for a sample where the last one is further from the start of a task than a tenth of the interval, and does not wait
// for it: a task that begins after rest would have a part of the rest's power otherwise.
func (c *cards) begins(t int64) {
	c.mu.Lock()
	far := false
	for _, one := range c.devices {
		last, _ := one.series.Last()
		far = far || last.At < t-int64(c.interval/10)
	}
	c.mu.Unlock()
	if far {
		c.look()
	}
}

// reach asks for a sample that is not older than t, and waits a moment for it. The round that runs may have begun before; the
// next one has not. Some readers have no newer one than the last that was printed.
func (c *cards) reach(t int64) {
	deadline := time.NewTimer(reachFor)
	defer deadline.Stop()
	for range 2 {
		c.mu.Lock()
		news, reached := c.news, true
		for _, one := range c.devices {
			last, _ := one.series.Last()
			reached = reached && last.At >= t
		}
		c.mu.Unlock()
		if reached {
			return
		}
		c.look()
		select {
		case <-news:
		case <-deadline.C:
			return
		}
	}
}

// round reads all GPUs, if there is anybody to read them for.
func (c *cards) round() {
	list := c.watched()
	c.mu.Lock()
	wanted := time.Since(c.wanted) < staleCard
	c.mu.Unlock()
	if len(list) == 0 && !wanted {
		return
	}
	owner, pids := map[int]*process{}, []int(nil)
	for _, p := range list {
		for _, pid := range p.pids() {
			owner[pid] = p
			pids = append(pids, pid)
		}
	}
	for _, r := range c.readers {
		reading := r.Read(pids)
		c.take(&reading, list, owner)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.news)
	c.news = make(chan struct{})
}

// addOpen adds the tasks that are known to run in the process.
func (p *process) addOpen(to map[string]*openTask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(to, p.tasks.open)
}

// share is what one process of a tree has of a GPU.
type share struct{ memory, busy float64 }

// take notes what was read.
func (c *cards) take(r *gpu.Reading, list []*process, owner map[int]*process) {
	users := map[string]map[any]bool{} // device → watched processes, and pids of strangers
	busy := map[string]map[int]float64{}
	blind := map[string]bool{}
	shares := map[*process]map[string]map[int]share{}
	for _, u := range r.Uses {
		if users[u.Device] == nil {
			users[u.Device], busy[u.Device] = map[any]bool{}, map[int]float64{}
		}
		busy[u.Device][u.PID] = u.Busy
		p := owner[u.PID]
		if p == nil {
			users[u.Device][u.PID] = true
			blind[u.Device] = blind[u.Device] || !c.exists(u.PID)
			continue
		}
		users[u.Device][p] = true
		if shares[p] == nil {
			shares[p] = map[string]map[int]share{}
		}
		if shares[p][u.Device] == nil {
			shares[p][u.Device] = map[int]share{}
		}
		shares[p][u.Device][u.PID] = share{u.Memory, u.Busy}
	}
	running := map[string]*openTask{}
	for _, p := range list {
		p.addOpen(running)
	}
	for i := range r.Devices {
		id := r.Devices[i].ID
		before := c.lastOf(id)
		for _, p := range list {
			p.holds(id, before, r.At, shares[p][id], c.history)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed += int64(r.Failed)
	for i := range r.Devices {
		d := &r.Devices[i]
		if c.totals[d.ID] == nil {
			c.totals[d.ID] = &total{pids: map[int]float64{}}
		}
		d.Values[cardUsers], d.Values[cardBusy] = float64(len(users[d.ID])), c.totals[d.ID].of(busy[d.ID])
		c.device(d, r.At, r.Processes, blind[d.ID], running)
	}
}

// lastOf is the time of the last sample of a GPU, 0 without one.
func (c *cards) lastOf(device string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.devices[device]; one != nil {
		last, _ := one.series.Last()
		return last.At
	}
	return 0
}

// holds notes what the process has of a GPU, also that it has nothing any more. At the sample before its first one it had none.
func (p *process) holds(device string, before, at int64, shares map[int]share, history int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[device]
	if h == nil {
		if len(shares) == 0 {
			return
		}
		h = &held{series: newFollowed(history), total: total{pids: map[int]float64{}}}
		p.held[device] = h
		if before != 0 {
			none := procstat.Unknown()
			none[heldMemory], none[heldBusy] = 0, 0
			h.series.Add(procstat.Sample{At: before, Values: none})
		}
	}
	v := procstat.Unknown()
	if len(shares) == 0 {
		v[heldMemory] = 0
	}
	keep(&h.total, shares)
	for pid, s := range shares {
		if s.memory == s.memory {
			v[heldMemory] = s.memory + known(v[heldMemory])
		} else if v[heldMemory] != v[heldMemory] {
			v[heldMemory] = math.SmallestNonzeroFloat64 // it has the GPU; how much of it, nobody knows
		}
		if s.busy == s.busy {
			h.counts = true
			h.total.add(pid, s.busy)
		}
	}
	if h.counts {
		v[heldBusy] = h.total.busy
	}
	h.series.add(procstat.Sample{At: at, Values: v}, p.tasks.open)
}

func (c *cards) exists(pid int) bool {
	_, err := os.Stat(filepath.Join(c.proc, strconv.Itoa(pid)))
	return err == nil
}

// device adds a sample of a GPU; the lock is held.
func (c *cards) device(d *gpu.Device, at int64, complete, blind bool, running map[string]*openTask) {
	one := c.devices[d.ID]
	if one == nil {
		one = &card{series: newFollowed(c.history)}
		c.devices[d.ID] = one
	}
	last, ok := one.series.Last()
	if ok && at == last.At {
		return
	}
	if d.Values[gpu.Energy] != d.Values[gpu.Energy] && d.Values[gpu.Power] == d.Values[gpu.Power] {
		one.fromPower = true
		if ok && at > last.At && last.Values[gpu.Power] == last.Values[gpu.Power] {
			one.joules += drawn(d, last.Values[gpu.Power], float64(at-last.At)/1e9)
		}
		d.Values[gpu.Energy] = one.joules
	}
	one.Device, one.complete, one.blind = *d, complete, blind
	one.series.add(procstat.Sample{At: at, Values: d.Values}, running)
}

// drawn is the energy since the sample before, in J. A mean stands for the time of which it is one: on a line between means, a
// step would come half of that time too late. What is left of the time is taken to lie on the line.
func drawn(d *gpu.Device, before, seconds float64) float64 {
	power, over := d.Values[gpu.Power], math.Min(d.PowerOver.Seconds(), seconds)
	return power*over + (before+power)/2*(seconds-over)
}

// pids are the numbers of the process and its descendants.
func (p *process) pids() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return nil
	}
	return p.proc.PIDs()
}
