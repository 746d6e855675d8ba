package task

import "pgregory.net/rapid"

// Generators of events that hold everything an event can hold. What a form cannot tell apart from absence (empty lists of
// tags, empty resources) is absent here.

var allNames = []string{
	EventSubmitted, EventStarted, EventProgress, EventFinished, EventFailed, EventCancelled, EventWorkflowStarted,
	EventWorkflowFinished, EventEntity, EventEnvironment, EventCheckpoint,
}

// word is any text, often none.
func word(t *rapid.T, label string) string {
	if !rapid.Bool().Draw(t, "has "+label) {
		return ""
	}
	return rapid.String().Draw(t, label)
}

// maybe draws with f, or nothing.
func maybe[V any](t *rapid.T, label string, f func() V) (v V) {
	if rapid.Bool().Draw(t, "has "+label) {
		return f()
	}
	return v
}

func someMap(t *rapid.T, label string) map[string]any {
	return maybe(t, label, func() map[string]any { return valueMap(2).Draw(t, label) })
}

// filled is a map with at least one key.
func filled(t *rapid.T, label, key string) map[string]any {
	return maybe(t, label, func() map[string]any {
		m := valueMap(1).Draw(t, label)
		delete(m, "") // no name for an attribute
		m[key] = values(1).Draw(t, key)
		return m
	})
}

func refs() *rapid.Generator[Ref] {
	return rapid.Custom(func(t *rapid.T) Ref {
		return Ref{
			Kind:  rapid.SampledFrom([]string{"dask", "log", "mlflow"}).Draw(t, "kind"),
			Scope: rapid.SampledFrom([]string{"", "s", "Scheduler-1"}).Draw(t, "scope"),
			Key:   rapid.StringN(1, 8, -1).Draw(t, "key"),
		}
	})
}

func pathInfos() *rapid.Generator[PathInfo] {
	return rapid.Custom(func(t *rapid.T) PathInfo {
		return PathInfo{
			Real: word(t, "real"), FS: word(t, "fs"), Rel: word(t, "rel"),
			ModTime: rapid.Int64().Draw(t, "mtime"), Size: rapid.Int64Min(-1).Draw(t, "size"),
		}
	})
}

func someClaims() *rapid.Generator[Claim] {
	return rapid.Custom(func(t *rapid.T) Claim {
		return Claim{
			Role: rapid.SampledFrom([]Role{Used, Generated}).Draw(t, "role"), Entity: rapid.StringN(1, 8, -1).Draw(t, "entity"),
			Time: rapid.Int64().Draw(t, "time"), TimeSource: word(t, "time source"), Evidence: word(t, "evidence"),
			Confidence: rapid.Float64Range(0, 1).Draw(t, "confidence"), Field: word(t, "field"), Label: word(t, "label"),
		}
	})
}

func pick[V any](t *rapid.T, label string, g *rapid.Generator[V]) []V {
	return maybe(t, label, func() []V { return rapid.SliceOfN(g, 1, 3).Draw(t, label) })
}

// fullEvents draws events of every name with every field.
func fullEvents() *rapid.Generator[*Event] {
	return rapid.Custom(func(t *rapid.T) *Event {
		e := &Event{
			Name: rapid.SampledFrom(allNames).Draw(t, "name"), Time: rapid.Int64().Draw(t, "time"), Observed: rapid.Int64().Draw(t, "observed"),
			Kind: word(t, "kind"), Scope: word(t, "scope"), Key: word(t, "key"), Execution: word(t, "execution"),
			Attempt: rapid.Int64Min(NoAttempt).Draw(t, "attempt"), Facet: word(t, "facet"),
			Status:   Status(rapid.IntRange(0, int(StatusCancelled)).Draw(t, "status")),
			Campaign: word(t, "campaign"), WorkflowID: word(t, "workflow"), WorkflowName: word(t, "workflow name"),
			WorkflowParentID: word(t, "workflow parent"), Activity: word(t, "activity"),
			SubmittedAt: rapid.Int64().Draw(t, "submitted"), StartedAt: rapid.Int64().Draw(t, "started"), EndedAt: rapid.Int64().Draw(t, "ended"),
			Parent:       maybe(t, "parent", func() *Ref { r := refs().Draw(t, "parent"); return &r }),
			Dependencies: pick(t, "dependencies", refs()),
			Used:         someMap(t, "used"), Generated: someMap(t, "generated"), Custom: someMap(t, "custom"),
			Refs: maybe(t, "refs", func() map[string]string {
				return rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "refs")
			}),
			Paths: maybe(t, "paths", func() map[string]PathInfo {
				return rapid.MapOfN(rapid.String(), pathInfos(), 0, 3).Draw(t, "paths")
			}),
			TelemetryStart: someMap(t, "start"), TelemetryEnd: someMap(t, "end"), TelemetryPeak: someMap(t, "peak"),
			TelemetryDelta: someMap(t, "delta"), TelemetryCoverage: someMap(t, "coverage"),
			Environment: word(t, "environment"), Stdout: word(t, "stdout"), Stderr: word(t, "stderr"),
			Record: maybe(t, "record", func() any { return values(3).Draw(t, "record") }),
			Tags:   pick(t, "tags", rapid.String()), Claims: pick(t, "claims", someClaims()),
			ObserverID: word(t, "observer"), Seq: rapid.Int64Min(0).Draw(t, "seq"),
			Attributes: filled(t, "attributes", "process.pid"), Resource: filled(t, "resource", "host.name"),
		}
		if e.Kind != "" && e.Key != "" { // what has no identity has no span
			ids(t, e)
		}
		return e
	})
}

// ids gives an event ids of its own, as that of a foreign span has.
func ids(t *rapid.T, e *Event) {
	if rapid.Bool().Draw(t, "has ids") {
		copy(e.TraceID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "trace"))
		copy(e.SpanID[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "span"))
	}
}

// endedTasks draws tasks that make a span.
func endedTasks() *rapid.Generator[*Event] {
	return rapid.Custom(func(t *rapid.T) *Event {
		e := fullEvents().Draw(t, "event")
		e.Status = rapid.SampledFrom([]Status{StatusFinished, StatusFailed, StatusCancelled}).Draw(t, "status")
		e.Name = EventForStatus(e.Status)
		e.Kind, e.Key = rapid.SampledFrom([]string{"dask", "log"}).Draw(t, "kind"), rapid.StringN(1, 8, -1).Draw(t, "key")
		e.Activity, e.Facet = rapid.StringN(1, 8, -1).Draw(t, "activity"), rapid.StringN(1, 8, -1).Draw(t, "facet")
		e.StartedAt = rapid.Int64Range(1, 1<<60).Draw(t, "started")
		e.EndedAt = rapid.Int64Range(e.StartedAt, 1<<61).Draw(t, "ended")
		ids(t, e)
		return e
	})
}
