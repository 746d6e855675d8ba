package task

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"sync"
)

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// canonical is AppendJSON of the event's wire form, without making that first.
func (e *Event) canonical() []byte { return Scratched(e.appendCanonical) }

// Scratched returns what write appends to an empty slice, in a slice of its size: for what is made often and kept.
func Scratched(write func(dst []byte) []byte) []byte {
	buf, _ := scratch.Get().(*[]byte)
	*buf = write((*buf)[:0])
	out := bytes.Clone(*buf)
	if cap(*buf) <= 1<<20 {
		scratch.Put(buf)
	}
	return out
}

// appendCanonical writes the keys of Wire in their order.
func (e *Event) appendCanonical(dst []byte) []byte {
	o := object{dst: append(dst, '{')}
	o.text("activity", e.Activity)
	if e.Attempt != NoAttempt {
		o.key("attempt")
		o.dst = strconv.AppendInt(o.dst, e.Attempt, 10)
	}
	o.mapping("attributes", e.Attributes)
	o.text("campaign", e.Campaign)
	if e.Claims != nil {
		o.value("claims", claimsToWire(e.Claims))
	}
	o.mapping("custom", e.Custom)
	if e.Dependencies != nil {
		o.key("dependencies")
		o.dst = append(o.dst, '[')
		for i, d := range e.Dependencies {
			if i > 0 {
				o.dst = append(o.dst, ',')
			}
			o.ref(d, e)
		}
		o.dst = append(o.dst, ']')
	}
	o.number("ended_at", e.EndedAt)
	o.text("environment", e.Environment)
	o.text("event", e.Name)
	o.text("execution", e.Execution)
	o.text("facet", e.Facet)
	o.mapping("generated", e.Generated)
	o.text("key", e.Key)
	o.text("kind", e.Kind)
	o.number("observed", e.Observed)
	o.text("observer", e.ObserverID)
	if e.Parent != nil {
		o.key("parent")
		o.ref(*e.Parent, e)
	}
	if e.Paths != nil {
		o.value("paths", pathsToWire(e.Paths))
	}
	if e.Record != nil {
		o.value("record", e.Record)
	}
	if e.Refs != nil {
		o.key("refs")
		refs := object{dst: append(o.dst, '{')}
		for _, k := range sortedKeys(e.Refs) {
			refs.key(k)
			refs.dst = AppendText(refs.dst, e.Refs[k])
		}
		refs.dst = append(refs.dst, '}')
		o.dst = refs.dst
	}
	o.mapping("resource", e.Resource)
	o.text("scope", e.Scope)
	o.number("seq", e.Seq)
	if e.SpanID != [8]byte{} {
		o.hex("span_id", e.SpanID[:])
	}
	o.number("started_at", e.StartedAt)
	if e.Status != StatusUnknown {
		o.text("status", e.Status.String())
	}
	o.text("stderr", e.Stderr)
	o.text("stdout", e.Stdout)
	o.number("submitted_at", e.SubmittedAt)
	if e.Tags != nil {
		o.value("tags", e.Tags)
	}
	o.telemetry(e)
	o.number("time", e.Time)
	if e.TraceID != [16]byte{} {
		o.hex("trace_id", e.TraceID[:])
	}
	o.mapping("used", e.Used)
	o.text("workflow_id", e.WorkflowID)
	o.text("workflow_name", e.WorkflowName)
	o.text("workflow_parent_id", e.WorkflowParentID)
	return append(o.dst, '}')
}

// object writes a map, whose keys come in their order.
type object struct {
	dst   []byte
	begun bool
}

func (o *object) key(k string) {
	if o.begun {
		o.dst = append(o.dst, ',')
	}
	o.begun = true
	o.dst = append(AppendText(o.dst, k), ':')
}

func (o *object) value(k string, v any) {
	o.key(k)
	o.dst = AppendJSON(o.dst, v)
}

func (o *object) text(k, v string) {
	if v != "" {
		o.key(k)
		o.dst = AppendText(o.dst, v)
	}
}

func (o *object) number(k string, v int64) {
	if v != 0 {
		o.key(k)
		o.dst = strconv.AppendInt(o.dst, v, 10)
	}
}

func (o *object) mapping(k string, v map[string]any) {
	if v != nil {
		o.value(k, v)
	}
}

func (o *object) hex(k string, v []byte) {
	o.key(k)
	o.dst = append(hex.AppendEncode(append(o.dst, '"'), v), '"')
}

func (o *object) ref(r Ref, e *Event) {
	if r.Kind == e.Kind && r.Scope == e.Scope {
		o.dst = AppendText(o.dst, r.Key)
		return
	}
	o.dst = AppendJSON(o.dst, refToWire(r, e))
}

func (o *object) telemetry(e *Event) {
	if e.TelemetryCoverage == nil && e.TelemetryDelta == nil && e.TelemetryEnd == nil && e.TelemetryPeak == nil && e.TelemetryStart == nil {
		return
	}
	o.key("telemetry")
	t := object{dst: append(o.dst, '{')}
	t.mapping("coverage", e.TelemetryCoverage)
	t.mapping("delta", e.TelemetryDelta)
	t.mapping("end", e.TelemetryEnd)
	t.mapping("peak", e.TelemetryPeak)
	t.mapping("start", e.TelemetryStart)
	t.dst = append(t.dst, '}')
	o.dst = t.dst
}
