package tasktelemetryprocessor

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/gpu"
	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	samplesPerTask = 20
	firstInterval  = 100 * time.Millisecond
	// idleAfter is when a process without tasks is sampled as rarely as may be.
	idleAfter      = 5 * time.Second
	searchInterval = 200 * time.Millisecond
	// forgetAfter is how long a process that ended, or whose observer is silent, is remembered for late records.
	forgetAfter = 2 * time.Minute
)

// sampler reads the watched processes, each at the pace of its tasks, in a thread of its own whose CPU time it knows.
type sampler struct {
	cfg    *Config
	reader *procstat.Reader

	mu         sync.Mutex
	byObserver map[string]*process
	byIdentity map[procstat.Identity]*process
	groups     map[string]*around // cgroups by their paths
	writers    writers
	onNetwork  func(path string) bool
	host       *around // nil if it is not wanted
	cards      *cards  // nil where there are no GPUs
	cost       float64 // s of CPU a sample
	stretch    float64 // by how much intervals are longer than tasks would have them
	used       float64 // s of CPU in all
	next       time.Duration
	lastPID    int // the last number that the kernel gave

	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}

	closed bool
}

func newSampler(cfg *Config, reader *procstat.Reader) *sampler {
	s := &sampler{
		cfg: cfg, reader: reader, stretch: 1, cost: 20e-6,
		byObserver: map[string]*process{}, byIdentity: map[procstat.Identity]*process{}, groups: map[string]*around{}, writers: writers{looked: map[string]time.Time{}, network: map[string]bool{}},
		onNetwork: entity.NewResolver().OnNetwork,
		wake:      make(chan struct{}, 1), done: make(chan struct{}),
	}
	if cfg.Host {
		s.host = newAround(procstat.OpenHost(cfg.ProcPath, cfg.SysPath).Read, cfg)
	}
	return s
}

// openCards finds the GPUs of this host.
func (s *sampler) openCards() {
	if s.cfg.GPU.Interval == 0 {
		return
	}
	readers := gpu.Open(gpu.Roots{Proc: s.cfg.ProcPath, Sys: s.cfg.SysPath, SMI: s.cfg.GPU.NvidiaSMI})
	if len(readers) > 0 {
		s.cards = newCards(readers, s.cfg, s.living)
	}
}

// living lists the processes that are sampled.
func (s *sampler) living() (out []*process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.byIdentity {
		if !p.gone.Load() {
			out = append(out, p)
		}
	}
	return out
}

func (s *sampler) start() {
	if s.cards != nil {
		s.cards.start()
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go s.run(ctx)
}

func (s *sampler) shutdown() {
	if s.stop == nil {
		return
	}
	s.stop()
	<-s.done
	if s.cards != nil {
		s.cards.shutdown()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true // a batch may still be under way
	for _, p := range s.byIdentity {
		p.close()
	}
}

// watch begins to sample the process of an observer, or goes on.
func (s *sampler) watch(observer string, id procstat.Identity, tool int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	p := s.byIdentity[id]
	if p == nil {
		p = newProcess(id, s.cfg.History)
		s.byIdentity[id] = p
	}
	p.heard = now
	if s.byObserver[observer] == p {
		return
	}
	s.byObserver[observer] = p
	p.attach(s.reader, tool)
	s.enter(p)
	if s.cards != nil {
		s.cards.look()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// enter finds the cgroup of a process.
func (s *sampler) enter(p *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil || p.group != nil {
		return
	}
	g := p.proc.Group(s.cfg.SysPath)
	if g == nil {
		return
	}
	if s.groups[g.Path] == nil {
		s.groups[g.Path] = newAround(g.Read, s.cfg)
		s.groups[g.Path].turn(time.Now())
	}
	p.group, p.groupPath = s.groups[g.Path], g.Path
	p.group.users++
}

// leave forgets a process and, with its last one, its cgroup.
func (s *sampler) leave(p *process) {
	p.close()
	if p.group == nil {
		return
	}
	if p.group.users--; p.group.users == 0 {
		delete(s.groups, p.groupPath)
	}
}

// of returns the process of an observer, nil for one that has not said which it is.
func (s *sampler) of(observer string) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byObserver[observer]
}

func (s *sampler) run(ctx context.Context) {
	defer close(s.done)
	runtime.LockOSThread() // for its CPU time; a locked thread ends with its goroutine
	timer := time.NewTimer(s.cfg.MaxInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(s.round(time.Now()))
	}
}

// round samples what is due and says when the next round is.
func (s *sampler) round(now time.Time) time.Duration {
	before := threadTime()
	s.mu.Lock()
	list := make([]*process, 0, len(s.byIdentity))
	for id, p := range s.byIdentity {
		if p.forgotten(now) {
			s.leave(p)
			delete(s.byIdentity, id)
			continue
		}
		list = append(list, p)
	}
	for name, p := range s.byObserver {
		if s.byIdentity[p.id] != p {
			delete(s.byObserver, name)
		}
	}
	stretch := s.stretch
	surroundings := make([]*around, 0, len(s.groups)+1)
	if s.host != nil {
		surroundings = append(surroundings, s.host)
	}
	for _, g := range s.groups {
		surroundings = append(surroundings, g)
	}
	s.mu.Unlock()
	for _, a := range surroundings {
		a.turn(now)
	}

	last := s.reader.LastPID()
	forked := last == 0 || last != s.lastPID
	s.lastPID = last
	next, load, samples := s.cfg.MaxInterval, 0.0, 0
	for _, p := range list {
		wait, interval, sampled := p.turn(now, s.cfg, stretch, forked)
		if sampled {
			samples++
		}
		if wait < next {
			next = wait
		}
		if interval > 0 {
			load += 1 / interval.Seconds()
		}
	}
	spent := threadTime() - before
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += spent
	if samples > 0 {
		s.cost += (spent/float64(samples) - s.cost) / 16
	}
	s.stretch = max(1, load*s.cost/s.cfg.MaxCPU)
	s.next = max(next, s.cfg.MinInterval)
	return s.next
}

// facts are what the processor's own metrics say.
type facts struct {
	processes int
	interval  time.Duration
	used      float64
}

func (s *sampler) facts() facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return facts{len(s.byIdentity), s.next, s.used}
}

// process is a watched process with what was sampled of it.
type process struct {
	id    procstat.Identity
	heard time.Time // guarded by the sampler

	mu        sync.Mutex
	observers int
	proc      *procstat.Process
	refusal   error   // why there is none
	group     *around // of its cgroup, nil if it is in none
	groupPath string
	series    *procstat.Series
	due       time.Time
	forked    bool      // something was begun on this host since the children were looked for
	searched  time.Time // when that was
	duration  float64
	active    time.Time // of the last task
	tasks     running
	open      map[string]*task.Event // what said that they run
	gone      atomic.Bool
	died      time.Time         // when that was noticed
	told      time.Time         // when what ran then was told last
	home      *telemetry        // the pipeline of its tasks
	held      map[string]*held  // of GPUs, by their ids
	visible   map[string]string // the variables that say which GPUs the process may use
}

func newProcess(id procstat.Identity, history int) *process {
	return &process{id: id, series: procstat.NewSeries(history), tasks: newRunning(), active: time.Now(), open: map[string]*task.Event{}, forked: true, held: map[string]*held{}}
}

func (p *process) attach(r *procstat.Reader, tool int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.observers++
	if p.proc != nil {
		return
	}
	if p.proc, p.refusal = r.Attach(p.id, tool); p.refusal == nil {
		p.sample() // its first task may have begun already
	}
}

func (p *process) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc != nil {
		p.proc.Close()
		p.proc = nil
	}
}

// forgotten says whether neither its observer nor its tasks need it any more; the sampler's lock is held.
func (p *process) forgotten(now time.Time) bool {
	if now.Sub(p.heard) <= forgetAfter {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proc == nil || len(p.tasks.open) == 0
}

// turn samples the process if it is due. It says when it is due again, and at which interval.
func (p *process) turn(now time.Time, cfg *Config, stretch float64, forked bool) (wait, interval time.Duration, sampled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forked = p.forked || forked
	if p.proc == nil {
		return cfg.MaxInterval, 0, false
	}
	interval = p.interval(now, cfg)
	stretched := min(time.Duration(float64(interval)*stretch), cfg.MaxInterval)
	if wait = p.due.Sub(now); wait > cfg.MinInterval/2 {
		return min(wait, stretched), interval, false
	}
	p.sample()
	p.due = now.Add(stretched)
	return stretched, interval, true
}

func (p *process) interval(now time.Time, cfg *Config) time.Duration {
	switch {
	case len(p.tasks.open) == 0 && now.Sub(p.active) > idleAfter:
		return cfg.MaxInterval
	case p.duration == 0: // its first task may be of any length
		return min(max(firstInterval, cfg.MinInterval), cfg.MaxInterval)
	}
	return min(max(time.Duration(p.duration/samplesPerTask), cfg.MinInterval), cfg.MaxInterval)
}

// sample reads the process; its lock is held.
func (p *process) sample() {
	// Looking for children costs more than all the rest.
	search := p.forked && time.Since(p.searched) >= searchInterval
	v, at, err := p.proc.Read(search)
	if err != nil {
		p.proc.Close()
		p.proc, p.refusal, p.died = nil, err, time.Now()
		p.gone.Store(true)
		return
	}
	if search {
		p.forked, p.searched = false, time.Now()
	}
	if left, full := p.series.Add(procstat.Sample{At: at, Values: v}); full {
		p.tasks.leaves(&left)
	}
}

// reach takes a sample if there is none after t yet.
func (p *process) reach(t int64) {
	if last, ok := p.series.Last(); p.proc == nil || ok && last.At >= t && last.At <= time.Now().UnixNano() {
		return // a last one that is still to come is of a clock that was set back
	}
	p.sample()
}

// why names the reason for which a process has no samples, for the metrics.
func (p *process) why() string {
	switch {
	case p.refusal == nil:
		return "not yet sampled"
	case errors.Is(p.refusal, procstat.ErrOtherHost):
		return "other host"
	case errors.Is(p.refusal, procstat.ErrHidden):
		return "hidden"
	case errors.Is(p.refusal, procstat.ErrGone):
		return "gone"
	default:
		return "unreadable"
	}
}
