package taskcontroller

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/extension/taskcontroller/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/journal"
)

// controller is the extension.
type controller struct {
	set extension.Settings
	cfg *Config
	tel *metadata.TelemetryBuilder

	shelf   *shelf
	shelfID component.ID

	mu        sync.Mutex // guards what follows; never held while an observer starts or stops
	observers map[string]*observer
	pipeline  *control.Pipeline
	alive     context.Context // of the pipeline
	release   context.CancelFunc
	saving    sync.Mutex // one write of the registrations at a time, in the order of the changes
	finder    finder
}

var (
	_ control.Service = (*controller)(nil)
	_ control.Runner  = (*controller)(nil)
)

func newController(set extension.Settings, cfg *Config, tel *metadata.TelemetryBuilder) (*controller, error) {
	return &controller{
		set: set, cfg: cfg, tel: tel, observers: map[string]*observer{},
		shelfID: component.MustNewIDWithName("taskcontroller", "shelf"),
	}, nil
}

// Dependencies lets the storage start first (extensioncapabilities.Dependent).
func (c *controller) Dependencies() []component.ID {
	if c.cfg.Storage == nil {
		return nil
	}
	return []component.ID{*c.cfg.Storage}
}

// Start loads the registrations. They run once the managed receiver has lent its pipeline.
func (c *controller) Start(ctx context.Context, host component.Host) error {
	client, err := c.storage(ctx, host)
	if err != nil {
		return err
	}
	c.shelf = &shelf{client: client}
	c.finder.roster = control.RosterOf(host)
	if err := c.checkDiscovery(); err != nil {
		return errors.Join(err, client.Close(ctx))
	}
	if err := c.load(ctx); err != nil {
		return errors.Join(err, client.Close(ctx))
	}
	return c.tel.RegisterTaskcontrollerObserversCallback(func(_ context.Context, o metric.Int64Observer) error {
		counts := map[control.State]int64{control.Stopped: 0, control.Running: 0, control.Draining: 0, control.Failed: 0}
		for _, x := range c.Observers() {
			counts[x.State]++
		}
		for state, n := range counts {
			o.Observe(n, metric.WithAttributes(attribute.String("state", string(state))))
		}
		return nil
	})
}

// Shutdown comes after that of the pipelines, when no observer runs any more.
func (c *controller) Shutdown(ctx context.Context) error {
	c.tel.Shutdown()
	if c.shelf == nil {
		return nil
	}
	return c.shelf.client.Close(ctx)
}

func (c *controller) storage(ctx context.Context, host component.Host) (storage.Client, error) {
	id := c.cfg.Storage
	if id == nil {
		c.set.Logger.Info("no storage is configured: registrations last until this collector ends; set storage to keep them")
		return &memory{m: map[string][]byte{}}, nil
	}
	ext, ok := host.GetExtensions()[*id]
	if !ok {
		return nil, fmt.Errorf("storage: there is no extension %q; list it under extensions and under service::extensions", id)
	}
	st, ok := ext.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: the extension %q keeps no state; use file_storage", id)
	}
	client, err := st.GetClient(ctx, component.KindExtension, c.set.ID, "")
	if err != nil && strings.HasSuffix(err.Error(), "timeout") { // of a lock; extensions start in any order, and the store may say more later
		return nil, fmt.Errorf("storage: another collector has the files of the extension %q open (%w); stop that collector, or give this one another "+
			"directory (MIDA_DATA); `mida doctor` says which collector it is", id, err)
	}
	if err != nil {
		return nil, fmt.Errorf("storage: extension %q: %w", id, err)
	}
	if _, ok := client.(storage.Walker); !ok {
		return nil, errors.Join(fmt.Errorf("storage: the extension %q cannot list what it keeps; use file_storage", id), client.Close(ctx))
	}
	return client, nil
}

const (
	registrationsKey     = "registrations"
	registrationsVersion = 1
)

type saved struct {
	Version   int            `json:"schema_version"`
	Observers []registration `json:"observers"`
}

func (c *controller) load(ctx context.Context) error {
	data, err := c.shelf.client.Get(ctx, registrationsKey)
	if err != nil || data == nil {
		return err
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("storage: the registrations cannot be read: %w", err)
	}
	if s.Version > registrationsVersion {
		return fmt.Errorf("storage: schema_version %d of the registrations is newer than this program's %d", s.Version, registrationsVersion)
	}
	for _, r := range s.Observers {
		c.observers[r.ID] = newObserver(r)
	}
	return nil
}

func (c *controller) save(ctx context.Context) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	s := saved{Version: registrationsVersion}
	for _, o := range c.list() {
		if !o.isDeleted() {
			s.Observers = append(s.Observers, o.registration())
		}
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := c.shelf.client.Set(ctx, registrationsKey, data); err != nil {
		return fmt.Errorf("storage: the registrations cannot be kept: %w", err)
	}
	return nil
}

// list returns the observers in the order of their ids.
func (c *controller) list() []*observer {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*observer, 0, len(c.observers))
	for _, o := range c.observers {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *observer) int { return strings.Compare(a.reg.ID, b.reg.ID) })
	return list
}

func (c *controller) find(id string) (*observer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.observers[id]; ok {
		return o, nil
	}
	return nil, fmt.Errorf("%q: %w", id, control.ErrUnknown)
}

// Observers implements control.Service.
func (c *controller) Observers() []control.Observer {
	var views []control.Observer
	for _, o := range c.list() {
		views = append(views, o.view())
	}
	return views
}

// Observer implements control.Service.
func (c *controller) Observer(id string) (control.Observer, error) {
	o, err := c.find(id)
	if err != nil {
		return control.Observer{}, err
	}
	return o.view(), nil
}

var validID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// Register implements control.Service.
func (c *controller) Register(ctx context.Context, r control.Registration, start bool) (control.Observer, error) {
	o, fresh, err := c.register(ctx, r)
	if err != nil {
		var refusal *control.Refusal
		if errors.As(err, &refusal) || errors.Is(err, control.ErrConflict) {
			c.tel.TaskcontrollerRefused.Add(ctx, 1)
		}
		return control.Observer{}, err
	}
	if fresh {
		c.set.Logger.Info("an observer was registered", zap.String("observer", o.reg.ID), zap.String("kind", o.reg.Kind), zap.String("user", r.By))
	}
	if start {
		return c.StartObserver(ctx, o.reg.ID)
	}
	return o.view(), nil
}

func (c *controller) register(ctx context.Context, r control.Registration) (o *observer, fresh bool, err error) {
	p, err := c.attached()
	if err != nil {
		return nil, false, err
	}
	if r.ID == "" {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails
		r.ID = r.Kind + "-" + hex.EncodeToString(b[:])
	}
	if !validID.MatchString(r.ID) || r.ID == "discovered" { // which is a path of the API
		return nil, false, &control.Refusal{Field: "id", Problem: fmt.Sprintf("%q is not possible; want 1 to 64 letters, digits, _ . or -, such as search-runs", r.ID)}
	}
	if _, err := c.configure(p, r.ID, r.Kind, r.Config); err != nil {
		return nil, false, err
	}
	c.mu.Lock()
	if old, ok := c.observers[r.ID]; ok {
		c.mu.Unlock()
		if old.isDeleted() {
			return nil, false, fmt.Errorf("id %q: %w, which is being deleted; ask again", r.ID, control.ErrConflict)
		}
		if reg := old.registration(); reg.Kind == r.Kind && sameConfig(reg.Config, r.Config) {
			return old, false, nil
		}
		return nil, false, fmt.Errorf("id %q: %w, of another kind or with another configuration; delete it first, or take another id", r.ID, control.ErrConflict)
	}
	o = newObserver(registration{ID: r.ID, Kind: r.Kind, Config: r.Config, By: r.By, RegisteredAt: time.Now().UTC(), Drained: true})
	c.observers[r.ID] = o
	c.mu.Unlock()
	// What a deletion that was cut off left is not this one's.
	if err := errors.Join(c.shelf.remove(ctx, o.componentID()), c.save(ctx)); err != nil {
		c.forget(o)
		return nil, false, err
	}
	return o, true, nil
}

// sameConfig compares as JSON does: what was loaded from the storage has other types of numbers.
func sameConfig(a, b map[string]any) bool {
	var x, y any
	for v, into := range map[*map[string]any]*any{&a: &x, &b: &y} {
		data, err := json.Marshal(*v)
		if err != nil || json.Unmarshal(data, into) != nil {
			return false
		}
	}
	return reflect.DeepEqual(x, y)
}

func (c *controller) forget(o *observer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.observers, o.reg.ID)
}

func (c *controller) attached() (*control.Pipeline, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipeline == nil {
		return nil, control.ErrDetached
	}
	return c.pipeline, nil
}

// StartObserver implements control.Service.
func (c *controller) StartObserver(ctx context.Context, id string) (control.Observer, error) {
	o, p, unlock, err := c.change(id)
	if err != nil {
		return control.Observer{}, err
	}
	defer unlock()
	before := o.registration()
	o.want(true, false)
	if err := c.save(ctx); err != nil {
		o.want(before.Wanted, before.Drained)
		return control.Observer{}, err
	}
	if c.run(ctx, p, o); o.running == nil { // nothing was observed that could be lost
		o.want(true, before.Drained)
		err = c.save(ctx)
	}
	return o.view(), err
}

// StopObserver implements control.Service.
func (c *controller) StopObserver(ctx context.Context, id string) (control.Observer, control.Drained, error) {
	o, _, unlock, err := c.change(id)
	if err != nil {
		return control.Observer{}, control.Drained{}, err
	}
	defer unlock()
	d, err := c.stop(ctx, o)
	return o.view(), d, err
}

// stop drains an observer and keeps how that went.
func (c *controller) stop(ctx context.Context, o *observer) (control.Drained, error) {
	before := o.registration()
	o.want(false, before.Drained)
	if err := c.save(ctx); err != nil {
		o.want(before.Wanted, before.Drained)
		return control.Drained{}, err
	}
	if o.running == nil {
		o.set(control.Stopped, "")
		return control.Drained{Complete: before.Drained, Problem: "it did not run; what its tool did meanwhile was not read"}, nil
	}
	ctx, cancel := c.drainContext(ctx)
	defer cancel()
	d := c.end(ctx, o, true)
	o.want(false, d.Complete)
	return d, c.save(context.WithoutCancel(ctx))
}

// drainContext lasts until the deadline of a request, or for drain_timeout, and ends with the pipeline: not with the
// request, for whoever asked may have gone.
func (c *controller) drainContext(ctx context.Context) (context.Context, context.CancelFunc) {
	c.mu.Lock()
	alive := c.alive
	c.mu.Unlock()
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(c.cfg.DrainTimeout)
	}
	return context.WithDeadline(alive, until)
}

// change finds an observer and keeps others from changing it.
func (c *controller) change(id string) (*observer, *control.Pipeline, func(), error) {
	o, err := c.find(id)
	if err != nil {
		return nil, nil, nil, err
	}
	o.changing.Lock()
	p, err := c.attached()
	if err == nil && o.isDeleted() {
		err = fmt.Errorf("%q: %w", id, control.ErrUnknown)
	}
	if err != nil {
		o.changing.Unlock()
		return nil, nil, nil, err
	}
	return o, p, o.changing.Unlock, nil
}

// DeleteObserver implements control.Service.
func (c *controller) DeleteObserver(ctx context.Context, id string, force bool) (control.Drained, error) {
	o, _, unlock, err := c.change(id)
	if err != nil {
		return control.Drained{}, err
	}
	defer unlock()
	d, err := c.stop(ctx, o)
	if err != nil || !d.Complete && !force {
		return d, err
	}
	d.Deleted = true
	// First the registration: one without its position would read everything again. It stays known until all is gone, so
	// that no other takes its place meanwhile.
	ctx = context.WithoutCancel(ctx)
	o.setDeleted(true)
	if err := c.save(ctx); err != nil {
		o.setDeleted(false)
		return d, err
	}
	err = c.shelf.remove(ctx, o.componentID())
	// A journal directory that others still use, or with something left in it, stays.
	removeEmpty(c.directory(id))
	c.forget(o)
	return d, err
}

func removeEmpty(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		switch path := filepath.Join(dir, e.Name()); {
		case e.IsDir():
			removeEmpty(path)
		case e.Name() == journal.ClaimFile:
			_ = os.Remove(path)
		}
	}
	_ = os.Remove(dir) // fails unless it is empty, which is what is wanted
}

func (c *controller) directory(id string) string { return filepath.Join(c.cfg.Directory, id) }

// Attach implements control.Runner.
func (c *controller) Attach(ctx context.Context, p control.Pipeline) error {
	c.mu.Lock()
	if c.pipeline != nil {
		c.mu.Unlock()
		return errors.New("another managed receiver runs its observers; want one managed receiver for each taskcontroller")
	}
	c.pipeline = &p
	c.alive, c.release = context.WithCancel(context.Background())
	c.mu.Unlock()
	for _, o := range c.list() {
		o.changing.Lock()
		if o.registration().Wanted {
			c.run(ctx, &p, o)
		}
		o.changing.Unlock()
	}
	c.findByItself()
	return nil
}

// Detach implements control.Runner.
func (c *controller) Detach(ctx context.Context) error {
	c.mu.Lock()
	if c.pipeline == nil {
		c.mu.Unlock()
		return nil
	}
	c.pipeline = nil
	c.release() // who still drains gives up; the position stays
	c.mu.Unlock()
	c.finder.running.Wait()
	var wg sync.WaitGroup
	for _, o := range c.list() {
		wg.Go(func() {
			o.changing.Lock()
			defer o.changing.Unlock()
			c.end(ctx, o, false)
		})
	}
	wg.Wait()
	return nil
}
