package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const facet = "log"

// first remembers the beginning of the log: the run of tasks that stand before any boundary.
func (e *Engine) first(rec Record, at int64) {
	if at != 0 {
		e.st.Time = at
	}
	if e.st.First == nil && e.st.Run == nil {
		e.st.First = &run{Scope: e.scope(rec, at, ""), Started: at}
	}
}

// scope names a run by what the log itself says: the boundary's time or the script's own name of the run, its place,
// and its text. So reading the log again gives the same runs, and two runs in one log are two.
func (e *Engine) scope(rec Record, at int64, name string) string {
	mark := ""
	if name != "" {
		mark = name + "@"
	}
	if at != 0 {
		mark += time.Unix(0, at).UTC().Format("2006-01-02T15:04:05.999999999Z")
	} else {
		mark += "generation " + strconv.FormatInt(e.st.Generation, 10)
	}
	sum := sha256.Sum256([]byte(firstLine(rec.Text)))
	return fmt.Sprintf("%s#%s+%d-%s", e.log.Identity, mark, rec.Offset, hex.EncodeToString(sum[:4]))
}

func firstLine(s string) string {
	for i := range len(s) {
		if s[i] == '\n' {
			return s[:i]
		}
	}
	return s
}

// apply does what a rule says with a record that it fits.
func (e *Engine) apply(r *rule, rec Record, fields map[string]any, res *Result) {
	s := scope{fields, e.st.Context}
	at, err := e.timeOf(r.time, s)
	res.Problem = errors.Join(res.Problem, err)
	if at != 0 {
		e.st.Time = at
	} else {
		at = e.st.Time
	}
	if r.spec.BeginsRun {
		e.beginRun(r, rec, at, s, res)
		s = scope{fields, e.st.Context}
	}
	for _, name := range r.spec.Forget {
		e.st.Context = dropPath(e.st.Context, splitName(name))
	}
	if r.context != nil {
		e.st.Context = r.context.into(e.st.Context, s)
	}
	if r.spec.BeginsRun {
		e.tellRun(rec, at, res)
	}
	if r.act != actNone {
		if err := e.task(r, rec, at, s, res); err != nil {
			res.Problem = errors.Join(res.Problem, err)
			return
		}
	}
	if r.spec.EndsRun && e.st.Run != nil {
		e.endRun(res, at, "the run ended before this task did")
		ev := e.runEvent(task.EventWorkflowFinished, rec, at)
		ended, err := forward(e.st.Run.Started, at, ev)
		ev.Status, ev.EndedAt, res.Problem = task.StatusFinished, ended, errors.Join(res.Problem, err)
		res.Events = append(res.Events, ev)
		e.st.Run.Ended = true
	}
	if e.set.baseDir != nil && e.set.baseDir.source != "" {
		if v, _, ok := e.set.baseDir.eval(scope{e.st.Context, e.name}); ok {
			res.BaseDir = asText(v)
		}
	}
}

func (e *Engine) beginRun(r *rule, rec Record, at int64, s scope, res *Result) {
	if e.st.Run != nil {
		e.endRun(res, at, "the next run began before this task ended")
	}
	name := ""
	if r.run != nil {
		v, missing, ok := r.run.eval(s)
		if ok {
			name = asText(v)
		} else {
			res.Problem = errors.Join(res.Problem, fmt.Errorf("run: {%s} has no value in this line; the run is named by its time", missing))
		}
	}
	e.st.Run = &run{Scope: e.scope(rec, at, name), Started: at}
	e.st.Context, e.st.Numbers, e.st.Open, e.st.Paths = nil, nil, nil, nil
	e.st.Base = 0 // attempts then depend on the logs of this run only, also when older ones are no longer there
}

// ensureRun gives tasks that stand before any boundary a run: the one that the log begins with.
func (e *Engine) ensureRun(rec Record, res *Result) {
	if e.st.Run == nil {
		e.st.Run = e.st.First
	}
	if !e.st.Run.Told {
		e.tellRun(rec, e.st.Run.Started, res)
	}
}

func (e *Engine) tellRun(rec Record, at int64, res *Result) {
	ev := e.runEvent(task.EventWorkflowStarted, rec, at)
	ev.Status, ev.StartedAt = task.StatusRunning, at
	res.Events = append(res.Events, ev)
	e.st.Run.Told = true
}

// endRun gives up what is open. Its status becomes UNKNOWN: the log does not say how it ended.
func (e *Engine) endRun(res *Result, at int64, reason string) {
	if e.set.keepOpen {
		e.st.Open = nil
		return
	}
	for _, key := range e.st.openKeys() {
		e.lose(key, at, reason, res)
	}
}

func (e *Engine) lose(key string, at int64, reason string, res *Result) {
	o := e.st.Open[key]
	delete(e.st.Open, key)
	ev := e.snapshot(key, o)
	ev.Name, ev.Time = task.EventProgress, max(at, o.Stamp+1)
	ev.Attributes = map[string]any{"error.type": "lost", "exception.message": reason}
	res.Events = append(res.Events, ev)
}

// task turns a record into an event of a task.
func (e *Engine) task(r *rule, rec Record, at int64, s scope, res *Result) error {
	e.ensureRun(rec, res)
	key, err := e.key(r, s)
	if err != nil {
		return err
	}
	o := e.st.Open[key]
	known := o != nil
	if r.act == actStart && known { // started again: a new attempt, the one before has no end
		e.lose(key, at, "the task was started again before it ended", res)
		known = false
	}
	if !known {
		o = &openTask{Activity: r.activity, Attempt: e.st.Base + rec.Offset, Used: e.st.Context}
		if r.act == actStart {
			o.Started = at
		}
	}
	o.Used = r.used.into(o.Used, s)
	o.Generated = r.generated.into(o.Generated, s)
	ended, err := e.times(r, o, at, s)
	// A record that grows after it was first looked at has the later stamp.
	o.Stamp = max(at, o.Stamp+1) + int64(rec.Lines-1)
	ev := e.snapshot(key, o)
	ev.Time = o.Stamp
	if r.act.ends() {
		var back error
		ended, back = forward(o.Started, ended, ev)
		err = errors.Join(err, back)
	}
	switch r.act {
	case actStart:
		ev.Name, ev.Status = task.EventStarted, task.StatusRunning
		e.open(key, o, res)
	case actUpdate:
		ev.Name, ev.Status = task.EventProgress, task.StatusRunning
		if !known {
			e.open(key, o, res)
		}
	case actEnd, actWhole:
		ev.Name, ev.Status, ev.EndedAt = task.EventFinished, task.StatusFinished, ended
	case actFail:
		ev.Name, ev.Status, ev.EndedAt = task.EventFailed, task.StatusFailed, ended
		ev.Attributes = r.failure(s)
	case actCancel:
		ev.Name, ev.Status, ev.EndedAt = task.EventCancelled, task.StatusCancelled, ended
	}
	if ev.Status.Ended() {
		delete(e.st.Open, key)
	}
	res.Events = append(res.Events, ev)
	return err
}

// forward makes the end of a task no earlier than its start. A log's clock can go back in between: when the machine's was
// set, or in the hour that a time without its zone has twice. How far it did is kept with the task.
func forward(started, ended int64, ev *task.Event) (int64, error) {
	if started == 0 || ended == 0 || ended >= started {
		return ended, nil
	}
	back := time.Duration(started - ended)
	ev.Custom = map[string]any{"clock_went_back": back.Seconds()}
	return started, fmt.Errorf("the clock of the log went back: the end is %s before the start, so that it is not known how long it took", back)
}

// key tells the tasks of a run apart.
func (e *Engine) key(r *rule, s scope) (string, error) {
	if r.task != nil {
		v, missing, ok := r.task.eval(s)
		if !ok {
			return "", fmt.Errorf("task: {%s} has no value in this line", missing)
		}
		return r.activity + "/" + asText(v), nil
	}
	if r.act != actStart && r.act != actWhole {
		// The one that is open, the latest if there are several.
		keys := e.st.openKeys()
		for i := len(keys) - 1; i >= 0; i-- {
			if e.st.Open[keys[i]].Activity == r.activity {
				return keys[i], nil
			}
		}
	}
	if e.st.Numbers == nil {
		e.st.Numbers = map[string]int64{}
	}
	e.st.Numbers[r.activity]++
	return fmt.Sprintf("%s/%d", r.activity, e.st.Numbers[r.activity]), nil
}

func (e *Engine) open(key string, o *openTask, res *Result) {
	if e.st.Open == nil {
		e.st.Open = map[string]*openTask{}
	}
	e.st.Open[key] = o
	if len(e.st.Open) > MaxOpen {
		oldest := e.st.oldest()
		e.lose(oldest, o.Stamp, fmt.Sprintf("more than %d tasks of this log were open at once", MaxOpen), res)
		res.Lost = append(res.Lost, oldest)
	}
}

// times sets when the task started and says when it ended.
func (e *Engine) times(r *rule, o *openTask, at int64, s scope) (ended int64, err error) {
	ended = at
	read := func(key string, t *template, dst *int64) {
		if t == nil {
			return
		}
		v, ok := e.rawTime(t, s)
		if !ok {
			return
		}
		if ns, bad := e.asTime(v); bad == nil {
			*dst = ns
		} else {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, bad))
		}
	}
	read("started", r.started, &o.Started)
	read("ended", r.ended, &ended)
	if r.took != nil {
		v, ok := e.rawTime(r.took, s)
		sec, isNumber := seconds(v)
		switch {
		case !ok:
		case !isNumber:
			err = errors.Join(err, fmt.Errorf("took: %q is not a duration; give the capture the type duration or float", clip(asText(v))))
		case ended != 0 && o.Started == 0:
			o.Started = ended - sec
		}
	}
	return ended, err
}

func seconds(v any) (ns int64, ok bool) {
	if s, isText := v.(string); isText {
		d, err := parseDuration(s)
		if err != nil {
			return 0, false
		}
		v = d
	}
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case int64:
		f = float64(v)
	default:
		return 0, false
	}
	if f < 0 || math.IsNaN(f) || f > math.MaxInt64/1e9 {
		return 0, false
	}
	return int64(math.Round(f * 1e9)), true
}

func (r *rule) failure(s scope) map[string]any {
	out := map[string]any{}
	text := func(key string, t *template, otherwise string) {
		v := any(nil)
		if t != nil {
			v, _, _ = t.eval(s)
		} else if otherwise != "" {
			v, _ = s.get(otherwise)
		}
		if str := asText(v); str != "" {
			out[key] = str
		}
	}
	text("exception.message", r.err, "message")
	text("error.type", r.errType, "")
	text("exception.stacktrace", nil, "more")
	if _, ok := out["error.type"]; !ok {
		out["error.type"] = "_OTHER"
	}
	return out
}

// snapshot is all that is known about a task so far.
func (e *Engine) snapshot(key string, o *openTask) *task.Event {
	ev := &task.Event{
		Kind: Kind, Scope: e.st.Run.Scope, Key: key, Attempt: o.Attempt, Facet: facet, Activity: o.Activity, StartedAt: o.Started,
	}
	if len(o.Used) > 0 {
		ev.Used = deepCopy(map[string]any(o.Used)).(map[string]any)
	}
	if len(o.Generated) > 0 {
		ev.Generated = deepCopy(map[string]any(o.Generated)).(map[string]any)
	}
	e.describe(ev)
	return ev
}

func (e *Engine) runEvent(name string, rec Record, at int64) *task.Event {
	// Later in the log is later, whatever the clock says.
	e.st.Run.Stamp = max(at, e.st.Run.Stamp+1) + int64(rec.Lines-1)
	ev := &task.Event{
		Name: name, Time: e.st.Run.Stamp, Kind: Kind, Scope: e.st.Run.Scope, Key: "run", Attempt: task.NoAttempt, Facet: facet,
		StartedAt: e.st.Run.Started,
	}
	if len(e.st.Context) > 0 {
		ev.Used = deepCopy(map[string]any(e.st.Context)).(map[string]any)
	}
	e.describe(ev)
	return ev
}

func (e *Engine) describe(ev *task.Event) {
	ev.WorkflowName = e.workflow
	id := task.TraceID(Kind, ev.Scope)
	ev.WorkflowID = hex.EncodeToString(id[:])
}

func splitName(name string) []string {
	var out []string
	start := 0
	for i := range len(name) {
		if name[i] == '.' {
			out = append(out, name[start:i])
			start = i + 1
		}
	}
	return append(out, name[start:])
}
