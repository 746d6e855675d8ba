package mlflowreceiver

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"path"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	kind  = "mlflow"
	facet = "run"
)

// statuses of MLflow as those of a task.
var statuses = map[string]task.Status{
	"SCHEDULED": task.StatusSubmitted,
	"RUNNING":   task.StatusRunning,
	"FINISHED":  task.StatusFinished,
	"FAILED":    task.StatusFailed,
	"KILLED":    task.StatusCancelled,
}

// mapper turns runs into events.
type mapper struct {
	cfg     *Config
	baseDir string
	host    string // of the database, when only processes of that host can have written it
	files   *files
	limiter *limiter
}

// event is the snapshot of a run, nil when the capture policy leaves the run out. Its time is the time of the read, which
// only grows: MLflow keeps no time of change, all its times are the client's, and a reopened run loses its end, so that no
// time in the database tells which of two snapshots is the newer one.
func (m *mapper) event(x *run) (*task.Event, withheld, error) {
	var out withheld
	if x.id == "" {
		return nil, out, errors.New("the run has no id")
	}
	e := &task.Event{
		Time: x.at, Observed: x.at,
		Kind: kind, Key: x.id, Execution: x.id, Attempt: task.NoAttempt, Facet: facet,
		Status: statuses[x.status], Campaign: m.cfg.Campaign,
		Activity: m.activity(x),
		Paths:    map[string]task.PathInfo{},
	}
	e.Name = task.EventForStatus(e.Status)
	m.workflow(e, x)
	custom := m.custom(e, x, &out)
	m.times(e, x, custom)
	e.Custom = custom
	e.Used = m.used(x, &out)
	e.Generated = m.generated(e, x, &out)
	m.attributes(e, x)
	if !m.limiter.apply(e, &out) {
		return nil, out, nil
	}
	if m.local(x) {
		m.files.resolve(e, m.baseDir)
		if m.host != "" {
			e.Resource = map[string]any{"host.name": m.host}
		}
	}
	if len(e.Paths) == 0 {
		e.Paths = nil
	}
	return e, out, nil
}

// local says whether the run's paths mean files of this machine. Runs whose artifacts go through a tracking server may
// come from anywhere.
func (m *mapper) local(x *run) bool {
	return m.cfg.runsAreLocal() && !strings.HasPrefix(x.artifactURI, "mlflow-artifacts:")
}

// workflow of a nested run is its root run, of any other its experiment.
func (m *mapper) workflow(e *task.Event, x *run) {
	e.WorkflowID, e.WorkflowName = x.experiment.workflowID(), x.experiment.name
	if x.root.id == "" {
		return
	}
	e.Execution = x.root.id
	e.WorkflowParentID = e.WorkflowID
	e.WorkflowID, e.WorkflowName = x.root.id, x.root.name
	if e.WorkflowName == "" {
		e.WorkflowName = x.root.id
	}
	e.Parent = &task.Ref{Kind: kind, Key: x.parent.id}
}

// workflowID is the experiment's number, made unique among databases by when it was created; a rename keeps it.
func (x experiment) workflowID() string {
	h := fnv.New32a()
	if x.created != 0 {
		fmt.Fprintf(h, "%d/%d", x.id, x.created)
	} else {
		fmt.Fprintf(h, "%d/%s", x.id, x.name)
	}
	return fmt.Sprintf("%d-%08x", x.id, h.Sum32())
}

// activity groups like with like. Names of runs are random, so it is the script or entry point, and runs inside runs
// are another activity than those around them.
func (m *mapper) activity(x *run) string {
	if m.cfg.ActivityTag != "" {
		if v := x.tag(m.cfg.ActivityTag); v != "" {
			return v
		}
	}
	name := x.tag(tagEntryPoint)
	if name == "" || name == "main" {
		name = x.tag(tagSourceName)
		if name == "" {
			name = x.sourceName
		}
		name = path.Base(strings.ReplaceAll(name, `\`, "/"))
		if ext := path.Ext(name); ext != name {
			name = strings.TrimSuffix(name, ext)
		}
	}
	switch name {
	case "", ".", "/", "-c", "-m", "ipykernel_launcher", "__main__", "<stdin>": // an interactive session has no script
		name = x.experiment.name
	}
	if name == "" {
		name = "run"
	}
	if x.root.id != "" {
		name += ".nested"
	}
	return name
}

func (m *mapper) times(e *task.Event, x *run, custom map[string]any) {
	stamp := func(name string, ms int64) int64 {
		const farthest = int64(1<<63-1) / int64(time.Millisecond)
		if ms > 0 && ms < farthest {
			return ms * int64(time.Millisecond)
		}
		if ms != 0 {
			custom["unusable_"+name] = ms
		}
		return 0
	}
	started := stamp("start_time", x.start)
	if e.Status == task.StatusSubmitted {
		e.SubmittedAt = started
	} else {
		e.StartedAt = started
	}
	if e.Status.Ended() {
		e.EndedAt = stamp("end_time", x.end)
	}
}

func (m *mapper) custom(e *task.Event, x *run, out *withheld) map[string]any {
	custom := map[string]any{
		"run_name":        x.name,
		"experiment_id":   x.experiment.id,
		"experiment_name": x.experiment.name,
		"lifecycle_stage": x.stage,
	}
	if x.name == "" {
		custom["run_name"] = x.tag(tagRunName)
	}
	if e.Status == task.StatusUnknown {
		custom["mlflow_status"] = x.status
	}
	if x.deleted != 0 {
		custom["deleted_at_ms"] = x.deleted
	}
	tags := map[string]any{}
	for _, t := range x.tags {
		if !strings.HasPrefix(t.key, tagPrefix) {
			tags[t.key] = m.limiter.named(t.key, t.value, out)
		}
	}
	note := x.tag(tagNote)
	if !m.limiter.texts() {
		if out.Left += len(tags); note != "" {
			out.Left++
		}
		return custom
	}
	if note != "" {
		custom["description"] = note
	}
	if len(tags) > 0 {
		custom["tags"] = tags
	}
	return custom
}

func (m *mapper) used(x *run, out *withheld) map[string]any {
	used := make(map[string]any, len(x.params)+1)
	for _, p := range x.params {
		used[p.key] = m.limiter.named(p.key, paramValue(p.value), out)
	}
	var inputs []any
	for _, i := range x.inputs {
		in := map[string]any{"name": i.name, "digest": i.digest, "source_type": i.sourceType}
		if d, ok := entity.Dataset(i.name, i.digest); ok {
			in["id"] = d.ID
		}
		if s := i.location(); s != "" {
			in["source"] = s
		}
		if i.context != "" {
			in["context"] = i.context
		}
		inputs = append(inputs, in)
	}
	put(used, "inputs", inputs)
	var models []any
	for _, l := range x.uses {
		models = append(models, map[string]any{"model_id": l.id, "name": l.name, "uri": "models:/" + l.id})
	}
	put(used, "models", models)
	return used
}

// put adds what MLflow keeps beside params and metrics; a user's own param or metric keeps its name.
func put(m map[string]any, key string, v any) {
	if l, ok := v.([]any); ok && len(l) == 0 {
		return
	}
	if _, taken := m[key]; taken {
		key = "mlflow_" + key
	}
	m[key] = v
}

func (m *mapper) generated(e *task.Event, x *run, out *withheld) map[string]any {
	gen := make(map[string]any, len(x.latest)+4)
	for _, l := range x.latest {
		gen[l.key] = l.value
	}
	summary := m.limiter.histories(x.history)
	if len(summary) > 0 {
		put(gen, "metrics_history", summary)
	}
	put(gen, "run_id", x.id)
	if x.artifactURI != "" {
		put(gen, "artifact_uri", x.artifactURI)
	}
	var found []any
	var models []any
	if m.local(x) {
		listed := m.files.list(x.artifactURI, m.baseDir, m.cfg.Capture.Artifacts)
		for _, f := range listed.files {
			found = append(found, map[string]any{"artifact": f.name, "path": f.path, "bytes": f.info.Size, "modified_ms": f.info.ModTime / 1e6})
			e.Paths[f.path] = f.info
		}
		for _, f := range listed.models {
			models = append(models, map[string]any{"artifact": f.name, "path": f.path, "uri": "runs:/" + x.id + "/" + f.name})
			e.Paths[f.path] = f.info
		}
		if listed.omitted > 0 {
			put(gen, "artifacts_omitted", int64(listed.omitted))
			out.omitted = listed.omitted
		}
	}
	put(gen, "artifacts", found)
	for _, l := range x.models {
		model := map[string]any{"model_id": l.id, "name": l.name, "uri": "models:/" + l.id, "status": l.status}
		if l.kind != "" {
			model["type"] = l.kind
		}
		if l.location != "" {
			model["path"] = localOr(l.location)
		}
		models = append(models, model)
	}
	for _, v := range x.versions {
		model := map[string]any{"name": v.name, "version": v.version, "uri": fmt.Sprintf("models:/%s/%d", v.name, v.version), "status": v.status}
		if v.stage != "" && v.stage != "None" {
			model["stage"] = v.stage
		}
		if v.source != "" {
			model["source"] = localOr(v.source)
		}
		if len(v.aliases) > 0 {
			model["aliases"] = task.Normalize(v.aliases)
		}
		models = append(models, model)
	}
	put(gen, "models", models)
	return gen
}

// values of a series, as the document shows them. min and max leave NaN out, and are absent when all is NaN.
func (s series) values() map[string]any {
	v := map[string]any{
		"first": s.first.value, "first_step": s.first.step.value(),
		"last": s.last.value, "last_step": s.last.step.value(),
		"count": s.count,
	}
	if s.nan < s.count {
		v["min"], v["max"] = s.min, s.max
	}
	if s.nan > 0 {
		v["nan"] = s.nan
	}
	return v
}

func (m *mapper) attributes(e *task.Event, x *run) {
	attrs := map[string]any{}
	first := func(name string, values ...string) {
		for _, v := range values {
			if v != "" {
				attrs[name] = v
				return
			}
		}
	}
	first("user.name", x.tag(tagUser), x.user)
	first("code.file.path", x.tag(tagSourceName), x.sourceName)
	first("vcs.ref.head.revision", x.tag(tagCommit), x.sourceVersion)
	first("vcs.ref.head.name", x.tag(tagBranch))
	first("vcs.repository.url.full", x.tag(tagRepo))
	first("container.image.name", x.tag(tagDockerImage))
	first("mlflow.source.type", x.tag(tagSourceType))
	if len(attrs) > 0 {
		e.Attributes = attrs
	}
}

// contentDigest covers what an event says, without when it was seen and where the files it used lay at that moment.
func contentDigest(e *task.Event) uint64 {
	c := *e
	c.Time, c.Observed, c.Seq, c.ObserverID, c.Paths = 0, 0, 0, "", nil
	sum := sha256.Sum256(task.AppendJSON(nil, []any{c.Wire(), c.Resource}))
	return binary.BigEndian.Uint64(sum[:])
}
