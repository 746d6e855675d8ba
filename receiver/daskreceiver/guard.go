package daskreceiver

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver/internal/metadata"
)

// maxLeftOut is how many tasks are remembered whose activity is not captured.
const maxLeftOut = 10_000

// guard applies the capture policy to what comes out of journals: any program may have written one, and a plugin that was
// preloaded knows only its own process's policy. Events of attached plugins come by it a second time and stay as they are
// (half a microsecond each). It is used by one goroutine.
type guard struct {
	policy  *capture.Policy
	tel     *metadata.TelemetryBuilder
	leftOut *lru.Cache[task.Ref, struct{}]
}

func newGuard(cfg capture.Config, tel *metadata.TelemetryBuilder) (*guard, error) {
	leftOut, err := lru.New[task.Ref, struct{}](maxLeftOut)
	if err != nil {
		return nil, err
	}
	return &guard{policy: capture.New(cfg), tel: tel, leftOut: leftOut}, nil
}

// apply returns what may go on in place of an event.
func (g *guard) apply(e *task.Event) *task.Event {
	if e.IsTask() && !g.captured(e) {
		g.count("activity", 1)
		return numberOf(e)
	}
	n := g.policy.Values(e)
	g.count("field", n.Left)
	g.count("size", n.Cut)
	if n.Redacted > 0 {
		g.tel.ReceiverDaskRedacted.Add(context.Background(), int64(n.Redacted))
	}
	return e
}

// captured says whether a task's event is captured. Some events of a task do not say its activity: they follow those that
// do.
func (g *guard) captured(e *task.Event) bool {
	if e.Activity == "" {
		return !g.leftOut.Contains(e.Ref())
	}
	if g.policy.Activity(e.Activity) {
		return true
	}
	g.leftOut.Add(e.Ref(), struct{}{})
	return false
}

func (g *guard) count(rule string, n int) {
	if n > 0 {
		g.tel.ReceiverDaskLeftOut.Add(context.Background(), int64(n), metric.WithAttributes(attribute.String("reason", rule)))
	}
}

// numberOf keeps of an event only that it arrived, as a checkpoint that is older than all others: else its number would be
// missing, and its observer incomplete.
func numberOf(e *task.Event) *task.Event {
	return &task.Event{
		Name: task.EventCheckpoint, Observed: e.Observed, Attempt: task.NoAttempt, Campaign: e.Campaign,
		ObserverID: e.ObserverID, Seq: e.Seq, Record: map[string]any{}, Resource: e.Resource,
	}
}
