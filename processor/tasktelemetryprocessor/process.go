package tasktelemetryprocessor

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

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
		if p.group != nil {
			p.group.now() // while there is one: it may have been the last of its job
		}
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
