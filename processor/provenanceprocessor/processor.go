package provenanceprocessor

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/processor/provenanceprocessor/internal/metadata"
)

type provenance struct {
	claimer *claimer
	tel     *metadata.TelemetryBuilder
}

// process adds claims to task events. Whatever else is in the stream passes unchanged.
func (p *provenance) process(ctx context.Context, logs plog.Logs) (plog.Logs, error) {
	var seen, invalid int64
	type kind struct{ role, evidence string }
	made := map[kind]int64{}
	for _, rl := range logs.ResourceLogs().All() {
		attrs := rl.Resource().Attributes()
		if site := p.claimer.site; site != "" {
			if _, ok := attrs.Get(task.AttrSite); !ok {
				attrs.PutStr(task.AttrSite, site)
			}
		}
		resource, _ := task.Normalize(attrs.AsRaw()).(map[string]any)
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				e, err := task.FromRecord(r, resource)
				if err != nil {
					if r.EventName() != "" && isTaskName(r.EventName()) {
						invalid++
					}
					continue
				}
				if !e.IsTask() {
					continue
				}
				seen++
				known := len(e.Claims)
				e.Claims = p.claimer.claims(e)
				if len(e.Claims) == known {
					continue
				}
				for _, c := range e.Claims[known:] {
					made[kind{string(c.Role), c.Evidence}]++
				}
				e.PutClaims(r)
			}
		}
	}
	p.tel.ProcessorProvenanceEvents.Add(ctx, seen)
	p.tel.ProcessorProvenanceInvalid.Add(ctx, invalid)
	for k, n := range made {
		p.tel.ProcessorProvenanceClaims.Add(ctx, n, metric.WithAttributes(
			attribute.String("role", k.role), attribute.String("evidence", k.evidence)))
	}
	return logs, nil
}

func isTaskName(name string) bool { return (&task.Event{Name: name}).IsTask() }
