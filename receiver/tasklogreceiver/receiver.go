package tasklogreceiver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/internal/rules"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadata"
)

// lastWord is how long the final checkpoint may take when the collector stops.
const lastWord = 2 * time.Second

type logReceiver struct {
	set   receiver.Settings
	cfg   *Config
	rules *rules.Set
	next  consumer.Logs
	tb    *metadata.TelemetryBuilder

	cancel context.CancelFunc
	wg     sync.WaitGroup
	store  *stateStore
	looks  *observer.Looks
	sender *observer.Sender
	tail   *tail
	leave  func() // the roster
}

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Logs) (*logReceiver, error) {
	compiled, err := cfg.Rules()
	if err != nil {
		return nil, err
	}
	tb, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &logReceiver{set: set, cfg: cfg, rules: compiled, next: next, tb: tb, looks: observer.NewLooks()}, nil
}

// Start implements component.Component.
func (r *logReceiver) Start(ctx context.Context, host component.Host) error {
	match, err := r.cfg.matcher()
	if err != nil {
		return err
	}
	if r.store, err = openStore(ctx, host, r.cfg.Storage, r.set.ID, r.set.Logger); err != nil {
		return err
	}
	files, refused, err := r.store.files(ctx, r.rules)
	if err != nil {
		return errors.Join(err, r.store.close(ctx))
	}
	t := &tail{
		cfg: r.cfg, pace: observer.NewPace(r.cfg.Batch.Fixed(r.cfg.PollInterval)), looks: r.looks, rules: r.rules, matcher: match, store: r.store,
		resolver: entity.NewResolver(), host: hostName(), logger: r.set.Logger, files: files, refused: refused,
	}
	rep := newReport(r.tb, r.set.Logger, &t.doctor)
	t.report, r.tail = rep, t
	r.sender = observer.NewSender(observer.Settings{
		ID: r.store.observer.ID, Campaign: r.cfg.Campaign, Next: r.next, Logger: r.set.Logger, LastSeq: r.store.observer.Seq,
		MaxEvents: r.cfg.Batch.MaxEvents, Witness: t.witness.record,
		Dropped: func(n int, _ error) { r.tb.ReceiverTasklogRefused.Add(context.Background(), int64(n)) },
	})
	r.store.seq = r.sender.LastSeq
	if err := r.observeBatches(t.pace); err != nil {
		return errors.Join(err, r.store.close(ctx))
	}
	p := &paths{resolver: t.resolver, policy: capture.New(r.cfg.Capture)}
	for _, part := range r.cfg.Check() {
		if part.State == control.Trouble {
			r.set.Logger.Warn("logs cannot be read", zap.String("problem", part.Problem))
		} else {
			r.set.Logger.Info("no log is there yet", zap.String("problem", part.Problem))
		}
	}
	run, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.leave = control.Join(host, r)
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		err := observer.Run(run, t, p.callback, r.sender, func(c *change, err error) {
			c.failed = true
			rep.problem(run, c.f, c.rec.Offset, "not usable", withoutSecrets("error", err.Error()), withoutSecrets("line", c.rec.Text))
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			r.set.Logger.Error("following logs ended", zap.Error(err))
		}
	}()
	return nil
}

func (r *logReceiver) observeBatches(pace *observer.Pace) error {
	return errors.Join(
		r.tb.RegisterReceiverTasklogBatchIntervalCallback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(pace.Interval().Seconds())
			return nil
		}),
		r.tb.RegisterReceiverTasklogBatchEventsCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(r.sender.LastRequest())
			return nil
		}),
	)
}

// Drain implements observer.Drainer.
func (r *logReceiver) Drain(ctx context.Context) error { return r.looks.Drain(ctx, 0) }

// Trouble implements observer.Drainer.
func (r *logReceiver) Trouble() error { return r.looks.Err() }

// Shutdown waits for what Start began. What was not accepted is read again at the next start.
func (r *logReceiver) Shutdown(ctx context.Context) error {
	if r.cancel == nil {
		return nil
	}
	r.leave()
	r.cancel()
	r.wg.Wait()
	last, cancel := context.WithTimeout(ctx, lastWord)
	defer cancel()
	if err := r.sender.Checkpoint(last, true); err != nil {
		r.set.Logger.Warn("the final checkpoint was not accepted; this observer stays open", zap.Error(err))
	}
	r.tb.Shutdown()
	if err := r.store.close(ctx); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}
