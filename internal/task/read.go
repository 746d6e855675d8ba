package task

import (
	"encoding/hex"
	"fmt"
	"math"
	"unicode/utf8"
)

// FromWire reads an event from a map of docs/journal.md. Values are normalised in place. Unknown keys are ignored, so
// that an older reader reads a newer writer of the same version. A key of the wrong type is an error that names it.
func FromWire(m map[string]any) (*Event, error) { return read(m, nil, false) }

// FromDecoded is FromWire for a map whose values are in the package's set already, as a decoder of this project returns
// them. What it lacks is taken from defaults, whose containers all events that lack them share.
func FromDecoded(m, defaults map[string]any) (*Event, error) { return read(m, defaults, true) }

func read(m, defaults map[string]any, clean bool) (*Event, error) {
	r := wireReader{clean: clean}
	e := &Event{Attempt: NoAttempt}
	for k, v := range m {
		r.set(e, k, v)
	}
	for k, v := range defaults {
		if _, ok := m[k]; !ok {
			r.set(e, k, v)
		}
	}
	r.refs(e)
	if r.err != nil {
		return nil, r.err
	}
	if e.Name == "" {
		return nil, fmt.Errorf("event: missing; want a name such as %q", EventFinished)
	}
	return e, nil
}

// textField is the field of a key whose value is a string.
func (e *Event) textField(key string) *string {
	switch key {
	case "event":
		return &e.Name
	case "kind":
		return &e.Kind
	case "scope":
		return &e.Scope
	case "key":
		return &e.Key
	case "execution":
		return &e.Execution
	case "facet":
		return &e.Facet
	case "campaign":
		return &e.Campaign
	case "workflow_id":
		return &e.WorkflowID
	case "workflow_name":
		return &e.WorkflowName
	case "workflow_parent_id":
		return &e.WorkflowParentID
	case "activity":
		return &e.Activity
	case "environment":
		return &e.Environment
	case "stdout":
		return &e.Stdout
	case "stderr":
		return &e.Stderr
	case "observer":
		return &e.ObserverID
	}
	return nil
}

// intField is the field of a key whose value is an integer.
func (e *Event) intField(key string) *int64 {
	switch key {
	case "time":
		return &e.Time
	case "observed":
		return &e.Observed
	case "attempt":
		return &e.Attempt
	case "submitted_at":
		return &e.SubmittedAt
	case "started_at":
		return &e.StartedAt
	case "ended_at":
		return &e.EndedAt
	case "seq":
		return &e.Seq
	}
	return nil
}

// mapField is the field of a key whose value is a map.
func (e *Event) mapField(key string) *map[string]any {
	switch key {
	case "used":
		return &e.Used
	case "generated":
		return &e.Generated
	case "custom":
		return &e.Custom
	case "attributes":
		return &e.Attributes
	case "resource":
		return &e.Resource
	}
	return nil
}

type wireReader struct {
	clean bool // values are in the package's set
	err   error
	// References can name a key of the event's own kind and scope, so they are read last.
	parent, dependencies any
}

// set reads one key. A value that is null says nothing.
func (r *wireReader) set(e *Event, key string, v any) {
	if v == nil {
		return
	}
	if dst := e.textField(key); dst != nil {
		*dst = r.str(key, v)
		return
	}
	if dst := e.intField(key); dst != nil {
		*dst = r.int(key, v)
		return
	}
	if dst := e.mapField(key); dst != nil {
		*dst = r.mapping(key, v)
		return
	}
	switch key {
	case "status":
		if s := r.str(key, v); s != "" {
			var err error
			if e.Status, err = ParseStatus(s); err != nil && r.err == nil {
				r.err = err
			}
		}
	case "telemetry":
		tel := wireReader{clean: r.clean}
		m := r.mapping(key, v)
		e.TelemetryStart, e.TelemetryEnd = tel.mapping("start", m["start"]), tel.mapping("end", m["end"])
		e.TelemetryPeak, e.TelemetryDelta = tel.mapping("peak", m["peak"]), tel.mapping("delta", m["delta"])
		e.TelemetryCoverage = tel.mapping("coverage", m["coverage"])
		r.adopt("telemetry.", &tel)
	case "record":
		e.Record = r.value(v)
	case "parent":
		r.parent = v
	case "dependencies":
		r.dependencies = v
	case "refs":
		r.refKeys(e, v)
	case "tags":
		tags := r.list(key, v)
		if tags != nil {
			e.Tags = make([]string, 0, len(tags)) // none is not the same as unknown
		}
		for i, t := range tags {
			s, ok := t.(string)
			if !ok {
				r.fail(fmt.Sprintf("tags[%d]", i), t, "a string")
				continue
			}
			e.Tags = append(e.Tags, s)
		}
	case "paths":
		r.paths(e, v)
	case "claims":
		r.claims(e, v)
	case "trace_id":
		r.hex(key, v, e.TraceID[:])
	case "span_id":
		r.hex(key, v, e.SpanID[:])
	}
}

// adopt takes over the fault of a reader of something inside.
func (r *wireReader) adopt(prefix string, inner *wireReader) {
	if r.err == nil && inner.err != nil {
		r.err = fmt.Errorf("%s%w", prefix, inner.err)
	}
}

func (r *wireReader) fail(key string, v any, want string) {
	if r.err == nil {
		s := JSON(v)
		if len(s) > 80 {
			s = s[:80] + "…"
		}
		r.err = fmt.Errorf("%s: %s is not %s", key, s, want)
	}
}

func (r *wireReader) value(v any) any {
	if r.clean {
		return v
	}
	return Normalize(v)
}

func (r *wireReader) str(key string, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if r.clean {
			return v
		}
		return ValidText(v)
	default:
		r.fail(key, Normalize(v), "a string")
		return ""
	}
}

// ValidText puts U+FFFD in the place of each invalid byte, as AppendJSON does.
func ValidText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func (r *wireReader) int(key string, v any) int64 {
	switch v := Normalize(v).(type) {
	case nil:
		return 0
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

func (r *wireReader) mapping(key string, v any) map[string]any {
	if v == nil {
		return nil
	}
	m, ok := r.value(v).(map[string]any)
	if !ok {
		r.fail(key, Normalize(v), "a map")
		return nil
	}
	return m
}

func (r *wireReader) list(key string, v any) []any {
	if v == nil {
		return nil
	}
	l, ok := r.value(v).([]any)
	if !ok {
		r.fail(key, Normalize(v), "a list")
		return nil
	}
	return l
}

// refs reads the references that were kept for the end.
func (r *wireReader) refs(e *Event) {
	if v := r.parent; v != nil {
		if ref, ok := r.ref(v, e); ok {
			e.Parent = &ref
		} else {
			r.fail("parent", v, wantRef)
		}
	}
	if list := r.list("dependencies", r.dependencies); list != nil {
		e.Dependencies = make([]Ref, 0, len(list))
		for i, v := range list {
			if ref, ok := r.ref(v, e); ok {
				e.Dependencies = append(e.Dependencies, ref)
			} else {
				r.fail(fmt.Sprintf("dependencies[%d]", i), v, wantRef)
			}
		}
	}
}

func (r *wireReader) refKeys(e *Event, v any) {
	m := r.mapping("refs", v)
	if m == nil {
		return
	}
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

const wantRef = `a key or {"kind", "scope", "key"}`

func (r *wireReader) ref(v any, e *Event) (Ref, bool) {
	switch v := r.value(v).(type) {
	case string:
		return Ref{Kind: e.Kind, Scope: e.Scope, Key: v}, true
	case map[string]any:
		rr := wireReader{clean: true}
		ref := Ref{Kind: rr.str("kind", v["kind"]), Scope: rr.str("scope", v["scope"]), Key: rr.str("key", v["key"])}
		return ref, rr.err == nil && ref.Kind != "" && ref.Key != ""
	}
	return Ref{}, false
}

func (r *wireReader) paths(e *Event, v any) {
	m := r.mapping("paths", v)
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
		pr := wireReader{clean: true}
		p := PathInfo{
			Real: pr.str("real", pm["real"]), FS: pr.str("fs", pm["fs"]), Rel: pr.str("rel", pm["rel"]),
			ModTime: pr.int("mtime", pm["mtime"]), Size: -1,
		}
		if pm["size"] != nil {
			p.Size = pr.int("size", pm["size"])
		}
		if pr.err != nil {
			r.adopt("paths."+k+".", &pr)
		}
		e.Paths[k] = p
	}
}

func (r *wireReader) claims(e *Event, v any) {
	for i, v := range r.list("claims", v) {
		cm, ok := v.(map[string]any)
		if !ok {
			r.fail(fmt.Sprintf("claims[%d]", i), v, "a map")
			continue
		}
		cr := wireReader{clean: true}
		c := Claim{
			Role: Role(cr.str("role", cm["role"])), Entity: cr.str("entity", cm["entity"]), Time: cr.int("time", cm["time"]),
			TimeSource: cr.str("time_source", cm["time_source"]), Evidence: cr.str("evidence", cm["evidence"]),
			Field: cr.str("field", cm["field"]), Label: cr.str("label", cm["label"]),
		}
		switch f := cm["confidence"].(type) {
		case float64:
			c.Confidence = f
		case int64:
			c.Confidence = float64(f)
		}
		if cr.err != nil {
			r.adopt(fmt.Sprintf("claims[%d].", i), &cr)
		}
		if c.Entity == "" || (c.Role != Used && c.Role != Generated) {
			r.fail(fmt.Sprintf("claims[%d]", i), v, `a claim with an entity and the role "used" or "generated"`)
			return
		}
		e.Claims = append(e.Claims, c)
	}
}

func (r *wireReader) hex(key string, v any, dst []byte) {
	s := r.str(key, v)
	if s == "" {
		return
	}
	if len(s) != 2*len(dst) {
		r.fail(key, s, fmt.Sprintf("%d hex digits", 2*len(dst)))
		return
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		r.fail(key, s, fmt.Sprintf("%d hex digits", 2*len(dst)))
	}
}
