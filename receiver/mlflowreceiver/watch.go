package mlflowreceiver

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/receiver/mlflowreceiver/internal/metadata"
)

const (
	// breath is the least pause after a poll that left something to read.
	breath = 2 * time.Millisecond
	// listOpenEvery is how often open runs are read for new artifacts, which leave no trace in the database.
	listOpenEvery = 30 * time.Second
	// listOpenAtMost bounds that to what one transaction reads.
	listOpenAtMost = runsAtOnce
)

// watcher is the source: it polls the database and emits the runs that are new or touched.
type watcher struct {
	cfg    *Config
	source dialect
	pace   *observer.Pace
	looks  *observer.Looks
	log    *zap.Logger
	tel    *metadata.TelemetryBuilder
	keeper *keeper
	reader *reader
	opened func()       // told about each new connection
	seq    func() int64 // the last sequence number given

	db             *database
	version        string // data version of the last complete poll
	known          bool   // version is of this connection
	behind         bool   // a tail was longer than one poll reads
	touched        map[string]struct{}
	sweep          sweep
	models         sweep // of logged models and model versions
	counted        int64 // runs in the database, when the last pass of the sweep had ended
	witness        *witness
	doctor         *doctor
	swept          time.Time
	listed         time.Time
	lookedAtModels time.Time
	held           time.Duration
	trouble        trouble
	unsaved        bool // the last try to save the position failed
}

// Observe polls until ctx ends.
func (w *watcher) Observe(ctx context.Context, emit func(context.Context, []*run) error) error {
	defer w.closeDatabase()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-w.looks.Wake():
		}
		start := time.Now()
		w.held = 0
		w.looks.Begin()
		err := w.poll(ctx, emit)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.tellLooked(err)
		w.doctor.polled(err, w.keeper)
		w.tel.ReceiverMlflowPolls.Add(ctx, 1)
		w.tel.ReceiverMlflowPollDuration.Record(ctx, time.Since(start).Seconds())
		w.report(ctx, err)
		switch {
		case err == nil && (w.behind || len(w.touched) > 0 || w.looks.Waited()):
			// Writers get at least as much time as the reads took.
			timer.Reset(max(breath, min(w.held, w.pace.Longest())))
		case err != nil:
			timer.Reset(w.pace.Rest())
		default:
			// As above, also after a look that took long.
			timer.Reset(max(w.pace.After(time.Since(start), 0), w.held))
		}
	}
}

// tellLooked tells those who wait for everything to be read. A database that is not there yet holds nothing.
func (w *watcher) tellLooked(err error) {
	if errors.Is(err, errAbsent) {
		w.looks.End(true, nil)
		return
	}
	left := w.behind || len(w.touched) > 0 || w.sweep.busy || w.models.busy || w.source.pending()
	w.looks.End(!left, err)
}

// unhurried says whether it is time for the next step of what is done in steps, to spare the database.
func (w *watcher) unhurried(last time.Time) bool {
	return time.Since(last) >= w.cfg.bounds().MaxInterval || w.looks.Waited()
}

func (w *watcher) closeDatabase() {
	if w.db != nil {
		w.db.close()
		w.db = nil
	}
	w.known = false
}

// named says in the log which database it is.
func (w *watcher) named() zap.Field { return zap.String("database", w.source.name()) }

func (w *watcher) count(table string, n int) {
	if n > 0 {
		w.tel.ReceiverMlflowRowsRead.Add(context.Background(), int64(n), metric.WithAttributes(tableAttr(table)))
	}
}

// poll reads what changed since the last one.
func (w *watcher) poll(ctx context.Context, emit func(context.Context, []*run) error) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	// Asked before anything is read: what is committed later has another version.
	version, err := w.db.version(ctx, w.db)
	if err != nil {
		return err
	}
	changed := !w.known || version != w.version
	listOpen := len(w.keeper.open) > 0 && len(w.keeper.open) <= listOpenAtMost && (time.Since(w.listed) >= listOpenEvery || w.looks.Waited())
	if !changed && !w.behind && !w.sweep.busy && !w.models.busy && !w.source.pending() && !listOpen && len(w.touched) == 0 {
		w.tel.ReceiverMlflowUnchangedPolls.Add(ctx, 1)
		if w.unsaved {
			w.save(ctx, true)
		}
		return nil
	}
	if changed {
		if err := w.look(ctx, version); err != nil {
			return err
		}
	} else if w.models.busy && w.unhurried(w.lookedAtModels) {
		if err := w.lookAtModels(ctx, version); err != nil {
			return err
		}
		w.lookedAtModels = time.Now()
	}
	found, err := w.db.tails(ctx, w.db, version, w.reader, w.keeper.cursor.Marks)
	if err != nil {
		return err
	}
	if why := found.again; why != nil {
		w.log.Info(why.what+"; everything is read again, and what did not change is not sent again", w.named(), zap.String("table", why.table))
		w.restart(ctx, why.reason)
		w.behind = true
		return nil
	}
	w.touch(found.runs)
	if found.tags {
		w.sweep = sweep{}
		w.keeper.cursor.Sweep = ""
		w.sweep.begin(version)
	}
	if w.sweep.busy && !found.first && w.unhurried(w.swept) {
		ids, err := w.step(ctx, version)
		w.touch(ids)
		if err != nil {
			return err
		}
		w.swept = time.Now()
	}
	if listOpen {
		for id := range w.keeper.open {
			w.touch([]string{id})
		}
		w.listed = time.Now()
	}
	if err := w.deliver(ctx, emit); err != nil {
		return err
	}
	w.keeper.cursor.Marks = found.marks
	w.version, w.known, w.behind = version, true, found.more
	w.witness.polled(w.source.name(), w.keeper, w.counted)
	w.tel.ReceiverMlflowLag.Record(ctx, found.behind)
	w.tel.ReceiverMlflowOpenRuns.Record(ctx, int64(len(w.keeper.open)))
	w.save(ctx, !w.behind)
	return nil
}

// connect opens the database, again when another file took its place.
func (w *watcher) connect(ctx context.Context) error {
	if w.db != nil {
		err := w.db.current(ctx, w.db)
		if err == nil {
			return nil
		}
		w.closeDatabase()
		if !errors.Is(err, errReplaced) {
			return err
		}
		w.log.Info("the MLflow database was replaced by another file; everything is read again", w.named())
		w.restart(ctx, "replaced")
	}
	db, err := openDatabase(ctx, w.source, func(d time.Duration) {
		w.held += d
		w.tel.ReceiverMlflowReadDuration.Record(ctx, d.Seconds())
	})
	if err != nil {
		return err
	}
	w.db = db
	w.opened()
	// What happened while nobody looked left no new version: compare everything once.
	w.sweep = sweep{busy: true}
	return nil
}

// look reads what is read whole after every commit: the schema, experiments, models, and the runs that are open.
func (w *watcher) look(ctx context.Context, version string) error {
	migrated, err := w.db.migrated(ctx)
	if err != nil {
		return err
	}
	if migrated {
		w.log.Info("the tables of the MLflow database changed; everything is read again", w.named())
		w.restart(ctx, "schema")
	}
	if err := w.reader.readExperiments(ctx, w.db); err != nil {
		return err
	}
	if !w.models.busy {
		w.models.begin(version)
		w.reader.registry.restart()
	}
	if err := w.lookAtModels(ctx, version); err != nil {
		return err
	}
	for !w.known && w.models.busy { // the first time all is read, so that runs come with their models
		if err := w.lookAtModels(ctx, version); err != nil {
			return err
		}
	}
	ids, err := w.lookAtOpen(ctx)
	w.touch(ids)
	w.sweep.begin(version)
	return err
}

// restart forgets every position. What was sent is remembered, so that only changes are sent again.
func (w *watcher) restart(ctx context.Context, reason string) {
	w.tel.ReceiverMlflowRestarts.Add(ctx, 1, metric.WithAttributes(reasonAttr(reason)))
	w.keeper.cursor.Marks = map[string]mark{}
	w.keeper.cursor.Sweep = ""
	w.reader.histories = histories{}
	w.reader.registry, w.models = newRegistry(), sweep{}
	w.source.reset()
	w.sweep = sweep{busy: true}
	w.known = false
}

func (w *watcher) touch(ids []string) {
	for _, id := range ids {
		if id != "" {
			w.touched[id] = struct{}{}
		}
	}
}

// deliver reads the touched runs whole, emits them and notes what was accepted.
func (w *watcher) deliver(ctx context.Context, emit func(context.Context, []*run) error) error {
	for len(w.touched) > 0 {
		ids := make([]string, 0, runsAtOnce)
		for id := range w.touched {
			if ids = append(ids, id); len(ids) == runsAtOnce {
				break
			}
		}
		before := w.held
		runs, err := w.reader.readRuns(ctx, w.db, ids)
		if err != nil {
			return err
		}
		w.tel.ReceiverMlflowRunsRead.Add(ctx, int64(len(runs)))
		at := max(time.Now().UnixNano(), w.keeper.cursor.Time+1)
		for _, x := range runs {
			x.at = at
		}
		if err := emit(ctx, runs); err != nil {
			return err
		}
		w.keeper.cursor.Time = at
		found := make(map[string]bool, len(runs))
		for _, x := range runs {
			found[x.id] = true
			w.keeper.put(x.id, seen{light: x.light, content: x.content, open: x.open(), used: x.used, generated: x.generated})
		}
		for _, id := range ids {
			delete(w.touched, id)
			if !found[id] { // gone, or its experiment is not wanted
				w.keeper.forget(id)
			}
		}
		w.reader.histories.trim(func(id string) bool { return w.keeper.runs[id].open })
		if len(w.touched) == 0 {
			return nil
		}
		w.save(ctx, false)
		if !sleep(ctx, max(breath, w.held-before)) {
			return ctx.Err()
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// save keeps the position, now or when it is time. A storage that fails costs a repeated read after a restart, no data.
func (w *watcher) save(ctx context.Context, now bool) {
	if !now && !w.keeper.due() {
		return
	}
	w.keeper.cursor.Seq = w.seq()
	if err := w.keeper.save(ctx); err == nil || ctx.Err() == nil {
		w.reportSave(ctx, err)
	}
}
