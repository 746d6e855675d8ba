package task

import (
	"strings"
)

// Document is what people see of a task: a projection of its highest attempt.
type Document struct {
	ID, TaskID, Kind, Scope, Execution string
	TraceID                            [16]byte
	SpanID                             [8]byte

	CampaignID, WorkflowID, WorkflowName, WorkflowParentID, ActivityID string

	Status   Status
	Attempt  int64 // 1…n; 0 when the tool has no attempts
	Attempts []AttemptSummary

	SubmittedAt, StartedAt, EndedAt int64 // unix ns, 0 = unknown

	Used, Generated map[string]any
	Refs            map[string]string

	TelemetryStart, TelemetryEnd, TelemetryPeak, TelemetryDelta, TelemetryCoverage map[string]any

	Environment      string // digest
	Host, User, Site string
	Job              map[string]any
	Error            map[string]any // type, message, stacktrace
	Stdout, Stderr   string
	Tags             []string
	Custom           map[string]any
	Attributes       map[string]any

	Parent       string   // id
	Dependencies []string // ids
	Observers    []string
}

// AttemptSummary is an earlier attempt of a task.
type AttemptSummary struct {
	Attempt            int64 // 1…n
	Status             Status
	StartedAt, EndedAt int64
	Host               string
	Error              map[string]any
}

// Project makes the document of a state: submitted and started are the earliest, ended the latest, status the highest
// rank over the facets of the highest attempt and of the task itself; used, generated and the other maps are the union
// of the facets' leaves by full path, on conflict the higher stamp; what people said (facets "people" and "people/<id>") wins over all others.
func Project(s *State) *Document {
	numbers := s.AttemptNumbers()
	snaps := s.snapshots(NoAttempt)
	d := &Document{}
	if n := len(numbers); n > 0 {
		d.Attempt = int64(n)
		snaps = append(snaps, s.snapshots(numbers[n-1])...)
		for i, a := range numbers[:n-1] {
			d.Attempts = append(d.Attempts, summarise(int64(i+1), s.snapshots(a)))
		}
	}
	sortSnapshots(snaps)
	var people []*Snapshot
	for _, n := range snaps {
		if ofPeople(n.Event.Facet) {
			people = append(people, n)
			continue
		}
		d.add(n.Event)
	}
	d.said(people)
	d.derive()
	return d
}

func summarise(number int64, snaps []*Snapshot) AttemptSummary {
	d := &Document{}
	for _, n := range snaps {
		d.add(n.Event)
	}
	d.derive()
	return AttemptSummary{
		Attempt: number, Status: d.Status, StartedAt: d.StartedAt, EndedAt: d.EndedAt, Host: d.Host, Error: d.Error,
	}
}

// add lays one snapshot over the document; snapshots come in the order of their stamps.
func (d *Document) add(e *Event) {
	if d.ID == "" {
		d.ID, d.TaskID, d.Kind, d.Scope = e.ID(), e.Key, e.Kind, e.Scope
		d.TraceID, d.SpanID = e.Trace(), e.Span()
	}
	if e.Execution != "" && d.Execution == "" || e.TraceID != [16]byte{} {
		d.TraceID = e.Trace()
	}
	if e.SpanID != [8]byte{} {
		d.SpanID = e.SpanID
	}
	set(&d.Execution, e.Execution)
	set(&d.CampaignID, e.Campaign)
	if e.WorkflowID != "" {
		d.WorkflowID, d.WorkflowName, d.WorkflowParentID = e.WorkflowID, e.WorkflowName, e.WorkflowParentID
	} else {
		set(&d.WorkflowName, e.WorkflowName)
		set(&d.WorkflowParentID, e.WorkflowParentID)
	}
	set(&d.ActivityID, e.Activity)
	if e.Status > d.Status {
		d.Status = e.Status
	}
	earliest(&d.SubmittedAt, e.SubmittedAt)
	earliest(&d.StartedAt, e.StartedAt)
	if e.EndedAt > d.EndedAt {
		d.EndedAt = e.EndedAt
	}
	d.Used = overlay(d.Used, e.Used)
	d.Generated = overlay(d.Generated, e.Generated)
	for k, v := range e.Refs {
		if d.Refs == nil {
			d.Refs = make(map[string]string, len(e.Refs))
		}
		d.Refs[k] = v
	}
	d.TelemetryStart = overlay(d.TelemetryStart, e.TelemetryStart)
	d.TelemetryEnd = overlay(d.TelemetryEnd, e.TelemetryEnd)
	d.TelemetryPeak = overlay(d.TelemetryPeak, e.TelemetryPeak)
	d.TelemetryDelta = overlay(d.TelemetryDelta, e.TelemetryDelta)
	d.TelemetryCoverage = overlay(d.TelemetryCoverage, e.TelemetryCoverage)
	set(&d.Environment, e.Environment)
	set(&d.Stdout, e.Stdout)
	set(&d.Stderr, e.Stderr)
	if e.Tags != nil {
		d.Tags = e.Tags
	}
	d.Custom = overlay(d.Custom, e.Custom)
	d.Attributes = overlay(d.Attributes, e.Attributes)
	d.Attributes = overlay(d.Attributes, e.Resource)
	if e.Parent != nil {
		d.Parent = e.Parent.ID()
	}
	if e.Dependencies != nil {
		ids := make([]string, len(e.Dependencies))
		for i, r := range e.Dependencies {
			ids[i] = r.ID()
		}
		d.Dependencies = ids
	}
	if e.ObserverID != "" && !contains(d.Observers, e.ObserverID) {
		d.Observers = append(d.Observers, e.ObserverID)
	}
}

func set(dst *string, v string) {
	if v != "" {
		*dst = v
	}
}

func earliest(dst *int64, v int64) {
	if v != 0 && (*dst == 0 || v < *dst) {
		*dst = v
	}
}

func contains(l []string, s string) bool {
	for _, e := range l {
		if e == s {
			return true
		}
	}
	return false
}

// overlay returns the union of the leaves of both maps; on conflict top wins. Neither is changed. Lists are values.
func overlay(base, top map[string]any) map[string]any {
	if len(top) == 0 {
		if base == nil {
			return top
		}
		return base
	}
	if len(base) == 0 {
		return top
	}
	out := make(map[string]any, len(base)+len(top))
	for k, v := range base {
		out[k] = v
	}
	for k, v := range top {
		if tm, ok := v.(map[string]any); ok && !IsMarker(tm) {
			if bm, ok := out[k].(map[string]any); ok && !IsMarker(bm) {
				out[k] = overlay(bm, tm)
				continue
			}
		}
		out[k] = v
	}
	return out
}

// IsMarker says whether a map is an encoded value, such as {"$cut":…}, rather than a map of the user.
func IsMarker(m map[string]any) bool {
	if len(m) != 1 {
		return false
	}
	for k := range m {
		return strings.HasPrefix(k, "$")
	}
	return false
}

// derive fills the fields that are views of attributes.
func (d *Document) derive() {
	d.Host = attrString(d.Attributes, "host.name")
	d.User = attrString(d.Attributes, "user.name")
	d.Site = attrString(d.Attributes, AttrSite)
	errType, excType := attrString(d.Attributes, "error.type"), attrString(d.Attributes, "exception.type")
	if errType == "" {
		errType = excType
	}
	msg, stack := attrString(d.Attributes, "exception.message"), attrString(d.Attributes, "exception.stacktrace")
	// Tools say the same in many words. The class of the exception stays among the attributes.
	cause, evidence := attrString(d.Attributes, AttrCause), attrString(d.Attributes, AttrEvidence)
	if cause == "" {
		cause, evidence = CauseOf(errType, msg), ""
	}
	set(&errType, cause)
	if errType != "" || msg != "" || stack != "" {
		d.Error = map[string]any{}
		putString(d.Error, "type", errType)
		putString(d.Error, "message", msg)
		putString(d.Error, "evidence", evidence)
		putString(d.Error, "stacktrace", stack)
	}
	for k, v := range d.Attributes {
		if name, ok := strings.CutPrefix(k, AttrJobPrefix); ok {
			if d.Job == nil {
				d.Job = map[string]any{}
			}
			d.Job[name] = v
		}
	}
}

func attrString(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

// Map is the document in its stored form (docs/data-model.md): times in unix ns, absent values left out.
func (d *Document) Map() map[string]any {
	m := map[string]any{"id": d.ID, "task_id": d.TaskID, "kind": d.Kind, "status": d.Status.String()}
	putString(m, "scope", d.Scope)
	putString(m, "execution", d.Execution)
	putString(m, "campaign_id", d.CampaignID)
	putString(m, "workflow_id", d.WorkflowID)
	putString(m, "workflow_name", d.WorkflowName)
	putString(m, "workflow_parent_id", d.WorkflowParentID)
	putString(m, "activity_id", d.ActivityID)
	putInt(m, "attempt", d.Attempt)
	putInt(m, "submitted_at", d.SubmittedAt)
	putInt(m, "started_at", d.StartedAt)
	putInt(m, "ended_at", d.EndedAt)
	putMap(m, "used", d.Used)
	putMap(m, "generated", d.Generated)
	if len(d.Refs) > 0 {
		refs := make(map[string]any, len(d.Refs))
		for k, v := range d.Refs {
			refs[k] = v
		}
		m["refs"] = refs
	}
	putMap(m, "telemetry_start", d.TelemetryStart)
	putMap(m, "telemetry_end", d.TelemetryEnd)
	putMap(m, "telemetry_peak", d.TelemetryPeak)
	putMap(m, "telemetry_delta", d.TelemetryDelta)
	putMap(m, "telemetry_coverage", d.TelemetryCoverage)
	putString(m, "environment", d.Environment)
	putString(m, "host", d.Host)
	putString(m, "user", d.User)
	putString(m, "site", d.Site)
	putMap(m, "job", d.Job)
	putMap(m, "error", d.Error)
	putString(m, "stdout", d.Stdout)
	putString(m, "stderr", d.Stderr)
	if len(d.Tags) > 0 {
		m["tags"] = stringList(d.Tags)
	}
	putMap(m, "custom", d.Custom)
	putMap(m, "attributes", d.Attributes)
	putString(m, "parent", d.Parent)
	if len(d.Dependencies) > 0 {
		m["dependencies"] = stringList(d.Dependencies)
	}
	if len(d.Attempts) > 0 {
		list := make([]any, len(d.Attempts))
		for i, a := range d.Attempts {
			am := map[string]any{"attempt": a.Attempt, "status": a.Status.String()}
			putInt(am, "started_at", a.StartedAt)
			putInt(am, "ended_at", a.EndedAt)
			putString(am, "host", a.Host)
			putMap(am, "error", a.Error)
			list[i] = am
		}
		m["attempts"] = list
	}
	if len(d.Observers) > 0 {
		m["observers"] = stringList(d.Observers)
	}
	return m
}

func stringList(l []string) []any {
	out := make([]any, len(l))
	for i, s := range l {
		out[i] = s
	}
	return out
}

// Leaves returns the leaves of nested values by their path joined with ".": scalars, lists and markers are leaves; maps
// inside a list contribute their fields to the list's path, as in a search engine. A leaf of several values is a []any.
// {"$map":…} is looked through; an empty map is a leaf.
func Leaves(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	collect(out, "", m, false)
	return out
}

func collect(out map[string]any, path string, v any, inList bool) {
	switch v := v.(type) {
	case map[string]any:
		if inner, ok := v[KeyMap].(map[string]any); ok && len(v) == 1 {
			v = inner
		} else if path != "" && (len(v) == 0 || IsMarker(v)) {
			addLeaf(out, path, v, inList)
			return
		}
		for _, k := range sortedKeys(v) { // paths may meet: {"a.b":…, "a":{"b":…}}
			p := k
			if path != "" {
				p = path + "." + k
			}
			collect(out, p, v[k], inList)
		}
	case []any:
		if len(v) == 0 || !inList && !hasMap(v) {
			addLeaf(out, path, v, inList && len(v) > 0)
			return
		}
		for _, e := range v {
			collect(out, path, e, true)
		}
	default:
		addLeaf(out, path, v, inList)
	}
}

func hasMap(l []any) bool {
	for _, e := range l {
		switch e := e.(type) {
		case map[string]any:
			if !IsMarker(e) {
				return true
			}
		case []any:
			return true
		}
	}
	return false
}

func addLeaf(out map[string]any, path string, v any, multi bool) {
	old, exists := out[path]
	switch {
	case !exists && !multi:
		out[path] = v
	case !exists:
		out[path] = []any{v}
	default:
		list, ok := old.([]any)
		if !ok {
			list = []any{old}
		}
		out[path] = append(list[:len(list):len(list)], v)
	}
}
