package task

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// ScopeName is the instrumentation scope of the records that ToLogs makes.
const ScopeName = "github.com/otelcol-mida/otelcol-mida"

// ToLogs encodes events as log records, grouped by resource in the order of their first event.
func ToLogs(events []*Event) plog.Logs {
	logs := plog.NewLogs()
	groups := map[string]plog.LogRecordSlice{}
	// Events of one observer share their resource: one map, which need not be looked at again for each of them.
	byMap := map[uintptr]plog.LogRecordSlice{}
	var known traces
	for _, e := range events {
		id := reflect.ValueOf(e.Resource).Pointer()
		records, ok := byMap[id]
		if !ok {
			records = group(logs, groups, e.Resource)
			byMap[id] = records
		}
		e.toRecord(records.AppendEmpty(), known.of(e))
	}
	return logs
}

// group returns the records of a resource.
func group(logs plog.Logs, groups map[string]plog.LogRecordSlice, resource map[string]any) plog.LogRecordSlice {
	key := ""
	if len(resource) > 0 {
		key = JSON(resource)
	}
	records, ok := groups[key]
	if !ok {
		rl := logs.ResourceLogs().AppendEmpty()
		putAll(rl.Resource().Attributes(), resource)
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName(ScopeName)
		records = sl.LogRecords()
		groups[key] = records
	}
	return records
}

// traces remembers the last trace id that was derived: most events of a batch share one.
type traces struct {
	kind, execution string
	id              [16]byte
}

func (t *traces) of(e *Event) [16]byte {
	if e.TraceID != [16]byte{} || e.Kind == "" {
		return e.TraceID
	}
	if kind, execution := e.Kind, e.execution(); kind != t.kind || execution != t.execution {
		*t = traces{kind: kind, execution: execution, id: TraceID(kind, execution)}
	}
	return t.id
}

func putAll(dst pcommon.Map, m map[string]any) {
	var few [24]string // spares most maps a slice of their own
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		putValue(dst.PutEmpty(k), m[k])
	}
}

func putValue(dst pcommon.Value, v any) {
	switch v := v.(type) {
	case nil:
	case bool:
		dst.SetBool(v)
	case int64:
		dst.SetInt(v)
	case float64:
		dst.SetDouble(v)
	case string:
		dst.SetStr(v)
	case []byte:
		dst.SetEmptyBytes().FromRaw(v)
	case []any:
		l := dst.SetEmptySlice()
		l.EnsureCapacity(len(v))
		for _, e := range v {
			putValue(l.AppendEmpty(), e)
		}
	case map[string]any:
		m := dst.SetEmptyMap()
		m.EnsureCapacity(len(v))
		putAll(m, v)
	default:
		putValue(dst, Normalize(v))
	}
}

// AppendTo encodes the event at the end of records, under their resource.
func (e *Event) AppendTo(records plog.LogRecordSlice) {
	e.toRecord(records.AppendEmpty(), new(traces).of(e))
}

func (e *Event) toRecord(r plog.LogRecord, trace [16]byte) {
	r.SetEventName(e.Name)
	r.SetTimestamp(pcommon.Timestamp(e.Time))
	r.SetObservedTimestamp(pcommon.Timestamp(e.Observed))
	if e.Kind != "" {
		r.SetTraceID(trace)
		if e.Key != "" {
			r.SetSpanID(e.Span())
		}
	}
	if e.Status == StatusFailed {
		r.SetSeverityNumber(plog.SeverityNumberError)
	} else {
		r.SetSeverityNumber(plog.SeverityNumberInfo)
	}
	a := r.Attributes()
	a.EnsureCapacity(20 + len(e.Attributes))
	attrString := func(k, v string) {
		if v != "" {
			a.PutStr(k, v)
		}
	}
	attrInt := func(k string, v int64) {
		if v != 0 {
			a.PutInt(k, v)
		}
	}
	attrMap := func(k string, v map[string]any) {
		if v != nil {
			putValue(a.PutEmpty(k), v)
		}
	}
	attrString(AttrKind, e.Kind)
	attrString(AttrScope, e.Scope)
	attrString(AttrKey, e.Key)
	attrString(AttrExecution, e.Execution)
	if e.Attempt != NoAttempt {
		a.PutInt(AttrAttempt, e.Attempt)
	}
	attrString(AttrFacet, e.Facet)
	if e.Status != StatusUnknown {
		a.PutStr(AttrStatus, e.Status.String())
	}
	attrString(AttrCampaign, e.Campaign)
	attrString(AttrWorkflowID, e.WorkflowID)
	attrString(AttrWorkflowName, e.WorkflowName)
	attrString(AttrWorkflowParentID, e.WorkflowParentID)
	attrString(AttrActivity, e.Activity)
	attrInt(AttrSubmittedAt, e.SubmittedAt)
	attrInt(AttrStartedAt, e.StartedAt)
	attrInt(AttrEndedAt, e.EndedAt)
	if e.Parent != nil {
		putValue(a.PutEmpty(AttrParent), refToWire(*e.Parent, e))
	}
	if e.Dependencies != nil {
		l := a.PutEmptySlice(AttrDependencies)
		for _, d := range e.Dependencies {
			putValue(l.AppendEmpty(), refToWire(d, e))
		}
	}
	if e.Refs != nil {
		m := a.PutEmptyMap(AttrRefs)
		for _, k := range sortedKeys(e.Refs) {
			m.PutStr(k, e.Refs[k])
		}
	}
	if e.Paths != nil {
		putPaths(a.PutEmptyMap(AttrPaths), e.Paths)
	}
	attrMap(AttrUsed, e.Used)
	attrMap(AttrGenerated, e.Generated)
	attrMap(AttrTelemetryStart, e.TelemetryStart)
	attrMap(AttrTelemetryEnd, e.TelemetryEnd)
	attrMap(AttrTelemetryPeak, e.TelemetryPeak)
	attrMap(AttrTelemetryDelta, e.TelemetryDelta)
	attrMap(AttrTelemetryCover, e.TelemetryCoverage)
	attrString(AttrEnvironment, e.Environment)
	attrString(AttrStdout, e.Stdout)
	attrString(AttrStderr, e.Stderr)
	if e.Tags != nil {
		l := a.PutEmptySlice(AttrTags)
		for _, t := range e.Tags {
			l.AppendEmpty().SetStr(t)
		}
	}
	attrMap(AttrCustom, e.Custom)
	if e.Claims != nil {
		putClaims(a.PutEmptySlice(AttrClaims), e.Claims)
	}
	attrString(AttrObserverID, e.ObserverID)
	attrInt(AttrObserverSeq, e.Seq)
	putAll(a, e.Attributes)
	if e.Record != nil {
		putValue(r.Body(), e.Record)
	}
}

// recordKeys maps attribute names to the keys of the wire form.
var recordKeys = map[string]string{
	AttrKind: "kind", AttrScope: "scope", AttrKey: "key", AttrExecution: "execution", AttrAttempt: "attempt",
	AttrFacet: "facet", AttrStatus: "status", AttrCampaign: "campaign", AttrWorkflowID: "workflow_id",
	AttrWorkflowName: "workflow_name", AttrWorkflowParentID: "workflow_parent_id", AttrActivity: "activity",
	AttrSubmittedAt: "submitted_at", AttrStartedAt: "started_at", AttrEndedAt: "ended_at", AttrParent: "parent",
	AttrDependencies: "dependencies", AttrRefs: "refs", AttrPaths: "paths", AttrUsed: "used", AttrGenerated: "generated",
	AttrEnvironment: "environment", AttrClaims: "claims", AttrStdout: "stdout", AttrStderr: "stderr", AttrTags: "tags",
	AttrCustom: "custom", AttrObserverID: "observer", AttrObserverSeq: "seq",
}

// ErrNotTaskEvent is the error of FromRecord for a record whose event name is none of ours.
var ErrNotTaskEvent = errors.New("not a task event")

// FromRecord decodes one log record. Resource attributes go to Event.Resource, attributes that are not ours to
// Event.Attributes. Trace and span id are kept only when they are not the derived ones.
func FromRecord(r plog.LogRecord, resource map[string]any) (*Event, error) {
	return fromRecord(r, resource, new(traces), true)
}

func fromRecord(r plog.LogRecord, resource map[string]any, known *traces, paths bool) (*Event, error) {
	e, err := decode(r, resource, nil, paths)
	if err != nil {
		return nil, err
	}
	if id := r.TraceID(); !id.IsEmpty() && [16]byte(id) != known.of(e) {
		e.TraceID = id
	}
	if id := r.SpanID(); !id.IsEmpty() && [8]byte(id) != e.Span() {
		e.SpanID = id
	}
	return e, nil
}

// FromRecordPart decodes only the attributes that only names, and no ids of trace and span: for who needs to look at a part of
// every record.
func FromRecordPart(r plog.LogRecord, resource map[string]any, only map[string]bool) (*Event, error) {
	return decode(r, resource, only, true)
}

// decode decodes all attributes, or those in only; paths only if asked for.
func decode(r plog.LogRecord, resource map[string]any, only map[string]bool, paths bool) (*Event, error) {
	name := r.EventName()
	if !strings.HasPrefix(name, "mida.") {
		return nil, fmt.Errorf("%w: event name %q", ErrNotTaskEvent, name)
	}
	e := &Event{
		Name: ValidText(name), Time: int64(r.Timestamp()), Observed: int64(r.ObservedTimestamp()), Attempt: NoAttempt, Resource: resource,
	}
	w := wireReader{clean: true}
	for k, v := range r.Attributes().All() {
		if only != nil && !only[k] || !paths && k == AttrPaths {
			continue
		}
		if k == AttrClaims && e.takeClaims(v) {
			continue
		}
		key, ours := "", false
		if strings.HasPrefix(k, "mida.") {
			key, ours = recordKeys[k]
		}
		if ours {
			w.set(e, key, fromValue(v, 0))
		} else if dst := e.telemetryField(k); dst != nil {
			*dst = w.mapping(k, fromValue(v, 0))
		} else {
			putIn(&e.Attributes, ValidText(k), fromValue(v, 1))
		}
	}
	if only == nil && r.Body().Type() != pcommon.ValueTypeEmpty {
		e.Record = fromValue(r.Body(), 0)
	}
	w.refs(e)
	if w.err != nil {
		return nil, fmt.Errorf("event %q of task %q: %w", name, e.Key, w.err)
	}
	return e, nil
}

func (e *Event) telemetryField(attribute string) *map[string]any {
	switch attribute {
	case AttrTelemetryStart:
		return &e.TelemetryStart
	case AttrTelemetryEnd:
		return &e.TelemetryEnd
	case AttrTelemetryPeak:
		return &e.TelemetryPeak
	case AttrTelemetryDelta:
		return &e.TelemetryDelta
	case AttrTelemetryCover:
		return &e.TelemetryCoverage
	}
	return nil
}

// fromValue is Normalize of v.AsRaw, in one pass.
func fromValue(v pcommon.Value, depth int) any {
	if depth >= valueDepth {
		return normalize(v.AsRaw(), depth)
	}
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return ValidText(v.Str())
	case pcommon.ValueTypeInt:
		return v.Int()
	case pcommon.ValueTypeDouble:
		return v.Double()
	case pcommon.ValueTypeBool:
		return v.Bool()
	case pcommon.ValueTypeMap:
		m := make(map[string]any, v.Map().Len())
		for k, v := range v.Map().All() {
			m[ValidText(k)] = fromValue(v, depth+1)
		}
		return m
	case pcommon.ValueTypeSlice:
		l := make([]any, v.Slice().Len())
		for i, v := range v.Slice().All() {
			l[i] = fromValue(v, depth+1)
		}
		return l
	default:
		return normalize(v.AsRaw(), depth)
	}
}

// Rejected is a record that could not be decoded, with the resource it came from and the reason.
type Rejected struct {
	Record   plog.LogRecord
	Resource pcommon.Resource
	Err      error
}

// FromLogs decodes all records; those that are no task events, or broken, come back with their reason and stop nothing.
func FromLogs(logs plog.Logs) ([]*Event, []Rejected) { return fromLogs(logs, true) }

// FromLogsWithoutPaths is FromLogs for who wants the claims that were made of paths, and not the paths.
func FromLogsWithoutPaths(logs plog.Logs) ([]*Event, []Rejected) { return fromLogs(logs, false) }

func fromLogs(logs plog.Logs, paths bool) ([]*Event, []Rejected) {
	events := make([]*Event, 0, logs.LogRecordCount())
	var rejected []Rejected
	var known traces
	for _, rl := range logs.ResourceLogs().All() {
		var resource map[string]any
		if rl.Resource().Attributes().Len() > 0 {
			resource, _ = Normalize(rl.Resource().Attributes().AsRaw()).(map[string]any)
		}
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				e, err := fromRecord(r, resource, &known, paths)
				if err != nil {
					rejected = append(rejected, Rejected{Record: r, Resource: rl.Resource(), Err: err})
					continue
				}
				events = append(events, e)
			}
		}
	}
	return events, rejected
}
