package tasksconnector

import (
	"context"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/connector/tasksconnector/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// toTasks turns spans into task events.
type toTasks struct {
	component.StartFunc
	next   consumer.Logs
	tel    *metadata.TelemetryBuilder
	logger *zap.Logger
	kinds  map[ptrace.SpanKind]bool
	rules  task.SpanRules
	policy *capture.Policy
}

func newToTasks(cfg *Config, set connector.Settings, tel *metadata.TelemetryBuilder, next consumer.Logs) *toTasks {
	c := &toTasks{
		next: next, tel: tel, logger: set.Logger, kinds: map[ptrace.SpanKind]bool{}, policy: capture.New(cfg.Capture),
		rules: task.SpanRules{
			DefaultCampaign: cfg.DefaultCampaign, Used: cfg.UsedAttributes, Generated: cfg.GeneratedAttributes,
		},
	}
	for _, k := range cfg.SpanKinds {
		c.kinds[spanKinds[strings.ToLower(k)]] = true
	}
	return c
}

func (*toTasks) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *toTasks) Shutdown(context.Context) error {
	c.tel.Shutdown()
	return nil
}

func (c *toTasks) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	events := make([]*task.Event, 0, traces.SpanCount())
	var otherKind, invalid, activity int64
	var taken capture.Counts
	for _, rs := range traces.ResourceSpans().All() {
		resource, _ := task.Normalize(rs.Resource().Attributes().AsRaw()).(map[string]any)
		for _, ss := range rs.ScopeSpans().All() {
			own := ss.Scope().Name() == task.ScopeName
			for _, span := range ss.Spans().All() {
				if !own && !c.kinds[span.Kind()] {
					otherKind++
					continue
				}
				e, err := task.FromSpan(span, resource, c.rules)
				if err != nil {
					invalid++
					c.logger.Warn("a span cannot become a task", zap.Error(err))
					continue
				}
				// Whoever instrumented the program, nobody looked at its attributes for secrets.
				keep, n := c.policy.Apply(e)
				if !keep {
					activity++
					continue
				}
				taken.Redacted, taken.Left, taken.Cut = taken.Redacted+n.Redacted, taken.Left+n.Left, taken.Cut+n.Cut
				events = append(events, e)
			}
		}
	}
	c.skip(ctx, "kind", otherKind)
	c.skip(ctx, "invalid", invalid)
	c.leftOut(ctx, "activity", activity)
	c.leftOut(ctx, "field", int64(taken.Left))
	c.leftOut(ctx, "size", int64(taken.Cut))
	if taken.Redacted > 0 {
		c.tel.ConnectorTasksRedacted.Add(ctx, int64(taken.Redacted))
	}
	if len(events) == 0 {
		return nil
	}
	if err := c.next.ConsumeLogs(ctx, task.ToLogs(events)); err != nil {
		return err
	}
	c.tel.ConnectorTasksSpansRead.Add(ctx, int64(len(events)))
	return nil
}

func (c *toTasks) leftOut(ctx context.Context, rule string, n int64) {
	if n > 0 {
		c.tel.ConnectorTasksLeftOut.Add(ctx, n, metric.WithAttributes(attribute.String("reason", rule)))
	}
}

func (c *toTasks) skip(ctx context.Context, reason string, n int64) {
	if n > 0 {
		c.tel.ConnectorTasksSkipped.Add(ctx, n, metric.WithAttributes(attribute.String("reason", reason)))
	}
}
