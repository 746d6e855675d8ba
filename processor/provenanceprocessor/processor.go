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

// process adds claims to events of tasks, and of entities that say what was used or generated. Whatever else is in the
// stream passes unchanged.
func (p *provenance) process(ctx context.Context, logs plog.Logs) (plog.Logs, error) {
	var seen, invalid int64
	type kind struct{ role, evidence string }
	made := map[kind]int64{}
	var rec record
	var list []task.Claim
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
				if !claims(r.EventName()) {
					continue
				}
				if err := rec.read(r, resource); err != nil {
					invalid++
					continue
				}
				e := rec.event
				// An entity without an identity is nobody's.
				if !e.IsTask() && (e.Kind == "" || e.Key == "" || rec.used.Len()+rec.generated.Len() == 0) {
					continue
				}
				seen++
				known := len(e.Claims)
				list = p.claimer.claims(&rec, list[:0])
				if len(list) == known {
					continue
				}
				for _, c := range list[known:] {
					made[kind{string(c.Role), c.Evidence}]++
				}
				e.Claims = list
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

// claims says whether events of a name can make claims.
func claims(name string) bool {
	return name == task.EventEntity || (&task.Event{Name: name}).IsTask()
}
