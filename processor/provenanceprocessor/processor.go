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

// needed are the attributes that claims depend on; the exporter decodes the others.
var needed = func() map[string]bool {
	names := map[string]bool{}
	for _, n := range []string{
		task.AttrKind, task.AttrKey, task.AttrStartedAt, task.AttrEndedAt, task.AttrUsed, task.AttrGenerated, task.AttrPaths, task.AttrClaims,
	} {
		names[n] = true
	}
	for _, n := range whereAttributes {
		names[n] = true
	}
	return names
}()

// process adds claims to events of tasks, and of entities that say what was used or generated. Whatever else is in the
// stream passes unchanged.
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
				if !claims(r.EventName()) {
					continue
				}
				e, err := task.FromRecordPart(r, resource, needed)
				if err != nil {
					invalid++
					continue
				}
				// An entity without an identity is nobody's.
				if !e.IsTask() && (e.Kind == "" || e.Key == "" || len(e.Used)+len(e.Generated) == 0) {
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

// claims says whether events of a name can make claims.
func claims(name string) bool {
	return name == task.EventEntity || (&task.Event{Name: name}).IsTask()
}
