package taskcontroller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/control"
	observers "github.com/otelcol-mida/otelcol-mida/internal/observer"
)

// registration is what is kept of an observer.
type registration struct {
	ID           string         `json:"id"`
	Kind         string         `json:"kind"`
	Config       map[string]any `json:"config"`
	By           string         `json:"by"`
	RegisteredAt time.Time      `json:"registered_at"`
	Wanted       bool           `json:"wanted"`  // it shall run
	Drained      bool           `json:"drained"` // all that its tool did before it last stopped is in the view
}

// observer is a registered observer, running or not.
type observer struct {
	changing sync.Mutex // one start, stop or deletion at a time; guards running
	running  receiver.Logs

	events, refused, last atomic.Int64

	mu      sync.Mutex
	reg     registration
	state   control.State
	problem string
	started time.Time
	deleted bool
	trouble func() error // of the one that runs
}

func newObserver(r registration) *observer { return &observer{reg: r, state: control.Stopped} }

func (o *observer) componentID() component.ID {
	return component.MustNewIDWithName(o.reg.Kind, o.reg.ID) // both were checked
}

func (o *observer) registration() registration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reg
}

// want notes whether it shall run, and whether all is in the view.
func (o *observer) want(run, drained bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reg.Wanted, o.reg.Drained = run, drained
}

func (o *observer) isDeleted() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.deleted
}

func (o *observer) setDeleted(deleted bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deleted = deleted
}

func (o *observer) set(s control.State, problem string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state, o.problem = s, problem
	if s == control.Running {
		o.started = time.Now()
	}
}

func (o *observer) view() control.Observer {
	o.mu.Lock()
	defer o.mu.Unlock()
	shown, _ := capture.Value("config", o.reg.Config)
	config, _ := shown.(map[string]any)
	v := control.Observer{
		ID: o.reg.ID, Kind: o.reg.Kind, By: o.reg.By, Config: config, State: o.state, Problem: o.problem,
		RegisteredAt: o.reg.RegisteredAt, StartedAt: o.started, Events: o.events.Load(), Refused: o.refused.Load(),
	}
	if o.state == control.Running && o.trouble != nil {
		if err := o.trouble(); err != nil {
			v.Problem = withoutSecrets(err)
		}
	}
	if at := o.last.Load(); at > 0 {
		v.LastEventAt = time.Unix(0, at)
	}
	return v
}

// factories is the host's way to factories (hostcapabilities.ComponentFactory).
type factories interface {
	GetFactory(kind component.Kind, componentType component.Type) component.Factory
}

// configure makes the configuration of an observer: valid, within what is allowed, and with a place of its own.
func (c *controller) configure(p *control.Pipeline, id, kind string, given map[string]any) (component.Config, error) {
	if !slices.Contains(c.cfg.Allow.Kinds, kind) {
		return nil, &control.Refusal{
			Field: "kind", Problem: fmt.Sprintf("%q is not among those that extensions::taskcontroller::allow::kinds lists", kind), Valid: c.cfg.Allow.Kinds,
		}
	}
	factory, err := factoryOf(p.Host, kind)
	if err != nil {
		return nil, err
	}
	cfg := factory.CreateDefaultConfig()
	m, ok := cfg.(control.Manageable)
	if !ok {
		return nil, &control.Refusal{Field: "kind", Problem: fmt.Sprintf("receivers of the kind %q do not say what their configuration leads to", kind)}
	}
	if _, ok := given["storage"]; ok {
		return nil, &control.Refusal{Field: "config::storage", Problem: "the controller keeps the position; leave it out"}
	}
	if err := confmap.NewFromStringMap(maps.Clone(given)).Unmarshal(cfg); err != nil {
		return nil, &control.Refusal{Field: "config", Problem: oneLine(err)}
	}
	m.Keep(c.shelfID, c.directory(id))
	// Before anything that it names is opened.
	places, err := m.Reach()
	if err != nil {
		return nil, err
	}
	places = slices.DeleteFunc(places, func(p control.Place) bool { return p.Path == c.directory(id) })
	if err := c.cfg.Allow.check(places); err != nil {
		return nil, err
	}
	if err := confmap.Validate(cfg); err != nil {
		return nil, &control.Refusal{Field: "config", Problem: oneLine(err)}
	}
	return cfg, nil
}

// oneLine is an error that was made to be read in a terminal.
func oneLine(err error) string { return strings.Join(strings.Fields(withoutSecrets(err)), " ") }

func factoryOf(host component.Host, kind string) (receiver.Factory, error) {
	t, err := component.NewType(kind)
	if err != nil {
		return nil, &control.Refusal{Field: "kind", Problem: err.Error()}
	}
	f, ok := host.(factories)
	if !ok {
		return nil, errors.New("this collector makes no receivers while it runs")
	}
	factory, ok := f.GetFactory(component.KindReceiver, t).(receiver.Factory)
	if !ok {
		return nil, &control.Refusal{Field: "kind", Problem: fmt.Sprintf("this collector was built without a receiver %q", kind)}
	}
	return factory, nil
}

// run starts an observer that does not run. What stands in the way is told in its state.
func (c *controller) run(ctx context.Context, p *control.Pipeline, o *observer) {
	if o.running != nil {
		if o.view().State != control.Failed {
			return
		}
		c.end(ctx, o, false)
	}
	fail := func(err error) {
		o.set(control.Failed, withoutSecrets(err))
		c.set.Logger.Error("a registered observer does not start", zap.String("observer", o.reg.ID), zap.String("error", withoutSecrets(err)))
	}
	cfg, err := c.configure(p, o.reg.ID, o.reg.Kind, o.reg.Config)
	if err != nil {
		fail(err)
		return
	}
	factory, err := factoryOf(p.Host, o.reg.Kind)
	if err != nil {
		fail(err)
		return
	}
	set := receiver.Settings{ID: o.componentID(), TelemetrySettings: p.Settings.TelemetrySettings, BuildInfo: p.Settings.BuildInfo}
	set.Logger = set.Logger.With(zap.String("observer", o.reg.ID))
	// The request that starts it ends before it does.
	ctx = context.WithoutCancel(ctx)
	r, err := factory.CreateLogs(ctx, set, cfg, c.counting(o, p.Next))
	if err != nil {
		fail(err)
		return
	}
	o.set(control.Running, "") // it may report a failure from now on
	if err := r.Start(ctx, &host{Host: p.Host, shelf: c.shelf, id: c.shelfID, failed: func(err error) { o.set(control.Failed, withoutSecrets(err)) }}); err != nil {
		fail(errors.Join(err, r.Shutdown(ctx)))
		return
	}
	o.running = r
	if source, ok := r.(observers.Drainer); ok {
		o.mu.Lock()
		o.trouble = source.Trouble
		o.mu.Unlock()
	}
}

func withoutSecrets(err error) string {
	s, _ := capture.Text(err.Error())
	return s
}

// shutdownTimeout bounds the end of an observer after it was drained, or could not be.
const shutdownTimeout = 30 * time.Second

// end stops an observer. With drain, everything that its tool did before is brought over first, as far as ctx allows.
func (c *controller) end(ctx context.Context, o *observer, drain bool) control.Drained {
	if o.running == nil {
		return control.Drained{}
	}
	d := control.Drained{Complete: true}
	if drain {
		o.set(control.Draining, "")
		if source, ok := o.running.(observers.Drainer); ok {
			if err := source.Drain(ctx); err != nil {
				d = control.Drained{Problem: withoutSecrets(err)}
			}
		} else {
			d = control.Drained{Problem: fmt.Sprintf("receivers of the kind %q cannot be asked whether everything was read", o.reg.Kind)}
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := o.running.Shutdown(ctx); err != nil {
		c.set.Logger.Warn("a registered observer ended with a fault", zap.String("observer", o.reg.ID), zap.String("error", withoutSecrets(err)))
		d = control.Drained{Problem: withoutSecrets(err)}
	}
	o.running = nil
	o.set(control.Stopped, "")
	if drain && !d.Complete {
		c.tel.TaskcontrollerDrainsIncomplete.Add(ctx, 1)
	}
	return d
}

// counting passes events on and counts them for their observer.
func (c *controller) counting(o *observer, next consumer.Logs) consumer.Logs {
	count := func(ctx context.Context, l plog.Logs) error {
		n := int64(l.LogRecordCount()) // before next owns it
		if err := next.ConsumeLogs(ctx, l); err != nil {
			o.refused.Add(1)
			return err
		}
		o.events.Add(n)
		o.last.Store(time.Now().UnixNano())
		c.tel.TaskcontrollerEvents.Add(ctx, n)
		return nil
	}
	// The only error is a nil function.
	logs, _ := consumer.NewLogs(count, consumer.WithCapabilities(next.Capabilities()))
	return logs
}

// host is the collector as a registered observer sees it: with a storage of its own, and with its own failures.
type host struct {
	component.Host
	shelf  *shelf
	id     component.ID
	failed func(error)
}

// GetExtensions adds the observer's storage.
func (h *host) GetExtensions() map[component.ID]component.Component {
	all := maps.Clone(h.Host.GetExtensions())
	all[h.id] = h.shelf
	return all
}

// Report implements componentstatus.Reporter: the failure of one observer is not the collector's.
func (h *host) Report(e *componentstatus.Event) {
	if s := e.Status(); s == componentstatus.StatusPermanentError || s == componentstatus.StatusFatalError {
		h.failed(e.Err())
	}
}
