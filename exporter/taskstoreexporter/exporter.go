package taskstoreexporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/otelcol-mida/otelcol-mida/exporter/taskstoreexporter/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// writer is the exporter behind exporterhelper's queue and retries.
type writer struct {
	config    *Config
	log       *zap.Logger
	telemetry *metadata.TelemetryBuilder
	room      *semaphore.Weighted // of events on their way to the store

	store    store.Writer
	provider store.Provider
}

func (w *writer) start(_ context.Context, host component.Host) error {
	s, p, err := store.FromHost(host, w.config.Store)
	if err != nil {
		return err
	}
	w.store, w.provider = s, p
	return nil
}

func (w *writer) shutdown(context.Context) error {
	w.telemetry.Shutdown()
	return nil
}

// consume writes one request. Every error is one to try again: what can never be stored is a dead letter, and no error.
func (w *writer) consume(ctx context.Context, logs plog.Logs) error {
	size := min(int64(logs.LogRecordCount()), w.config.MaxEvents)
	if err := w.room.Acquire(ctx, size); err != nil {
		return fmt.Errorf("wait for the events before these: %w", err)
	}
	defer w.room.Release(size)
	events, broken := task.FromLogsWithoutPaths(logs)
	started := time.Now()
	rejected, err := w.store.Write(ctx, events)
	if err != nil {
		w.telemetry.ExporterTaskstoreWriteFailures.Add(ctx, 1)
		return fmt.Errorf("write %d events: %w", len(events), err)
	}
	w.telemetry.ExporterTaskstoreWriteDuration.Record(ctx, time.Since(started).Seconds())
	w.telemetry.ExporterTaskstoreBatchEvents.Record(ctx, int64(len(events)))
	if err := w.putAside(ctx, broken, whole(rejected, events, logs)); err != nil {
		return err
	}
	w.telemetry.ExporterTaskstoreEventsWritten.Add(ctx, int64(len(events)-len(rejected)))
	return nil
}

// whole gives rejected events back what was not decoded for the store: a dead letter has everything.
func whole(rejected []store.Rejected, events []*task.Event, logs plog.Logs) []store.Rejected {
	if len(rejected) == 0 {
		return nil
	}
	index := make(map[*task.Event]int, len(events))
	for i, e := range events {
		index[e] = i
	}
	all, _ := task.FromLogs(logs)
	out := make([]store.Rejected, len(rejected))
	for i, r := range rejected {
		out[i] = r
		// Records whose paths are broken are events here, and none there.
		if at, ok := index[r.Event]; ok && len(all) == len(events) {
			out[i].Event = all[at]
		}
	}
	return out
}

// putAside writes dead letters. When that fails the whole request is repeated, which the store takes as a replay.
func (w *writer) putAside(ctx context.Context, broken []task.Rejected, rejected []store.Rejected) error {
	if len(broken)+len(rejected) == 0 {
		return nil
	}
	letters := make([]store.Letter, 0, len(broken)+len(rejected))
	for _, b := range broken {
		letters = append(letters, store.Letter{Reason: b.Err.Error(), Record: recordMap(b.Record, b.Resource)})
	}
	for _, r := range rejected {
		letters = append(letters, store.Letter{Reason: r.Err.Error(), Record: r.Event.Wire()})
	}
	if err := w.provider.DeadLetter(w.config.Store, letters); err != nil {
		return errors.Join(errors.New("records that can never be stored could not be put aside"), err)
	}
	for reason, n := range map[string]int{"not_an_event": len(broken), "refused_by_store": len(rejected)} {
		if n > 0 {
			w.telemetry.ExporterTaskstoreEventsRejected.Add(ctx, int64(n), metric.WithAttributes(attribute.String("reason", reason)))
		}
	}
	return nil
}

// recordMap shows a log record that is no event.
func recordMap(r plog.LogRecord, resource pcommon.Resource) map[string]any {
	m := map[string]any{"attributes": r.Attributes().AsRaw()}
	if resource.Attributes().Len() > 0 {
		m["resource"] = resource.Attributes().AsRaw()
	}
	if id := r.TraceID(); !id.IsEmpty() {
		m["trace_id"] = id.String()
	}
	if id := r.SpanID(); !id.IsEmpty() {
		m["span_id"] = id.String()
	}
	if name := r.EventName(); name != "" {
		m["event"] = name
	}
	if t := r.Timestamp(); t != 0 {
		m["time"] = int64(t)
	}
	if t := r.ObservedTimestamp(); t != 0 {
		m["observed"] = int64(t)
	}
	if body := r.Body().AsRaw(); body != nil {
		m["body"] = body
	}
	return m
}
