package tasksconnector

import (
	"context"
	"errors"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/connector/tasksconnector/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// toSpans sends every ended execution on as one span. Records that are no task events pass by: the pipeline's other
// exporters deal with them.
type toSpans struct {
	next   consumer.Traces
	tel    *metadata.TelemetryBuilder
	logger *zap.Logger

	// storeName names the store whose view adds links beyond the declared ones; empty = none.
	storeName string
	reader    lineage.Reader
	sent      *lru.Cache[spanID, struct{}]
}

func (c *toSpans) Start(_ context.Context, host component.Host) error {
	if c.storeName == "" {
		return nil
	}
	s, _, err := store.FromHost(host, c.storeName)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	c.reader = s
	return nil
}

func (*toSpans) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *toSpans) Shutdown(context.Context) error {
	c.tel.Shutdown()
	return nil
}

func (c *toSpans) ConsumeLogs(ctx context.Context, logs plog.Logs) error {
	events, _ := task.FromLogs(logs)
	traces := ptrace.NewTraces()
	groups := map[string]ptrace.SpanSlice{}
	var ids []spanID
	skipped := map[string]int64{}
	for _, e := range events {
		if !e.IsTask() || !e.Status.Ended() {
			continue
		}
		if !e.HasSpan() {
			skipped["never_started"]++
			continue
		}
		id := spanID{e.Trace(), e.AttemptSpan()}
		// Remembered before it is sent, so that a repetition in the same batch is seen too.
		if known, _ := c.sent.ContainsOrAdd(id, struct{}{}); known {
			skipped["repeated"]++
			continue
		}
		ids = append(ids, id)
		key := task.JSON(e.Resource)
		spans, ok := groups[key]
		if !ok {
			rs := traces.ResourceSpans().AppendEmpty()
			// The values come from pdata and go back to it: nothing can fail.
			_ = rs.Resource().Attributes().FromRaw(e.Resource)
			ss := rs.ScopeSpans().AppendEmpty()
			ss.Scope().SetName(task.ScopeName)
			spans = ss.Spans()
			groups[key] = spans
		}
		e.ToSpan(spans.AppendEmpty(), c.links(ctx, e))
	}
	for reason, n := range skipped {
		c.tel.ConnectorTasksSkipped.Add(ctx, n, metric.WithAttributes(attribute.String("reason", reason)))
	}
	if len(ids) == 0 {
		return nil
	}
	if err := c.next.ConsumeTraces(ctx, traces); err != nil {
		for _, id := range ids {
			c.sent.Remove(id)
		}
		return err
	}
	c.tel.ConnectorTasksSpansSent.Add(ctx, int64(len(ids)))
	return nil
}

// links are the declared edges of the event and, with a store, what its view knows at this moment. A sent span is never
// amended: lineage in the view is authoritative.
func (c *toSpans) links(ctx context.Context, e *task.Event) []task.Link {
	links := e.DeclaredLinks()
	if c.reader == nil {
		return links
	}
	graph, err := lineage.Walk(ctx, c.reader, []string{e.ID()}, lineage.Options{Direction: lineage.Upstream, Depth: 1})
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			c.logger.Warn("a span goes out without the links of the view", zap.String("task", e.Key), zap.Error(err))
		}
		return links
	}
	// One link per source: the evidence that is worth most.
	best := map[[8]byte]lineage.Link{}
	for _, l := range graph.Links {
		span := graph.Tasks[l.From].SpanID
		if old, ok := best[span]; !ok || l.Confidence > old.Confidence {
			best[span] = l
		}
	}
	for _, l := range links {
		delete(best, l.SpanID)
	}
	for _, l := range graph.Links {
		f := graph.Tasks[l.From]
		if best[f.SpanID] == l {
			links = append(links, task.Link{TraceID: f.TraceID, SpanID: f.SpanID, Evidence: l.Evidence, Entity: l.Entity})
		}
	}
	return links
}

type spanID struct {
	trace [16]byte
	span  [8]byte
}
