package tasktelemetryprocessor

import (
	"context"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/processor/tasktelemetryprocessor/internal/metadata"
)

// facet is the view of a task that this processor has.
const facet = "telemetry"

// attrTasks is how many tasks ran in a worker's process at the same time, as the worker counted.
const attrTasks = "mida.process.tasks"

// attrInTool says that the task ran in the thread of the tool's event loop.
const attrInTool = "mida.process.event_loop"

type telemetry struct {
	id      component.ID
	cfg     *Config
	logger  *zap.Logger
	tel     *metadata.TelemetryBuilder
	sampler *sampler // nil where there is no /proc

	hostname string
	next     consumer.Logs // of what nobody's record brings along
	stop     func()
}

func newTelemetry(id component.ID, cfg *Config, logger *zap.Logger, tel *metadata.TelemetryBuilder, next consumer.Logs) *telemetry {
	return &telemetry{id: id, cfg: cfg, logger: logger, tel: tel, next: next}
}

func (t *telemetry) start(context.Context, component.Host) error {
	sampler, first, err := acquire(t.id, t.cfg, t.logger)
	if err != nil {
		t.logger.Warn("no telemetry is joined to tasks: the resource use of processes cannot be read here",
			zap.String("proc_path", t.cfg.ProcPath), zap.Error(err))
		return nil
	}
	t.hostname, _ = os.Hostname()
	t.sampler = sampler
	t.watchLost()
	if !first {
		return nil
	}
	return t.observeMetrics()
}

func (t *telemetry) shutdown(context.Context) error {
	if t.sampler != nil {
		t.stop()
		release(t.cfg)
	}
	t.tel.Shutdown()
	return nil
}

func (t *telemetry) observeMetrics() error {
	if j := t.sampler.joules; j != nil {
		err := t.tel.RegisterProcessorTasktelemetryEnergyFailuresCallback(func(_ context.Context, o metric.Int64Observer) error {
			j.mu.Lock()
			defer j.mu.Unlock()
			o.Observe(j.failed)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if c := t.sampler.cards; c != nil {
		err := t.tel.RegisterProcessorTasktelemetryGpuFailuresCallback(func(_ context.Context, o metric.Int64Observer) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			o.Observe(c.failed)
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := t.tel.RegisterProcessorTasktelemetryProcessesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(int64(t.sampler.facts().processes))
		return nil
	})
	if err != nil {
		return err
	}
	err = t.tel.RegisterProcessorTasktelemetryIntervalCallback(func(_ context.Context, o metric.Float64Observer) error {
		o.Observe(t.sampler.facts().interval.Seconds())
		return nil
	})
	if err != nil {
		return err
	}
	return t.tel.RegisterProcessorTasktelemetryCPUTimeCallback(func(_ context.Context, o metric.Float64Observer) error {
		o.Observe(t.sampler.facts().used)
		return nil
	})
}

// needed are the attributes that joining depends on.
var needed = map[string]bool{
	task.AttrKind: true, task.AttrScope: true, task.AttrKey: true, task.AttrExecution: true, task.AttrAttempt: true, task.AttrFacet: true,
	task.AttrStatus: true, task.AttrCampaign: true, task.AttrStartedAt: true, task.AttrEndedAt: true, task.AttrObserverID: true,
	task.AttrTelemetryPeak: true, task.AttrTelemetryDelta: true, attrTasks: true, attrInTool: true,
}

// ended is the end of a task in a process that is watched.
type ended struct {
	event   *task.Event
	process *process            // nil if it is not known
	records plog.LogRecordSlice // where it stands, and its telemetry will
}

// process learns from checkpoints which processes to watch, and adds a record for each task that ended in one of them.
// Whatever is in the stream passes unchanged.
func (t *telemetry) process(ctx context.Context, logs plog.Logs) (plog.Logs, error) {
	if t.sampler == nil {
		return logs, nil
	}
	t.learn(logs)
	outcomes := map[string]int64{}
	var ends []ended
	latest := map[*process]int64{}
	for _, rl := range logs.ResourceLogs().All() {
		here := textOf(rl.Resource().Attributes(), "host.name") == t.hostname
		var writer *process
		if here {
			writer = t.sampler.writerOf(rl.Resource().Attributes(), time.Now())
			if path := textOf(rl.Resource().Attributes(), attrLogPath); path != "" && writer == nil && t.sampler.elsewhere(path) {
				here = false
				outcomes["maybe another host"] += tasksIn(rl)
			}
		}
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				e, p := t.relevant(r, here, writer, outcomes)
				if e == nil {
					continue
				}
				if e.EndedAt == 0 {
					t.begins(e, p)
					continue
				}
				ends = append(ends, ended{e, p, sl.LogRecords()})
				if p != nil {
					latest[p] = max(latest[p], e.EndedAt)
				}
			}
		}
	}
	var newest int64
	for p, at := range latest {
		if p.reaches(at) {
			newest = max(newest, at)
		}
	}
	if newest > 0 {
		t.sampler.cards.reach(newest)
	}
	for _, end := range ends {
		m, why := t.join(end)
		if m == nil {
			outcomes[why]++
			continue
		}
		outcomes[m.outcome]++
		m.event(end.event).AppendTo(end.records)
	}
	if n := t.lost(logs, time.Now()); n > 0 {
		outcomes["lost"] = n
	}
	t.count(ctx, outcomes)
	return logs, nil
}

// tasksIn counts the ends of tasks in what one log tells.
func tasksIn(rl plog.ResourceLogs) (n int64) {
	for _, sl := range rl.ScopeLogs().All() {
		for _, r := range sl.LogRecords().All() {
			if _, ended := r.Attributes().Get(task.AttrEndedAt); ended {
				n++
			}
		}
	}
	return n
}

func (t *telemetry) count(ctx context.Context, outcomes map[string]int64) {
	for outcome, n := range outcomes {
		t.tel.ProcessorTasktelemetryTasks.Add(ctx, n, metric.WithAttributes(attribute.String("outcome", outcome)))
	}
}

// learn finds the checkpoints in which an observer says in which process its tasks run.
func (t *telemetry) learn(logs plog.Logs) {
	now := time.Now()
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				switch r.EventName() {
				case task.EventCheckpoint:
					if observer, id, tool, ok := identityIn(r); ok {
						t.sampler.watch(observer, id, tool, now)
					}
				case task.EventEnvironment:
					if p := t.sampler.of(textOf(r.Attributes(), task.AttrObserverID)); p != nil && t.sampler.cards != nil {
						p.sees(visibleIn(r))
					}
				}
			}
		}
	}
}

// identityIn reads the process of a checkpoint: {"pid", "start", "boot_id", "pid_namespace", "thread"}.
func identityIn(r plog.LogRecord) (observer string, id procstat.Identity, tool int, ok bool) {
	record, _ := task.Normalize(r.Body().AsRaw()).(map[string]any)
	m, _ := record["process"].(map[string]any)
	observer = textOf(r.Attributes(), task.AttrObserverID)
	pid, _ := m["pid"].(int64)
	start, _ := m["start"].(int64)
	namespace, _ := m["pid_namespace"].(int64)
	boot, _ := m["boot_id"].(string)
	id = procstat.Identity{BootID: boot, Namespace: uint64(namespace), PID: int(pid), Start: uint64(start)}
	thread, _ := m["thread"].(int64)
	return observer, id, int(thread), pid > 0 && start > 0 && boot != "" && observer != ""
}

// visibleIn reads which GPUs an environment record says that its process may use.
func visibleIn(r plog.LogRecord) map[string]string {
	record, _ := task.Normalize(r.Body().AsRaw()).(map[string]any)
	variables, _ := record["visible_gpus"].(map[string]any)
	out := map[string]string{}
	for name, v := range variables {
		if text, ok := v.(string); ok {
			out[name] = text
		}
	}
	return out
}

func (p *process) sees(variables map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.visible = variables
}

// textOf returns an attribute that is text, "" without one.
func textOf(m pcommon.Map, name string) string {
	if v, ok := m.Get(name); ok {
		return v.AsString()
	}
	return ""
}

// relevant returns the event of a record that says when a task started or ended, in a process that is known or at least
// on this host.
func (t *telemetry) relevant(r plog.LogRecord, here bool, writer *process, outcomes map[string]int64) (*task.Event, *process) {
	if !(&task.Event{Name: r.EventName()}).IsTask() {
		return nil, nil
	}
	if _, ok := r.Attributes().Get(task.AttrStartedAt); !ok {
		return nil, nil
	}
	p := t.sampler.of(textOf(r.Attributes(), task.AttrObserverID))
	if p == nil {
		p = writer
	}
	if p == nil && (!here || t.sampler.host == nil) {
		return nil, nil
	}
	e, err := task.FromRecordPart(r, nil, needed)
	if err != nil || e.Facet == facet || e.Kind == "" || e.Key == "" || e.StartedAt <= 0 {
		return nil, nil
	}
	if e.EndedAt != 0 && e.EndedAt < e.StartedAt {
		outcomes["ended before it started"]++
		return nil, nil
	}
	return e, p
}

func keyOf(e *task.Event) string { return e.ID() + "/" + strconv.FormatInt(e.Attempt, 10) }

// begins notes that a task runs.
func (t *telemetry) begins(e *task.Event, p *process) {
	key := keyOf(e)
	t.sampler.host.begins(key, e.StartedAt)
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active, p.home = time.Now(), t
	p.reach(e.StartedAt)
	p.tasks.begin(key, e.StartedAt, p.series)
	if len(p.open) < maxOpen {
		p.open[key] = e
	}
	p.group.begins(key, e.StartedAt)
	if len(p.held) > 0 {
		t.sampler.cards.begins(e.StartedAt)
	}
}

// join measures a task that ended, or says why it cannot.
func (t *telemetry) join(end ended) (m *measured, why string) {
	s := span{key: keyOf(end.event), started: end.event.StartedAt, ended: end.event.EndedAt, exact: exactIn(end.event)}
	if n, ok := end.event.Attributes[attrTasks].(int64); ok {
		s.sharing = int(n)
	}
	s.inTool, _ = end.event.Attributes[attrInTool].(bool)
	if end.process == nil {
		m = reported(s) // its worker's checkpoint is not here yet
	} else if m, why = end.process.join(s, t.sampler.cards); m == nil || m.outcome == "reported" {
		return m, why
	}
	host := t.sampler.host
	if host == nil {
		if m != nil {
			m.total(t.cfg.CarbonIntensity)
		}
		return m, why
	}
	if m != nil {
		m.host(host, t.sampler.joules, s)
		m.total(t.cfg.CarbonIntensity)
		return m, why
	}
	m = newMeasured(ofHost)
	samples, ok := m.host(host, t.sampler.joules, s)
	if m.samples = samples; !ok {
		return nil, "not sampled"
	}
	return m, why
}

// reaches takes a sample if there is none after t yet. It says whether the process has a GPU.
func (p *process) reaches(t int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reach(t)
	return len(p.held) > 0
}

func (p *process) join(s span, c *cards) (m *measured, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = time.Now()
	delete(p.open, s.key)
	elapsed := float64(s.ended - s.started)
	if p.duration == 0 {
		p.duration = elapsed
	}
	p.duration += (elapsed - p.duration) / 8
	if m = p.measure(s); m == nil {
		m = reported(s)
	}
	if p.group != nil && m != nil && m.outcome != "reported" {
		m.group(p.group, s)
	}
	if m != nil {
		m.gpus(c, p, s)
	}
	return m, p.why()
}
