package mlflowreceiver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
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
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/mlflowreceiver/internal/metadata"
)

const (
	// mapping counts up when the same run becomes another event, so that an update reads everything again.
	mapping = 1
	// lastWord is how long a stop waits for the pipeline to take the final checkpoint.
	lastWord = 2 * time.Second
)

type mlflowReceiver struct {
	set  receiver.Settings
	cfg  *Config
	next consumer.Logs
	tel  *metadata.TelemetryBuilder

	keeper  *keeper
	witness witness
	looks   *observer.Looks
	sender  *observer.Sender
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	doctor            doctor
	refused, unusable atomic.Int64
	leave             func() // the roster
}

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Logs) (*mlflowReceiver, error) {
	tel, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &mlflowReceiver{set: set, cfg: cfg, next: next, tel: tel, looks: observer.NewLooks()}, nil
}

// Start begins to poll. A database that does not exist yet is no error: the first script may not have run.
func (r *mlflowReceiver) Start(ctx context.Context, host component.Host) error {
	source, err := r.cfg.source()
	if err != nil {
		return err
	}
	baseDir := r.cfg.BaseDir
	if baseDir == "" && source.local() != "" {
		baseDir = filepath.Dir(source.local())
	}
	if baseDir, err = filepath.Abs(baseDir); err != nil {
		return fmt.Errorf("base_dir: %w", err)
	}
	client, err := storageClient(ctx, host, r.cfg.StorageID, r.set.ID)
	if err != nil {
		return err
	}
	r.keeper = newKeeper(client)
	if err := r.keeper.load(ctx); err != nil {
		return errors.Join(err, r.keeper.close(ctx))
	}
	if client == nil {
		r.set.Logger.Info("no storage is configured: after a restart every run is read and sent again, which changes nothing in the view; " +
			"set storage to keep the position")
	}
	r.resume(ctx, source)
	r.sender = observer.NewSender(observer.Settings{
		ID: r.keeper.cursor.Observer, Campaign: r.cfg.Campaign, Next: r.next, Logger: r.set.Logger, LastSeq: r.keeper.cursor.Seq,
		MaxEvents: r.cfg.Batch.MaxEvents, Witness: r.witness.get,
		Dropped: func(n int, _ error) {
			r.refused.Add(int64(n))
			r.tel.ReceiverMlflowDropped.Add(context.Background(), int64(n), metric.WithAttributes(reasonAttr("refused")))
		},
	})
	w, m := r.parts(source, baseDir)
	if err := r.observeBatches(w.pace); err != nil {
		return errors.Join(err, r.keeper.close(ctx))
	}
	r.leave = control.Join(host, r)
	ctx, r.cancel = context.WithCancel(context.Background())
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		_ = observer.Run(ctx, w, r.callback(m), r.sender, r.drop) // only its context can end it
	}()
	return nil
}

func (r *mlflowReceiver) observeBatches(pace *observer.Pace) error {
	return errors.Join(
		r.tel.RegisterReceiverMlflowBatchIntervalCallback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(pace.Interval().Seconds())
			return nil
		}),
		r.tel.RegisterReceiverMlflowBatchEventsCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(r.sender.LastRequest())
			return nil
		}),
	)
}

// resume decides what of a saved position still holds.
func (r *mlflowReceiver) resume(ctx context.Context, source dialect) {
	c := &r.keeper.cursor
	settings := r.settings(source.name())
	if c.Observer != "" && c.Campaign != r.cfg.Campaign {
		// Numbers count per observer and campaign, and every run is news to the other campaign.
		r.set.Logger.Info("the campaign changed; every run is sent again", zap.String("from", c.Campaign), zap.String("to", r.cfg.Campaign))
		*c = cursor{Version: cursorVersion, Marks: map[string]mark{}, Time: c.Time}
		r.keeper.forgetRuns()
	}
	if c.Observer == "" {
		c.Observer = newObserverID(r.set.ID)
	}
	if c.Settings != "" && c.Settings != settings {
		r.tel.ReceiverMlflowRestarts.Add(ctx, 1, metric.WithAttributes(reasonAttr("settings")))
		c.Marks, c.Sweep = map[string]mark{}, ""
	}
	c.Version, c.Campaign, c.Settings = cursorVersion, r.cfg.Campaign, settings
}

// settings is a digest of what decides how a run becomes an event.
func (r *mlflowReceiver) settings(database string) string {
	c := r.cfg
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %q %v %q %q %#v", mapping, database, c.BaseDir, c.runsAreLocal(), c.ActivityTag, []any{c.Experiments.Include, c.Experiments.Exclude}, c.Capture))
	return hex.EncodeToString(sum[:8])
}

// newObserverID names an observer that outlives its process: it is kept with the position.
func newObserverID(id component.ID) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return fmt.Sprintf("%s@%s-%x", id, host, random)
}

func (r *mlflowReceiver) parts(source dialect, baseDir string) (*watcher, *mapper) {
	resolver := entity.NewResolver()
	m := &mapper{cfg: r.cfg, baseDir: baseDir, files: &files{resolver: resolver}, limiter: newLimiter(r.cfg.Capture)}
	w := &watcher{
		cfg: r.cfg, pace: observer.NewPace(r.cfg.bounds()), looks: r.looks, source: source, log: r.set.Logger, tel: r.tel, keeper: r.keeper, touched: map[string]struct{}{}, seq: r.sender.LastSeq,
		doctor: &r.doctor, counted: -1, witness: &r.witness,
		opened: func() { m.host = hostOf(resolver, source.local()) },
	}
	w.reader = &reader{histories: histories{}, registry: newRegistry(), choice: r.cfg.Experiments, withHistory: r.cfg.Capture.History, count: w.count}
	return w, m
}

// hostOf is this host when the database lies on a file system of its own: then only its processes can have written it.
func hostOf(resolver *entity.Resolver, path string) string {
	if path == "" {
		return ""
	}
	info, err := resolver.Resolve(path, "")
	if err != nil || info.FS != "" {
		return ""
	}
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return host
}

// notCaptured is the content of a run that the capture policy leaves out.
const notCaptured = 1

// callback makes the event of a run, none when it is as it was last sent, or left out.
func (r *mlflowReceiver) callback(m *mapper) observer.Callback[*run] {
	return func(x *run) ([]*task.Event, error) {
		e, out, err := m.event(x)
		if err != nil {
			return nil, err
		}
		x.content = notCaptured
		if e != nil {
			x.content = contentDigest(e)
			x.used, x.generated = int32(len(task.Leaves(e.Used))), int32(len(task.Leaves(e.Generated)))
		}
		if old, ok := r.keeper.runs[x.id]; ok && old.content == x.content {
			return nil, nil
		}
		r.countWithheld(out)
		if e == nil {
			return nil, nil
		}
		r.tel.ReceiverMlflowRunsSent.Add(context.Background(), 1)
		return []*task.Event{e}, nil
	}
}

func (r *mlflowReceiver) countWithheld(out withheld) {
	ctx := context.Background()
	left := func(reason string, n int) {
		if n > 0 {
			r.tel.ReceiverMlflowLeftOut.Add(ctx, int64(n), metric.WithAttributes(reasonAttr(reason)))
		}
	}
	if out.activity { // then nothing else of the run matters
		left("activity", 1)
		return
	}
	left("field", out.Left)
	left("size", out.Cut)
	if out.Redacted > 0 {
		r.tel.ReceiverMlflowRedacted.Add(ctx, int64(out.Redacted))
	}
	if out.omitted > 0 {
		r.tel.ReceiverMlflowArtifactsOmitted.Add(ctx, int64(out.omitted))
	}
}

func (r *mlflowReceiver) drop(x *run, err error) {
	r.unusable.Add(1)
	r.doctor.recent.Add(redactText(err.Error()))
	r.tel.ReceiverMlflowDropped.Add(context.Background(), 1, metric.WithAttributes(reasonAttr("unusable")))
	r.set.Logger.Error("a run cannot become a task event", zap.String("run", x.id), zap.Error(err))
}

// Drain implements observer.Drainer.
func (r *mlflowReceiver) Drain(ctx context.Context) error { return r.looks.Drain(ctx, 0) }

// Trouble implements observer.Drainer. A database that is not there yet is none.
func (r *mlflowReceiver) Trouble() error { return r.looks.Err() }

// Shutdown ends the poll that is under way, keeps the position and says the last word.
func (r *mlflowReceiver) Shutdown(ctx context.Context) error {
	defer r.tel.Shutdown()
	if r.cancel == nil {
		return nil
	}
	r.leave()
	r.cancel()
	r.wg.Wait()
	last, cancel := context.WithTimeout(ctx, lastWord)
	defer cancel()
	if err := r.sender.Checkpoint(last, true); err != nil {
		r.set.Logger.Warn("the final checkpoint was not accepted", zap.Error(err))
	}
	return errors.Join(r.keeper.save(ctx), r.keeper.close(ctx))
}
