package task

import (
	"encoding/hex"
	"fmt"
	"math"
)

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

// FromWire reads an event from a map of docs/journal.md. Values are normalised in place. Unknown keys are ignored, so
// that an older reader reads a newer writer of the same version. A key of the wrong type is an error that names it.
func FromWire(m map[string]any) (*Event, error) {
	r := wireReader{m: m}
	e := &Event{
		Name: r.str("event"), Time: r.int("time"), Observed: r.int("observed"),
		Kind: r.str("kind"), Scope: r.str("scope"), Key: r.str("key"), Execution: r.str("execution"),
		Attempt: NoAttempt, Facet: r.str("facet"),
		Campaign: r.str("campaign"), WorkflowID: r.str("workflow_id"), WorkflowName: r.str("workflow_name"),
		WorkflowParentID: r.str("workflow_parent_id"), Activity: r.str("activity"),
		SubmittedAt: r.int("submitted_at"), StartedAt: r.int("started_at"), EndedAt: r.int("ended_at"),
		Used: r.mapping("used"), Generated: r.mapping("generated"), Custom: r.mapping("custom"),
		Environment: r.str("environment"), Stdout: r.str("stdout"), Stderr: r.str("stderr"),
		ObserverID: r.str("observer"), Seq: r.int("seq"),
		Attributes: r.mapping("attributes"), Resource: r.mapping("resource"),
	}
	if v, ok := m["attempt"]; ok && v != nil {
		e.Attempt = r.int("attempt")
	}
	if s := r.str("status"); s != "" {
		st, err := ParseStatus(s)
		if err != nil {
			return nil, err
		}
		e.Status = st
	}
	tel := wireReader{m: r.mapping("telemetry"), prefix: "telemetry."}
	e.TelemetryStart, e.TelemetryEnd, e.TelemetryPeak = tel.mapping("start"), tel.mapping("end"), tel.mapping("peak")
	if tel.err != nil && r.err == nil {
		r.err = tel.err
	}
	if v, ok := m["record"]; ok {
		e.Record = Normalize(v)
	}
	r.refs(e)
	for i, t := range r.list("tags") {
		s, ok := t.(string)
		if !ok {
			r.fail(fmt.Sprintf("tags[%d]", i), t, "a string")
			continue
		}
		e.Tags = append(e.Tags, s)
	}
	r.paths(e)
	r.claims(e)
	r.ids(e)
	if r.err != nil {
		return nil, r.err
	}
	if e.Name == "" {
		return nil, fmt.Errorf("event: missing; want a name such as %q", EventFinished)
	}
	return e, nil
}

type wireReader struct {
	m      map[string]any
	prefix string
	err    error
}

func (r *wireReader) fail(key string, v any, want string) {
	if r.err == nil {
		s := JSON(v)
		if len(s) > 80 {
			s = s[:80] + "…"
		}
		r.err = fmt.Errorf("%s%s: %s is not %s", r.prefix, key, s, want)
	}
}

func (r *wireReader) str(key string) string {
	switch v := r.m[key].(type) {
	case nil:
		return ""
	case string:
		s, _ := normalize(v, 0).(string)
		return s
	default:
		r.fail(key, Normalize(v), "a string")
		return ""
	}
}

func (r *wireReader) int(key string) int64 {
	v, ok := r.m[key]
	if !ok || v == nil {
		return 0
	}
	switch v := Normalize(v).(type) {
	case int64:
		return v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return int64(v)
		}
	}
	r.fail(key, Normalize(v), "an integer of 64 bits")
	return 0
}

func (r *wireReader) mapping(key string) map[string]any {
	v, ok := r.m[key]
	if !ok || v == nil {
		return nil
	}
	m, ok := Normalize(v).(map[string]any)
	if !ok {
		r.fail(key, Normalize(v), "a map")
		return nil
	}
	return m
}

func (r *wireReader) list(key string) []any {
	v, ok := r.m[key]
	if !ok || v == nil {
		return nil
	}
	l, ok := Normalize(v).([]any)
	if !ok {
		r.fail(key, Normalize(v), "a list")
		return nil
	}
	return l
}

func (r *wireReader) refs(e *Event) {
	if v, ok := r.m["parent"]; ok && v != nil {
		if ref, ok := r.ref("parent", v, e); ok {
			e.Parent = &ref
		}
	}
	if list := r.list("dependencies"); list != nil {
		e.Dependencies = make([]Ref, 0, len(list))
		for i, v := range list {
			if ref, ok := r.ref(fmt.Sprintf("dependencies[%d]", i), v, e); ok {
				e.Dependencies = append(e.Dependencies, ref)
			}
		}
	}
	if m := r.mapping("refs"); m != nil {
		e.Refs = make(map[string]string, len(m))
		for k, v := range m {
			s, ok := v.(string)
			if !ok {
				r.fail("refs."+k, v, "a string")
				continue
			}
			e.Refs[k] = s
		}
	}
}

func (r *wireReader) ref(key string, v any, e *Event) (Ref, bool) {
	switch v := Normalize(v).(type) {
	case string:
		return Ref{Kind: e.Kind, Scope: e.Scope, Key: v}, true
	case map[string]any:
		rr := wireReader{m: v, prefix: key + "."}
		ref := Ref{Kind: rr.str("kind"), Scope: rr.str("scope"), Key: rr.str("key")}
		if rr.err != nil || ref.Kind == "" || ref.Key == "" {
			r.fail(key, v, `{"kind", "scope", "key"}`)
			return Ref{}, false
		}
		return ref, true
	default:
		r.fail(key, v, `a key or {"kind", "scope", "key"}`)
		return Ref{}, false
	}
}

func (r *wireReader) paths(e *Event) {
	m := r.mapping("paths")
	if m == nil {
		return
	}
	e.Paths = make(map[string]PathInfo, len(m))
	for k, v := range m {
		pm, ok := v.(map[string]any)
		if !ok {
			r.fail("paths."+k, v, "a map")
			continue
		}
		pr := wireReader{m: pm, prefix: "paths." + k + "."}
		p := PathInfo{Real: pr.str("real"), FS: pr.str("fs"), Rel: pr.str("rel"), ModTime: pr.int("mtime"), Size: -1}
		if pm["size"] != nil {
			p.Size = pr.int("size")
		}
		if pr.err != nil {
			r.err = pr.err
			return
		}
		e.Paths[k] = p
	}
}

func (r *wireReader) claims(e *Event) {
	for i, v := range r.list("claims") {
		cm, ok := v.(map[string]any)
		if !ok {
			r.fail(fmt.Sprintf("claims[%d]", i), v, "a map")
			continue
		}
		cr := wireReader{m: cm, prefix: fmt.Sprintf("claims[%d].", i)}
		c := Claim{
			Role: Role(cr.str("role")), Entity: cr.str("entity"), Time: cr.int("time"), TimeSource: cr.str("time_source"),
			Evidence: cr.str("evidence"), Field: cr.str("field"), Label: cr.str("label"),
		}
		switch f := cm["confidence"].(type) {
		case float64:
			c.Confidence = f
		case int64:
			c.Confidence = float64(f)
		}
		if cr.err != nil {
			r.err = cr.err
			return
		}
		if c.Entity == "" || (c.Role != Used && c.Role != Generated) {
			r.fail(fmt.Sprintf("claims[%d]", i), v, `a claim with an entity and the role "used" or "generated"`)
			return
		}
		e.Claims = append(e.Claims, c)
	}
}

func (r *wireReader) ids(e *Event) {
	if s := r.str("trace_id"); s != "" {
		if n, err := hex.Decode(e.TraceID[:], []byte(capString(s, 32))); err != nil || n != 16 || len(s) != 32 {
			r.fail("trace_id", s, "32 hex digits")
		}
	}
	if s := r.str("span_id"); s != "" {
		if n, err := hex.Decode(e.SpanID[:], []byte(capString(s, 16))); err != nil || n != 8 || len(s) != 16 {
			r.fail("span_id", s, "16 hex digits")
		}
	}
}

func capString(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
