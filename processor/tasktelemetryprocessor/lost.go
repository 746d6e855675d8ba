package tasktelemetryprocessor

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	// lostAfter is how long a process must be gone before its tasks count as lost with it: their ends may be under way.
	lostAfter = 2 * time.Second
	// lostUntil is how long that is told. What is told again, because nobody knows whether it arrived, is the same.
	lostUntil = 20 * time.Second
	lostEvery = 2 * time.Second
	// killWindow is how far from the end of a process a kill of the kernel may be counted.
	killWindow = 3 * time.Second
)

// watchLost tells of lost tasks also when no record comes any more: what died may have been the last that ran.
func (t *telemetry) watchLost() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.stop = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(lostEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				logs := plog.NewLogs()
				n := t.lost(logs, now)
				if n == 0 {
					continue
				}
				t.count(ctx, map[string]int64{"lost": n})
				if err := t.next.ConsumeLogs(ctx, logs); err != nil && ctx.Err() == nil {
					t.logger.Warn("what is known of tasks whose process ended was refused; it is told again", zap.Error(err))
				}
			}
		}
	}()
}

// lost adds what is known of tasks whose process ended before they did: nobody else knows what it used, and why it died.
func (t *telemetry) lost(logs plog.Logs, now time.Time) (n int64) {
	var records plog.LogRecordSlice
	for _, p := range t.sampler.ended() {
		for _, e := range p.lost(t, now) {
			if n == 0 {
				rl := logs.ResourceLogs().AppendEmpty()
				rl.Resource().Attributes().PutStr("host.name", t.hostname)
				sl := rl.ScopeLogs().AppendEmpty()
				sl.Scope().SetName(task.ScopeName)
				records = sl.LogRecords()
			}
			e.AppendTo(records)
			n++
		}
	}
	return n
}

// ended lists the processes that are gone.
func (s *sampler) ended() (out []*process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.byIdentity {
		if p.gone.Load() {
			out = append(out, p)
		}
	}
	return out
}

// lost makes the telemetry of the tasks that ran when the process ended.
func (p *process) lost(t *telemetry, now time.Time) (out []*task.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.home != t {
		return nil
	}
	since := now.Sub(p.died)
	last, ok := p.series.Last()
	if !ok || len(p.open) == 0 || since < lostAfter || since > lostUntil || now.Sub(p.told) < lostEvery {
		return nil
	}
	p.told = now
	evidence := p.killed(t.sampler.host)
	for key, of := range p.open {
		s := span{key: key, started: of.StartedAt, ended: max(last.At, of.StartedAt+1)}
		// Measured, not ended: its end may still come, and counts more.
		m := p.measureOpen(s)
		if m == nil {
			continue
		}
		if p.group != nil {
			m.group(p.group, s)
		}
		e := m.event(of)
		e.Time, e.Seq = of.StartedAt, int64(m.samples)+1
		if evidence != "" {
			e.Attributes = map[string]any{task.AttrCause: task.CauseOOMKilled, task.AttrEvidence: evidence}
		}
		out = append(out, e)
	}
	return out
}

// measureOpen is measure for a task that goes on being open.
func (p *process) measureOpen(s span) *measured {
	open := p.tasks.open[s.key]
	m := p.measure(s)
	if open != nil {
		p.tasks.open[s.key] = open
	}
	return m
}

// killed says that the kernel killed something for want of memory when the process ended: in its cgroup, or on its host if it
// is in none. The kernel counts its kills and names nobody, so the words are those of what was seen.
func (p *process) killed(host *around) string {
	where, value, named := p.group, procstat.GroupOOMKills, "cgroup "+p.groupPath
	if where == nil {
		where, value, named = host, procstat.HostOOMKills, "host"
	}
	if where == nil {
		return ""
	}
	where.mu.Lock()
	defer where.mu.Unlock()
	died := p.died.UnixNano()
	from, to := died-int64(killWindow), died+int64(killWindow)
	// The greatest that is known: a job's cgroup goes with the job, and counts nothing any more.
	after := where.series.At(to).Before
	where.series.Max(&after, from, to)
	n := after[value] - where.series.At(from).Before[value]
	if !(n > 0) {
		return ""
	}
	return fmt.Sprintf("kills of the kernel for want of memory in the %s within %s of the end of process %d, in which the task ran: %.0f",
		named, killWindow, p.id.PID, n)
}
