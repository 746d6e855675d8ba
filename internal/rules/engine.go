package rules

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Kind is the kind of tasks that were read from logs.
const Kind = "log"

// Log says which log an engine reads.
type Log struct {
	// Identity is the same whenever and from wherever this log is read: the host or file system, and the path.
	Identity string
	// Path is the log's path as it is now, for its name and the captures of the name.
	Path string
}

// Engine turns the records of one log into events. It is not safe for concurrent use.
type Engine struct {
	set      *Set
	log      Log
	name     map[string]any // captures of the file's name
	workflow string
	st       *state
}

// Result is what became of a record.
type Result struct {
	Rule    string // "" when no rule fits
	Ignored bool
	// Formless says that it has not the form that the key line gives to records.
	Formless bool
	Fields   map[string]any // what was captured
	Events   []*task.Event
	BaseDir  string // where relative paths of the events start; "" = the log's directory
	// Problem says why a record that a rule fits could not be used as the rule says.
	Problem error
	// Lost names open tasks that were given up because there were too many.
	Lost []string
}

// NewEngine makes an engine at the beginning of a log.
func (s *Set) NewEngine(log Log) (*Engine, error) {
	e := &Engine{set: s, log: log, st: &state{}}
	base := path.Base(strings.ReplaceAll(log.Path, `\`, "/"))
	dir, _, _ := cutLast(log.Path)
	e.name = map[string]any{"file": base, "log_dir": dir}
	if s.fileName != nil {
		target := base
		if n := strings.Count(s.fileName.source, "/"); n > 0 {
			parts := strings.Split(strings.ReplaceAll(log.Path, `\`, "/"), "/")
			target = strings.Join(parts[max(0, len(parts)-n-1):], "/")
		}
		texts := s.fileName.match(target)
		if texts == nil {
			return nil, fmt.Errorf("file_name: %q does not fit the log %q", s.fileName.source, target)
		}
		if err := convertInto(e.name, s.fileName, texts); err != nil {
			return nil, fmt.Errorf("file_name: log %q: %w", target, err)
		}
	}
	e.workflow = strings.TrimSuffix(base, path.Ext(base))
	if s.workflow.source != "" {
		v, _, _ := s.workflow.eval(scope{e.name})
		e.workflow = asText(v)
	}
	return e, nil
}

// cutLast splits a path, of any system, before its last name.
func cutLast(p string) (dir, name string, ok bool) {
	i := strings.LastIndexAny(p, `/\`)
	if i < 0 {
		return ".", p, false
	}
	return p[:max(i, 1)], p[i+1:], true
}

// State is what must be stored with the position in the log.
func (e *Engine) State() ([]byte, error) { return encodeState(e.st) }

// Restore continues from what State returned.
func (e *Engine) Restore(data []byte) error {
	st, err := decodeState(data)
	if err != nil {
		return err
	}
	e.st = st
	return nil
}

// Inherit continues what another log began that had so many bytes when it was rotated away.
func (e *Engine) Inherit(o *Engine, size int64) {
	e.st = o.st.clone()
	e.st.Base += size
}

// NextGeneration begins a log anew that was overwritten; what was open is lost.
func (e *Engine) NextGeneration() []*task.Event {
	var r Result
	if e.st.Run != nil {
		e.endRun(&r, e.st.Time, "the log was overwritten before this task ended")
	}
	e.st = &state{Generation: e.st.Generation + 1}
	return r.Events
}

// IsPath says that a value was captured as a path in the present run, whatever it looks like.
func (e *Engine) IsPath(value string) bool { return e.st.Paths[value] }

// Open is the number of tasks that were started and have not ended.
func (e *Engine) Open() int { return len(e.st.Open) }

// Peek says what would become of a record that may still grow, and remembers nothing. The state that it would lead to is
// for Restore, in case the log is overwritten before the record is complete.
func (e *Engine) Peek(rec Record) (Result, []byte, error) {
	saved := e.st
	e.st = saved.clone()
	defer func() { e.st = saved }()
	res := e.Process(rec)
	state, err := e.State()
	return res, state, err
}

// Process turns the next record into events.
func (e *Engine) Process(rec Record) Result {
	head, message, problem := e.read(rec)
	var r Result
	if head != nil {
		at, _ := e.timeOf(nil, scope{head}) // a rule that fits tells of an error
		e.first(rec, at)
		for _, rl := range e.set.rules {
			fields, err := rl.match(message, head)
			if fields == nil && err == nil {
				continue
			}
			r.Rule, r.Fields, r.Problem = rl.name, fields, err
			if err == nil {
				e.apply(rl, rec, fields, &r)
				e.keepPaths(rl, fields)
			}
			return r
		}
	} else {
		r.Formless = true
		e.first(rec, 0)
	}
	for _, p := range e.set.ignore {
		if p.match(message) != nil {
			r.Ignored = true
			return r
		}
	}
	r.Problem = problem
	return r
}

// read splits a record into its message and the captures that all rules share; head is nil when it has not the form of
// the log's records.
func (e *Engine) read(rec Record) (head map[string]any, message string, problem error) {
	message = rec.Text
	first, more, _ := strings.Cut(rec.Text, "\n")
	if e.set.json {
		if strings.TrimSpace(rec.Text) == "" {
			return nil, "", nil
		}
		v, err := parseJSON(rec.Text)
		if err != nil {
			return nil, message, fmt.Errorf("not a JSON line: %w", err)
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, message, fmt.Errorf("not a JSON object: %q", clip(rec.Text))
		}
		for _, k := range []string{"message", "msg", "event"} {
			if s, ok := m[k].(string); ok {
				return e.withFile(m), s, nil
			}
		}
		return e.withFile(m), "", nil
	}
	head = map[string]any{}
	if e.set.line != nil {
		texts := e.set.line.match(rec.Text)
		if texts == nil {
			return nil, message, nil
		}
		if err := convertInto(head, e.set.line, texts); err != nil {
			return nil, message, fmt.Errorf("line: %w", err)
		}
		first, _ = head["message"].(string)
		message = first
		if more != "" {
			message += "\n" + more
		}
	}
	head["message"], head["more"] = first, more
	return e.withFile(head), message, nil
}

func (e *Engine) withFile(m map[string]any) map[string]any {
	for k, v := range e.name {
		if _, ok := m[k]; !ok {
			m[k] = v
		}
	}
	return m
}

// match returns the captures of a record, nil when the rule is not for it. An error says that it is, but that a value
// has not its type.
func (r *rule) match(message string, head map[string]any) (map[string]any, error) {
	for _, c := range r.where {
		if !c.met(head) {
			return nil, nil
		}
	}
	fields := make(map[string]any, len(head)+4)
	for k, v := range head {
		fields[k] = v
	}
	if r.pattern != nil {
		texts := r.pattern.match(message)
		if texts == nil {
			return nil, nil
		}
		if err := convertInto(fields, r.pattern, texts); err != nil {
			return fields, err
		}
	}
	for name, conv := range r.types {
		if v, ok := lookup(head, name); ok {
			val, err := conv.convert(asText(v))
			if err != nil {
				return fields, fmt.Errorf("{%s:%s}: %w", name, conv.name, err)
			}
			fields = setPath(fields, strings.Split(name, "."), val)
		}
	}
	return fields, nil
}

func convertInto(dst map[string]any, p *pattern, texts []string) error {
	for i, f := range p.fields {
		if f.name == "" || texts[i] == "" {
			continue
		}
		v, err := f.conv.convert(texts[i])
		if err != nil {
			return fmt.Errorf("{%s:%s}: %w", f.name, f.conv.name, err)
		}
		dst[f.name] = v
	}
	return nil
}

// timeOf is the time of a record in unix ns; 0 when there is none, with an error when there is a value that is no time.
func (e *Engine) timeOf(t *template, s scope) (int64, error) {
	var v any
	if t != nil {
		v, _ = e.rawTime(t, s)
	} else if v, _ = s.get("time"); v == nil {
		v, _ = s.get("timestamp")
	}
	if v == nil || v == "" {
		return 0, nil
	}
	at, err := e.asTime(v)
	if err != nil {
		return 0, fmt.Errorf("time: %w", err)
	}
	return at, nil
}

// rawTime keeps a time a time, which eval would make a text.
func (e *Engine) rawTime(t *template, s scope) (any, bool) {
	if len(t.parts) == 1 && t.parts[0].field {
		return s.get(t.parts[0].name)
	}
	v, _, ok := t.eval(s)
	return v, ok
}

func (e *Engine) asTime(v any) (int64, error) {
	var t time.Time
	err := fmt.Errorf("%q is not a time", clip(asText(v)))
	switch v := v.(type) {
	case time.Time:
		return v.UnixNano(), nil
	case string:
		if t, err = e.set.times.layout.parse(v, e.set.times.zone); err != nil {
			if iso, isoErr := isoLayout.parse(v, e.set.times.zone); isoErr == nil {
				t, err = iso, nil
			}
		}
	case int64, float64:
		t, err = parseEpoch(asText(v))
	}
	if err != nil {
		return 0, err
	}
	return t.UnixNano(), nil
}

// maxPaths bounds how many values of one run are known to be paths only because a rule says so.
const maxPaths = 1000

// keepPaths remembers what was captured as a path, also for later events that carry the same value.
func (e *Engine) keepPaths(r *rule, fields map[string]any) {
	remember := func(name string, conv converter) {
		if !conv.path {
			return
		}
		v, _ := lookup(fields, name)
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, p := range list {
			s, ok := p.(string)
			if !ok || len(e.st.Paths) >= maxPaths {
				continue
			}
			if _, obvious := entity.LocalPath("", s); !obvious {
				if e.st.Paths == nil {
					e.st.Paths = map[string]bool{}
				}
				e.st.Paths[s] = true
			}
		}
	}
	if r.pattern != nil {
		for _, f := range r.pattern.fields {
			remember(f.name, f.conv)
		}
	}
	for name, conv := range r.types {
		remember(name, conv)
	}
}
