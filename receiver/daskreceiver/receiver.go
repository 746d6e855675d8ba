package daskreceiver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/journal"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver/internal/metadata"
)

// daskReceiver reads the journals of this node and keeps the plugin in the clusters that it was given.
type daskReceiver struct {
	cfg    *Config
	set    receiver.Settings
	logger *zap.Logger
	tel    *metadata.TelemetryBuilder
	sender *observer.Sender
	pace   *observer.Pace
	looks  *observer.Looks
	health *health
	guard  *guard
	recent control.Recent
	leave  func() // the roster

	events, dropped, faults atomic.Int64

	reader    *journal.Reader
	targets   *targets
	attacher  *attacher
	stopRead  context.CancelFunc
	stopVisit context.CancelFunc
	reading   sync.WaitGroup
}

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Logs) (*daskReceiver, error) {
	tel, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	r := &daskReceiver{cfg: cfg, set: set, logger: set.Logger, tel: tel, pace: observer.NewPace(cfg.Batch), looks: observer.NewLooks()}
	if r.health, err = newHealth(set.Logger, tel); err != nil {
		return nil, err
	}
	if r.guard, err = newGuard(cfg.Capture, tel); err != nil {
		return nil, err
	}
	r.sender = observer.NewSender(observer.Settings{
		ID: observer.NewID(set.ID.String()), Campaign: cfg.Campaign, Next: next, Logger: set.Logger, Numbered: true, MaxEvents: cfg.Batch.MaxEvents,
		Dropped: func(events int, err error) {
			r.dropped.Add(int64(events))
			r.recent.Add(err.Error())
			tel.ReceiverDaskEventsDropped.Add(context.Background(), int64(events))
		},
	})
	return r, nil
}

// Start begins to read and to visit. Nothing that an observed cluster or its journals do makes it fail.
func (r *daskReceiver) Start(ctx context.Context, host component.Host) error {
	directory, err := filepath.Abs(r.cfg.Journal.Directory)
	if err != nil {
		return fmt.Errorf("journal::directory: %q: %w", r.cfg.Journal.Directory, err)
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		// The reader says more, and goes on as soon as it can.
		r.logger.Warn("the journal directory cannot be made; it is used when it is there",
			zap.String("directory", directory), zap.Error(err))
	}
	if err := r.startReader(directory); err != nil {
		return err
	}
	if err := r.startTargets(ctx, directory); err != nil {
		return errors.Join(err, r.Shutdown(ctx))
	}
	r.leave = control.Join(host, r)
	return r.observeMetrics()
}

func (r *daskReceiver) startReader(directory string) error {
	reader, err := journal.NewReader(journal.Options{
		Directory: directory, AllowForeignOwner: r.cfg.AllowForeignOwner, Logger: r.logger, Pace: r.pace, Looks: r.looks,
		Read: func(records, events int64) {
			r.tel.ReceiverDaskJournalRecords.Add(context.Background(), records)
			r.events.Add(events)
			r.tel.ReceiverDaskJournalEvents.Add(context.Background(), events)
		},
		Fault: func(f journal.Fault, n int64) {
			r.faults.Add(n)
			r.tel.ReceiverDaskJournalFaults.Add(context.Background(), n, metric.WithAttributes(attribute.String("fault", string(f))))
		},
	})
	if err != nil {
		return err
	}
	r.reader = reader
	ctx, cancel := context.WithCancel(context.Background())
	r.stopRead = cancel
	r.reading.Add(1)
	go func() {
		defer r.reading.Done()
		// Only ctx ends it.
		_ = observer.Run(ctx, observer.Source[*task.Event](reader), r.take, r.sender, nil)
	}()
	return nil
}

// take is the callback: a journal holds events already. What may not leave is taken out of them.
func (r *daskReceiver) take(e *task.Event) ([]*task.Event, error) {
	if e.Name == task.EventCheckpoint {
		r.health.checkpoint(e)
	}
	return []*task.Event{r.guard.apply(e)}, nil
}

func (r *daskReceiver) startTargets(ctx context.Context, directory string) error {
	if len(r.cfg.Schedulers) == 0 && len(r.cfg.SchedulerFiles) == 0 {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	owner := fmt.Sprintf("%s:%d:%s:%s", host, os.Getuid(), r.set.ID, directory)
	plugins, err := newPlugins(r.cfg, directory, owner)
	if err != nil {
		return err
	}
	var conf *tls.Config
	if r.cfg.TLS.HasValue() {
		if conf, err = r.cfg.TLS.Get().LoadTLSConfig(ctx); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	r.attacher = &attacher{
		cfg: r.cfg.Attach, foreign: r.cfg.AllowForeignOwner, tls: conf, plugins: plugins, logger: r.logger,
		failed: func(why string) {
			r.tel.ReceiverDaskAttachFailures.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", why)))
		},
	}
	r.targets = newTargets(r.attacher, r.cfg.SchedulerFiles, r.cfg.Attach.RetryInterval, r.logger)
	visits, cancel := context.WithCancel(context.Background())
	r.stopVisit = cancel
	return r.targets.start(visits, r.cfg.Schedulers)
}

func (r *daskReceiver) observeMetrics() error {
	err := r.tel.RegisterReceiverDaskJournalLagCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(r.reader.Lag())
		return nil
	})
	if err != nil {
		return err
	}
	err = r.tel.RegisterReceiverDaskBatchIntervalCallback(func(_ context.Context, o metric.Float64Observer) error {
		o.Observe(r.pace.Interval().Seconds())
		return nil
	})
	if err != nil {
		return err
	}
	err = r.tel.RegisterReceiverDaskBatchEventsCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(r.sender.LastRequest())
		return nil
	})
	if r.targets == nil || err != nil {
		return err
	}
	return r.tel.RegisterReceiverDaskAttachedCallback(func(_ context.Context, o metric.Int64Observer) error {
		for _, t := range r.targets.list() {
			var n int64
			if t.attached.Load() {
				n = 1
			}
			o.Observe(n, metric.WithAttributes(attribute.String("dask.scheduler.address", t.address.url)))
		}
		return nil
	})
}

// held is what a plugin that others brought may keep in memory: it writes every 100 ms (docs/journal.md).
const held = 250 * time.Millisecond

// Drain implements observer.Drainer: the plugins are taken away, which makes them write all that they hold, and all that
// was written is read.
func (r *daskReceiver) Drain(ctx context.Context) error {
	var errs []error
	if r.stopVisit != nil {
		r.stopVisit()
		r.targets.wait()
		for _, t := range r.targets.list() {
			if t.configured && !t.seen.Load() {
				errs = append(errs, fmt.Errorf("scheduler %s was never attached to", t.address.url))
			}
		}
		_, failed := r.detachAll(ctx)
		errs = append(errs, failed...)
	}
	return errors.Join(append(errs, r.looks.Drain(ctx, held))...)
}

// Trouble implements observer.Drainer.
func (r *daskReceiver) Trouble() error { return r.looks.Err() }

// Shutdown takes the plugins away, reads what they wrote last, and stops. What cannot be read in time stays in the
// journal.
func (r *daskReceiver) Shutdown(ctx context.Context) error {
	if r.leave != nil {
		r.leave()
	}
	var errs []error
	detached := false
	if r.stopVisit != nil {
		r.stopVisit()
		r.targets.wait()
		detached, errs = r.detachAll(ctx)
	}
	if r.stopRead != nil {
		r.stopRead()
		r.reading.Wait()
		if detached {
			ctx, cancel := deadline(ctx, r.cfg.Attach.Timeout)
			defer cancel()
			_ = observer.Run(ctx, observer.Source[*task.Event](drain{r.reader}), r.take, r.sender, nil)
		}
	}
	r.tel.Shutdown()
	return errors.Join(errs...)
}

func (r *daskReceiver) detachAll(ctx context.Context) (detached bool, errs []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, t := range r.targets.list() {
		if !t.attached.Load() {
			continue
		}
		detached = true
		wg.Go(func() {
			if err := r.attacher.detach(ctx, t); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return detached, errs
}

// drain is the reader as a source that ends when nothing is left to read.
type drain struct{ *journal.Reader }

func (d drain) Observe(ctx context.Context, emit func(context.Context, []*task.Event) error) error {
	return d.Drain(ctx, emit)
}
