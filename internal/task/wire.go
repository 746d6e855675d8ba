package task

import "encoding/hex"

// Wire returns the event as the map of docs/journal.md, without absent keys. Claims and the observer's id are included,
// so that nothing is lost: FromWire(e.Wire()) equals e.
func (e *Event) Wire() map[string]any {
	m := make(map[string]any, 24)
	putString(m, "event", e.Name)
	putInt(m, "time", e.Time)
	putInt(m, "observed", e.Observed)
	putString(m, "kind", e.Kind)
	putString(m, "scope", e.Scope)
	putString(m, "key", e.Key)
	putString(m, "execution", e.Execution)
	if e.Attempt != NoAttempt {
		m["attempt"] = e.Attempt
	}
	putString(m, "facet", e.Facet)
	if e.Status != StatusUnknown {
		m["status"] = e.Status.String()
	}
	putString(m, "campaign", e.Campaign)
	putString(m, "workflow_id", e.WorkflowID)
	putString(m, "workflow_name", e.WorkflowName)
	putString(m, "workflow_parent_id", e.WorkflowParentID)
	putString(m, "activity", e.Activity)
	putInt(m, "submitted_at", e.SubmittedAt)
	putInt(m, "started_at", e.StartedAt)
	putInt(m, "ended_at", e.EndedAt)
	if e.Parent != nil {
		m["parent"] = refToWire(*e.Parent, e)
	}
	if e.Dependencies != nil {
		list := make([]any, len(e.Dependencies))
		for i, d := range e.Dependencies {
			list[i] = refToWire(d, e)
		}
		m["dependencies"] = list
	}
	putMap(m, "used", e.Used)
	putMap(m, "generated", e.Generated)
	if e.Refs != nil {
		refs := make(map[string]any, len(e.Refs))
		for k, v := range e.Refs {
			refs[k] = v
		}
		m["refs"] = refs
	}
	if e.Paths != nil {
		m["paths"] = pathsToWire(e.Paths)
	}
	tel := map[string]any{}
	putMap(tel, "start", e.TelemetryStart)
	putMap(tel, "end", e.TelemetryEnd)
	putMap(tel, "peak", e.TelemetryPeak)
	putMap(tel, "delta", e.TelemetryDelta)
	putMap(tel, "coverage", e.TelemetryCoverage)
	if len(tel) > 0 {
		m["telemetry"] = tel
	}
	putString(m, "environment", e.Environment)
	if e.Record != nil {
		m["record"] = e.Record
	}
	putString(m, "stdout", e.Stdout)
	putString(m, "stderr", e.Stderr)
	if e.Tags != nil {
		list := make([]any, len(e.Tags))
		for i, t := range e.Tags {
			list[i] = t
		}
		m["tags"] = list
	}
	putMap(m, "custom", e.Custom)
	if e.Claims != nil {
		m["claims"] = claimsToWire(e.Claims)
	}
	putString(m, "observer", e.ObserverID)
	putInt(m, "seq", e.Seq)
	putMap(m, "attributes", e.Attributes)
	putMap(m, "resource", e.Resource)
	if e.TraceID != [16]byte{} {
		m["trace_id"] = hex.EncodeToString(e.TraceID[:])
	}
	if e.SpanID != [8]byte{} {
		m["span_id"] = hex.EncodeToString(e.SpanID[:])
	}
	return m
}

func putString(m map[string]any, k, v string) {
	if v != "" {
		m[k] = v
	}
}

func putInt(m map[string]any, k string, v int64) {
	if v != 0 {
		m[k] = v
	}
}

func putMap(m map[string]any, k string, v map[string]any) {
	if v != nil {
		m[k] = v
	}
}

func refToWire(r Ref, e *Event) any {
	if r.Kind == e.Kind && r.Scope == e.Scope {
		return r.Key
	}
	return map[string]any{"kind": r.Kind, "scope": r.Scope, "key": r.Key}
}

func pathsToWire(paths map[string]PathInfo) map[string]any {
	out := make(map[string]any, len(paths))
	for k, p := range paths {
		m := map[string]any{"real": p.Real, "size": p.Size}
		putString(m, "fs", p.FS)
		putString(m, "rel", p.Rel)
		putInt(m, "mtime", p.ModTime)
		out[k] = m
	}
	return out
}

func claimsToWire(claims []Claim) []any {
	list := make([]any, len(claims))
	for i, c := range claims {
		m := map[string]any{"role": string(c.Role), "entity": c.Entity, "evidence": c.Evidence, "confidence": c.Confidence}
		putInt(m, "time", c.Time)
		putString(m, "time_source", c.TimeSource)
		putString(m, "field", c.Field)
		putString(m, "label", c.Label)
		list[i] = m
	}
	return list
}
