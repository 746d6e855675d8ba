package querytest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// eventsOf turns a task of a script into the events that report it. n numbers the tasks of a script.
func eventsOf(doc map[string]any, n int) ([]*task.Event, error) {
	e := &task.Event{
		Time: int64(n) * 1e9, Kind: "test", Scope: "script", Attempt: task.NoAttempt, Facet: "worker", Status: task.StatusFinished,
		Attributes: map[string]any{},
	}
	events := []*task.Event{e}
	names := make([]string, 0, len(doc))
	for k := range doc {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		if k == "environment" {
			record := environmentEvent(doc[k], n)
			e.Environment = record.Environment
			events = append(events, record)
			continue
		}
		if err := setField(e, k, doc[k]); err != nil {
			return nil, err
		}
	}
	if e.Key == "" {
		return nil, fmt.Errorf("task without task_id")
	}
	e.Name = task.EventForStatus(e.Status)
	return events, nil
}

func environmentEvent(record any, n int) *task.Event {
	sum := sha256.Sum256(task.AppendJSON(nil, record))
	return &task.Event{
		Name: task.EventEnvironment, Time: int64(n) * 1e9, Kind: "test", Scope: "script", Attempt: task.NoAttempt,
		Environment: hex.EncodeToString(sum[:]), Record: record,
	}
}

func setField(e *task.Event, key string, v any) error {
	text, isText := v.(string)
	m, isMap := v.(map[string]any)
	texts := map[string]*string{
		"task_id": &e.Key, "kind": &e.Kind, "scope": &e.Scope, "execution": &e.Execution, "campaign_id": &e.Campaign,
		"workflow_id": &e.WorkflowID, "workflow_name": &e.WorkflowName, "workflow_parent_id": &e.WorkflowParentID,
		"activity_id": &e.Activity, "stdout": &e.Stdout, "stderr": &e.Stderr,
	}
	attributes := map[string]string{"host": "host.name", "user": "user.name", "site": task.AttrSite}
	maps := map[string]*map[string]any{
		"used": &e.Used, "generated": &e.Generated, "custom": &e.Custom, "telemetry_start": &e.TelemetryStart,
		"telemetry_end": &e.TelemetryEnd, "telemetry_peak": &e.TelemetryPeak, "telemetry_delta": &e.TelemetryDelta, "telemetry_coverage": &e.TelemetryCoverage,
	}
	times := map[string]*int64{"submitted_at": &e.SubmittedAt, "started_at": &e.StartedAt, "ended_at": &e.EndedAt}
	switch {
	case texts[key] != nil && isText:
		*texts[key] = text
	case attributes[key] != "" && isText:
		e.Attributes[attributes[key]] = text
	case maps[key] != nil && isMap:
		*maps[key] = m
	case times[key] != nil:
		*times[key] = nanoseconds(v)
	case key == "status" && isText:
		s, err := task.ParseStatus(text)
		e.Status = s
		return err
	case key == "attempt":
		e.Attempt, _ = v.(int64)
	case key == "tags":
		list, _ := v.([]any)
		for _, t := range list {
			e.Tags = append(e.Tags, fmt.Sprint(t))
		}
	case key == "job" && isMap:
		for k, x := range m {
			e.Attributes[task.AttrJobPrefix+k] = x
		}
	case key == "error" && isMap:
		for k, x := range m {
			e.Attributes["exception."+k] = x
		}
	case key == "attributes" && isMap:
		for k, x := range m {
			e.Attributes[k] = x
		}
	case key == "dependencies":
		list, _ := v.([]any)
		for _, d := range list {
			e.Dependencies = append(e.Dependencies, task.Ref{Kind: e.Kind, Scope: e.Scope, Key: fmt.Sprint(d)})
		}
	default:
		return fmt.Errorf("task %q: key %q with value %s is not known to scripts", e.Key, key, task.JSON(v))
	}
	return nil
}

func nanoseconds(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v * 1e9
	case float64:
		whole, part := math.Modf(v)
		return int64(whole)*1e9 + int64(math.Round(part*1e9))
	default:
		return 0
	}
}
