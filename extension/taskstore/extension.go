package taskstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/extension/taskstore/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// stores is the extension. It opens every store in Start, so that a locked or damaged database is told at once, and
// closes them in Shutdown, which comes after that of the pipelines. A cluster may be away: its store opens all the same.
type stores struct {
	config    *Config
	log       *zap.Logger
	telemetry *metadata.TelemetryBuilder

	mu      sync.RWMutex
	open    map[string]store.Store
	letters map[string]*deadLetters // by path: stores may share a file

	stopRetention context.CancelFunc
	retention     sync.WaitGroup
}

var _ store.Provider = (*stores)(nil)

func (s *stores) Start(ctx context.Context, _ component.Host) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.letters = map[string]store.Store{}, map[string]*deadLetters{}
	for _, name := range s.config.names() {
		sc := s.config.Stores[name]
		st, err := sc.open(ctx, s.log.With(zap.String("store", name)))
		if err != nil {
			return errors.Join(fmt.Errorf("stores::%s: %w", name, err), s.closeAll(ctx))
		}
		s.open[name] = st
		path := s.config.deadLetterPath(name)
		if s.letters[path] == nil {
			s.letters[path] = &deadLetters{path: path, maxBytes: s.config.DeadLetters.MaxBytes}
		}
	}
	s.keepWithin()
	return s.observeCounters()
}

// keepWithin starts the retention of the stores that have one.
func (s *stores) keepWithin() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopRetention = cancel
	for name, st := range s.open {
		if c := s.config.Stores[name].Retention; c.enabled() {
			r := &retention{
				config: c.withDefaults(), name: name, store: st, log: s.log.With(zap.String("store", name)), telemetry: s.telemetry, now: time.Now,
			}
			s.retention.Go(func() { r.run(ctx) })
		}
	}
}

// observeCounters reports what the stores count themselves; less than nothing is not reported.
func (s *stores) observeCounters() error {
	each := func(report func(store.Counted, metric.ObserveOption)) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		for name, st := range s.open {
			if c, ok := st.(store.Counted); ok {
				report(c, metric.WithAttributes(attribute.String("store", name)))
			}
		}
	}
	ofClusters := func(value func(store.Counters) int64) func(store.Counters) int64 {
		return func(c store.Counters) int64 {
			if c.BulkRequests == 0 {
				return -1
			}
			return value(c)
		}
	}
	observe := func(value func(store.Counters) int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			each(func(c store.Counted, of metric.ObserveOption) {
				if v := value(c.Counters()); v >= 0 {
					o.Observe(v, of)
				}
			})
			return nil
		}
	}
	batch := func(value func(store.Batch) int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			each(func(c store.Counted, of metric.ObserveOption) {
				if b, ok := c.LastBatch(); ok {
					o.Observe(value(b), of)
				}
			})
			return nil
		}
	}
	interval := func(_ context.Context, o metric.Float64Observer) error {
		each(func(c store.Counted, of metric.ObserveOption) {
			if b, ok := c.LastBatch(); ok {
				o.Observe(b.Interval.Seconds(), of)
			}
		})
		return nil
	}
	return errors.Join(
		s.telemetry.RegisterTaskstoreBatchEventsCallback(batch(func(b store.Batch) int64 { return b.Events })),
		s.telemetry.RegisterTaskstoreBatchRequestsCallback(batch(func(b store.Batch) int64 { return b.Calls })),
		s.telemetry.RegisterTaskstoreBatchIntervalCallback(interval),
		s.telemetry.RegisterTaskstoreTasksChangedCallback(observe(func(c store.Counters) int64 { return c.TasksChanged })),
		s.telemetry.RegisterTaskstoreTasksUnchangedCallback(observe(func(c store.Counters) int64 { return c.TasksUnchanged })),
		s.telemetry.RegisterTaskstoreTransactionsCallback(observe(func(c store.Counters) int64 { return c.Transactions })),
		s.telemetry.RegisterTaskstoreBulkBytesCallback(observe(ofClusters(func(c store.Counters) int64 { return c.BulkBytes }))),
		s.telemetry.RegisterTaskstoreBulkRequestsCallback(observe(ofClusters(func(c store.Counters) int64 { return c.BulkRequests }))),
		s.telemetry.RegisterTaskstoreConflictsCallback(observe(func(c store.Counters) int64 { return c.Conflicts })),
		s.telemetry.RegisterTaskstoreRetriesCallback(observe(func(c store.Counters) int64 { return c.Retries })),
		s.telemetry.RegisterTaskstoreFieldsSpilledCallback(observe(func(c store.Counters) int64 { return c.FieldsSpilled })),
	)
}

func (s *stores) Shutdown(ctx context.Context) error {
	if s.stopRetention != nil {
		s.stopRetention()
		s.retention.Wait()
	}
	s.telemetry.Shutdown()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeAll(ctx)
}

func (s *stores) closeAll(ctx context.Context) error {
	var errs []error
	for name, st := range s.open {
		if err := st.Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close store %q: %w", name, err))
		}
	}
	for _, l := range s.letters {
		errs = append(errs, l.close())
	}
	s.open, s.letters = nil, nil
	return errors.Join(errs...)
}

// Store implements store.Provider.
func (s *stores) Store(name string) (store.Store, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if st, ok := s.open[name]; ok {
		return st, nil
	}
	if _, ok := s.config.Stores[name]; ok {
		return nil, fmt.Errorf("store %q is not open", name)
	}
	return nil, fmt.Errorf("store %q is not configured; there are: %s", name, strings.Join(s.config.names(), ", "))
}

// StoreNames implements store.Provider.
func (s *stores) StoreNames() []string { return s.config.names() }

// DeadLetter implements store.Provider.
func (s *stores) DeadLetter(name string, letters []store.Letter) error {
	if len(letters) == 0 {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, ok := s.open[name]; !ok {
		return fmt.Errorf("dead letters: store %q is not open", name)
	}
	path := s.config.deadLetterPath(name)
	lost, err := s.letters[path].write(name, letters)
	attrs := metric.WithAttributes(attribute.String("store", name))
	if lost > 0 {
		s.telemetry.TaskstoreDeadLettersDropped.Add(context.Background(), lost, attrs)
		s.log.Warn("The dead-letter file is full: the oldest letters are gone.", zap.String("path", path), zap.Int64("lost", lost))
	}
	if err != nil {
		return fmt.Errorf("dead letters of store %q: %w", name, err)
	}
	s.telemetry.TaskstoreDeadLetters.Add(context.Background(), int64(len(letters)), attrs)
	s.log.Warn("Records that can never be stored were put aside.", zap.String("store", name), zap.String("path", path),
		zap.Int("records", len(letters)), zap.String("first_reason", letters[0].Reason))
	return nil
}
