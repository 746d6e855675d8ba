package task

import "sort"

// Event names. An event is one change of a task, a workflow, an entity or an observer.
const (
	EventSubmitted        = "mida.task.submitted"
	EventStarted          = "mida.task.started"
	EventProgress         = "mida.task.progress"
	EventFinished         = "mida.task.finished"
	EventFailed           = "mida.task.failed"
	EventCancelled        = "mida.task.cancelled"
	EventWorkflowStarted  = "mida.workflow.started"
	EventWorkflowFinished = "mida.workflow.finished"
	EventEntity           = "mida.entity.observed"
	EventEnvironment      = "mida.environment.observed"
	EventCheckpoint       = "mida.observer.checkpoint"
)

// EventForStatus is the event name that reports a task status.
func EventForStatus(s Status) string {
	switch s {
	case StatusSubmitted:
		return EventSubmitted
	case StatusRunning:
		return EventStarted
	case StatusFinished:
		return EventFinished
	case StatusFailed:
		return EventFailed
	case StatusCancelled:
		return EventCancelled
	default:
		return EventProgress
	}
}

// FacetPeople holds what people decided, such as the campaign; annotations are in facets of their own below it. It wins over
// every other facet.
const FacetPeople = "people"

// NoAttempt is the Attempt of an event that is about the task itself.
const NoAttempt int64 = -1

// Event is a snapshot: all that one observer knows so far about one facet of one attempt of a task. Zero values say
// nothing. Times are unix nanoseconds. Maps hold the package's set of values.
type Event struct {
	Name     string
	Time     int64 // when the fact happened, in the clock of the source; the stamp's first part; see When
	Observed int64 // when it was seen

	Kind, Scope, Key string // identity, see Ref
	Execution        string // what shares a trace; Scope if empty
	Attempt          int64  // NoAttempt, or any growing number of the tool
	Facet            string
	Status           Status

	Campaign         string
	WorkflowID       string
	WorkflowName     string
	WorkflowParentID string
	Activity         string

	SubmittedAt, StartedAt, EndedAt int64

	Parent       *Ref
	Dependencies []Ref

	Used, Generated map[string]any
	Refs            map[string]string   // used path → key of the task whose result it is
	Paths           map[string]PathInfo // string value → where it leads on the task's node

	// What was measured when the task began, when it ended, at most in between, and how much counters grew.
	TelemetryStart, TelemetryEnd, TelemetryPeak, TelemetryDelta map[string]any
	TelemetryCoverage                                           map[string]any // metric → whose number it is (docs/telemetry.md)

	Environment string // digest of an environment record
	Record      any    // body: environment record, entity, or checkpoint

	Stdout, Stderr string
	Tags           []string
	Custom         map[string]any

	Claims []Claim

	ObserverID string
	Seq        int64 // from 1 per observer and campaign; 0 = not numbered

	Attributes map[string]any // semantic conventions by their own names
	Resource   map[string]any // host.*, service.*, mida.site
	// TraceID and SpanID are set for tasks that came from foreign spans, which keep their ids; zero = derived.
	TraceID [16]byte
	SpanID  [8]byte
}

// clockFrom is 12 January 1970: a smaller Time was counted, not read from a clock.
const clockFrom = int64(1e15)

// When is Time as a moment, in unix nanoseconds; 0 when the source knows none. A log whose lines have no time counts them:
// such a Time only orders.
func (e *Event) When() int64 {
	if e.Time < clockFrom {
		return 0
	}
	return e.Time
}

// PathInfo says where a path that a task named leads on the task's own node. Size is -1 and ModTime 0 when unknown.
type PathInfo struct {
	Real    string // absolute, symlinks resolved
	FS      string // identity of a network file system (server and export), "" for a local one
	Rel     string // path within FS
	ModTime int64  // unix ns when it was looked at
	Size    int64
}

// Role says on which side of a task an entity stands.
type Role string

// The two roles of W3C PROV.
const (
	Used      Role = "used"
	Generated Role = "generated"
)

// Claim records that a task used or generated an entity. Claims only grow; links are derived from them.
type Claim struct {
	Role       Role
	Entity     string
	Time       int64  // unix ns; 0 = unknown, then the task's end (generated) or start (used) stands in
	TimeSource string // "observed", "mtime", ""
	Evidence   string // declared, digest, io, path, uri, id, value, person
	Confidence float64
	Field      string // e.g. "used.image": the leaf that named it
	Label      string // the value as the task named it
}

// Ref is the identity of the event's task.
func (e *Event) Ref() Ref { return Ref{Kind: e.Kind, Scope: e.Scope, Key: e.Key} }

// ID is the id of the event's task.
func (e *Event) ID() string { return e.Ref().ID() }

// IsTask says whether the event is about a task, rather than a workflow, an entity, an environment or an observer.
func (e *Event) IsTask() bool {
	switch e.Name {
	case EventSubmitted, EventStarted, EventProgress, EventFinished, EventFailed, EventCancelled:
		return true
	}
	return false
}

// IsWorkflow says whether the event is about a workflow.
func (e *Event) IsWorkflow() bool {
	return e.Name == EventWorkflowStarted || e.Name == EventWorkflowFinished
}

func (e *Event) execution() string {
	if e.Execution != "" {
		return e.Execution
	}
	return e.Scope
}

// Trace is the trace id of the event's record and span.
func (e *Event) Trace() [16]byte {
	if e.TraceID != [16]byte{} {
		return e.TraceID
	}
	return TraceID(e.Kind, e.execution())
}

// Span is the span id of the event's record and span.
func (e *Event) Span() [8]byte {
	if e.SpanID != [8]byte{} {
		return e.SpanID
	}
	return e.Ref().SpanID()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
