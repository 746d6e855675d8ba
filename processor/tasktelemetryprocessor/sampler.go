package tasktelemetryprocessor

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/gpu"
	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
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
	joules     *joules // nil if no program tells
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
	if s.joules != nil {
		s.joules.start()
	}
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
	if s.joules != nil {
		s.joules.shutdown()
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
