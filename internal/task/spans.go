package task

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-mida/otelcol-mida/internal/glob"
)

// KindOTel is the kind of tasks that were spans of another OTLP-instrumented program: scope and execution are the trace
// id, the key is the span id, both in hex.
const KindOTel = "otel"

// Link leads from a span to the span of another task.
type Link struct {
	TraceID  [16]byte
	SpanID   [8]byte
	Evidence string // declared, path, …
	Entity   string
}

// HasSpan says whether an event makes a span: an execution that ended, with its start. What never started has none.
func (e *Event) HasSpan() bool {
	return e.IsTask() && e.Status.Ended() && e.StartedAt != 0 && e.EndedAt != 0
}

// AttemptSpan is the span id of the event's execution: the task's own if it finished, so that links lead to the attempt
// that made the result; one that also hashes the attempt if it did not.
func (e *Event) AttemptSpan() [8]byte {
	if e.Status == StatusFinished || e.Attempt == NoAttempt || e.SpanID != [8]byte{} {
		return e.Span()
	}
	sum := digest(idVersion, "span", e.Kind, e.Scope, e.Key,
		string(binary.BigEndian.AppendUint64(nil, uint64(e.Attempt))))
	return [8]byte(sum[:8])
}

// DeclaredLinks are the links to what the event's tool declared as its dependencies, in the same execution. Tasks of
// another kind have a trace of their own, which only the store knows. A facet that does not know all dependencies (a Dask
// worker's) still knows which arguments were results of other tasks.
func (e *Event) DeclaredLinks() []Link {
	links := make([]Link, 0, len(e.Dependencies)+len(e.Refs))
	seen := map[string]bool{}
	add := func(key string) {
		if !seen[key] {
			seen[key] = true
			r := Ref{Kind: e.Kind, Scope: e.Scope, Key: key}
			links = append(links, Link{TraceID: e.Trace(), SpanID: r.SpanID(), Evidence: "declared"})
		}
	}
	for _, d := range e.Dependencies {
		if d.Kind == e.Kind && d.Scope == e.Scope {
			add(d.Key)
		}
	}
	if e.Dependencies == nil {
		for _, path := range sortedKeys(e.Refs) {
			add(e.Refs[path])
		}
	}
	return links
}

// ToSpan writes the event's execution as a span: deterministic, kind INTERNAL, named by its activity, back-dated.
func (e *Event) ToSpan(span ptrace.Span, links []Link) {
	span.SetTraceID(e.Trace())
	span.SetSpanID(e.AttemptSpan())
	if e.Parent != nil && e.Parent.Kind == e.Kind {
		span.SetParentSpanID(parentSpan(*e.Parent))
	}
	name := e.Activity
	if name == "" {
		name = e.Kind + " task"
	}
	span.SetName(name)
	span.SetKind(ptrace.SpanKindInternal)
	span.SetStartTimestamp(pcommon.Timestamp(e.StartedAt))
	span.SetEndTimestamp(pcommon.Timestamp(max(e.EndedAt, e.StartedAt)))
	switch e.Status {
	case StatusFailed:
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(attrString(e.Attributes, "exception.message"))
	case StatusFinished:
		span.Status().SetCode(ptrace.StatusCodeOk)
	}
	a := span.Attributes()
	for _, k := range sortedKeys(spanKeys) {
		switch v := spanKeys[k](e).(type) {
		case string:
			if v != "" {
				a.PutStr(k, v)
			}
		case map[string]any:
			if v != nil {
				putValue(a.PutEmpty(k), v)
			}
		}
	}
	if e.Attempt != NoAttempt {
		a.PutInt(AttrAttempt, e.Attempt)
	}
	if e.SubmittedAt != 0 {
		a.PutInt(AttrSubmittedAt, e.SubmittedAt)
	}
	putAll(a, e.Attributes)
	if excType := attrString(e.Attributes, "exception.type"); excType != "" {
		ev := span.Events().AppendEmpty()
		ev.SetName("exception")
		ev.SetTimestamp(span.EndTimestamp())
		for _, k := range sortedKeys(e.Attributes) {
			if strings.HasPrefix(k, "exception.") {
				putValue(ev.Attributes().PutEmpty(k), e.Attributes[k])
			}
		}
	}
	for _, l := range links {
		link := span.Links().AppendEmpty()
		link.SetTraceID(l.TraceID)
		link.SetSpanID(l.SpanID)
		if l.Evidence != "" {
			link.Attributes().PutStr("mida.link.evidence", l.Evidence)
		}
		if l.Entity != "" {
			link.Attributes().PutStr("mida.link.entity", l.Entity)
		}
	}
}

func parentSpan(r Ref) [8]byte {
	_, span := SpanContext(r, "")
	return span
}

// SpanContext is the trace and span id of a task's span, from its identity alone. Tasks that were foreign spans keep
// theirs: the scope and the key say them.
func SpanContext(r Ref, execution string) (trace [16]byte, span [8]byte) {
	if r.Kind == KindOTel {
		t, err1 := hex.DecodeString(r.Scope)
		s, err2 := hex.DecodeString(r.Key)
		if err1 == nil && err2 == nil && len(t) == len(trace) && len(s) == len(span) {
			return [16]byte(t), [8]byte(s)
		}
	}
	if execution == "" {
		execution = r.Scope
	}
	return TraceID(r.Kind, execution), r.SpanID()
}

var spanKeys = map[string]func(*Event) any{
	AttrKind:             func(e *Event) any { return e.Kind },
	AttrScope:            func(e *Event) any { return e.Scope },
	AttrKey:              func(e *Event) any { return e.Key },
	AttrExecution:        func(e *Event) any { return e.Execution },
	AttrFacet:            func(e *Event) any { return e.Facet },
	AttrStatus:           func(e *Event) any { return e.Status.String() },
	AttrCampaign:         func(e *Event) any { return e.Campaign },
	AttrWorkflowID:       func(e *Event) any { return e.WorkflowID },
	AttrWorkflowName:     func(e *Event) any { return e.WorkflowName },
	AttrWorkflowParentID: func(e *Event) any { return e.WorkflowParentID },
	AttrUsed:             func(e *Event) any { return e.Used },
	AttrGenerated:        func(e *Event) any { return e.Generated },
	AttrEnvironment:      func(e *Event) any { return e.Environment },
	AttrCustom:           func(e *Event) any { return e.Custom },
}

// SpanRules say what of a foreign span is used and generated: globs over attribute names; the part of
// the name before the pattern's first "*" is cut off. All other attributes are kept by their own names.
type SpanRules struct {
	DefaultCampaign string
	Used, Generated []string
}

// FromSpan makes the event of a span. A span of ToSpan gives back its own task; any other keeps its ids: workflow = its
// trace, task = itself.
func FromSpan(span ptrace.Span, resource map[string]any, rules SpanRules) (*Event, error) {
	if span.TraceID().IsEmpty() || span.SpanID().IsEmpty() {
		return nil, fmt.Errorf("span %q: trace id %q and span id %q: want both", span.Name(), span.TraceID(), span.SpanID())
	}
	attrs, _ := Normalize(span.Attributes().AsRaw()).(map[string]any)
	e := &Event{
		Attempt: NoAttempt, Facet: "span", Status: StatusFinished,
		StartedAt: int64(span.StartTimestamp()), EndedAt: int64(span.EndTimestamp()),
		Activity: span.Name(), Resource: resource,
	}
	e.Time = e.EndedAt
	switch {
	case span.Status().Code() == ptrace.StatusCodeError:
		e.Status = StatusFailed
	case attrs[AttrStatus] == StatusCancelled.String():
		e.Status = StatusCancelled
	}
	e.Name = EventForStatus(e.Status)
	if own := attrString(attrs, AttrKey); own != "" && attrString(attrs, AttrKind) != "" {
		return e.fromOwnSpan(span, attrs)
	}
	trace := span.TraceID().String()
	e.Kind, e.Scope, e.Key, e.Execution = KindOTel, trace, span.SpanID().String(), trace
	e.TraceID, e.SpanID = span.TraceID(), span.SpanID()
	e.WorkflowID = trace
	if e.WorkflowName = attrString(resource, "service.name"); e.WorkflowName == "" {
		e.WorkflowName = "trace " + trace[:8]
	}
	e.Campaign = attrString(resource, AttrCampaign)
	set(&e.Campaign, attrString(attrs, AttrCampaign))
	delete(attrs, AttrCampaign)
	if e.Campaign == "" {
		e.Campaign = rules.DefaultCampaign
	}
	if !span.ParentSpanID().IsEmpty() {
		e.Parent = &Ref{Kind: KindOTel, Scope: trace, Key: span.ParentSpanID().String()}
	}
	for _, l := range span.Links().All() {
		if !l.TraceID().IsEmpty() && !l.SpanID().IsEmpty() {
			e.Dependencies = append(e.Dependencies, Ref{Kind: KindOTel, Scope: l.TraceID().String(), Key: l.SpanID().String()})
		}
	}
	for _, k := range sortedKeys(attrs) {
		if name, ok := matchRule(rules.Used, k); ok {
			putIn(&e.Used, name, attrs[k])
			delete(attrs, k)
		} else if name, ok := matchRule(rules.Generated, k); ok {
			putIn(&e.Generated, name, attrs[k])
			delete(attrs, k)
		}
	}
	for _, ev := range span.Events().All() {
		if ev.Name() != "exception" {
			continue
		}
		raw, _ := Normalize(ev.Attributes().AsRaw()).(map[string]any)
		for k, v := range raw {
			if strings.HasPrefix(k, "exception.") {
				attrs[k] = v
			}
		}
	}
	if e.Status == StatusFailed && attrs["exception.message"] == nil && span.Status().Message() != "" {
		attrs["exception.message"] = span.Status().Message()
	}
	if len(attrs) > 0 {
		e.Attributes = attrs
	}
	return e, nil
}

func putIn(m *map[string]any, k string, v any) {
	if *m == nil {
		*m = map[string]any{}
	}
	(*m)[k] = v
}

// matchRule returns the name that a rule gives to an attribute.
func matchRule(patterns []string, name string) (string, bool) {
	for _, p := range patterns {
		if glob.Match(p, name) {
			prefix, _, star := strings.Cut(p, "*")
			if star && len(prefix) < len(name) {
				return name[len(prefix):], true
			}
			return name, true
		}
	}
	return "", false
}

// fromOwnSpan restores the task of a span that ToSpan made.
func (e *Event) fromOwnSpan(span ptrace.Span, attrs map[string]any) (*Event, error) {
	m := e.Wire()
	delete(m, "resource")
	rest := map[string]any{}
	for k, v := range attrs {
		if key, ok := recordKeys[k]; ok {
			m[key] = v
		} else {
			rest[k] = v
		}
	}
	if len(rest) > 0 {
		m["attributes"] = rest
	}
	own, err := FromWire(m)
	if err != nil {
		return nil, fmt.Errorf("span %q: %w", span.Name(), err)
	}
	own.Resource = e.Resource
	if id := span.TraceID(); [16]byte(id) != own.Trace() {
		own.TraceID = id
	}
	if id := span.SpanID(); [8]byte(id) != own.AttemptSpan() {
		own.SpanID = id
	}
	return own, nil
}
