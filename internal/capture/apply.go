package capture

import (
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/glob"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Counts say what did not leave the observer.
type Counts struct {
	Redacted int // secrets
	Left     int // values that the policy leaves out, or reduces to their type
	Cut      int // values that were too large
}

const (
	attrMessage    = "exception.message"
	attrStacktrace = "exception.stacktrace"
	keyAnnotations = "annotations"
	keyValue       = "value" // of an entity's record
	// Texts that stay texts are longer than values: a traceback, and what a program printed.
	attributeFactor = 2
	outputFactor    = 8
	// cutSlack is more than what a text that was cut in its middle says about that: it is not cut again.
	cutSlack = 64
)

// Apply takes out of an event what must not leave, and says whether the event itself may. What it did once it does not
// do again: an event that comes by a second policy of the same configuration stays as it is.
func (p *Policy) Apply(e *task.Event) (keep bool, n Counts) {
	if e.IsTask() && !p.Activity(e.Activity) {
		return false, n
	}
	return true, p.Values(e)
}

// Values is Apply for an event that may leave whatever its activity is. The event's identity (kind, scope, key, execution,
// attempt, the id of its workflow) is never touched, and none of the event's maps is changed: one that differs is a new
// map. Paths of values that are no longer there, or that hold secrets, are removed.
func (p *Policy) Values(e *task.Event) Counts {
	w := walk{limit: p.maxString}
	changed := p.restrict(e, &w)
	for _, m := range []*map[string]any{&e.Used, &e.Generated, &e.Custom} {
		if out, ok := w.mapping(*m); ok {
			*m, changed = out, true
		}
	}
	if out, ok := w.attributes(e.Attributes, attributeFactor*p.maxString); ok {
		e.Attributes = out
	}
	if record, ok := e.Record.(map[string]any); ok && e.Name != task.EventCheckpoint {
		if out, ok := w.mapping(record); ok {
			e.Record = out
		}
	}
	e.Stdout, _ = w.plain(e.Stdout, outputFactor*p.maxString)
	e.Stderr, _ = w.plain(e.Stderr, outputFactor*p.maxString)
	e.WorkflowName, _ = w.plain(e.WorkflowName, p.maxString)
	e.Activity, _ = w.plain(e.Activity, p.maxString)
	e.Tags = w.tags(e.Tags)
	if w.size > p.maxEvent {
		w.n.Cut += shrink(e, p.maxEvent)
		changed = true
	}
	if len(e.Paths) > 0 {
		e.Paths = pathsOf(e, changed)
	}
	// Many events share one resource, so it is no part of an event's size.
	r := walk{limit: p.maxString, n: w.n}
	if out, ok := r.attributes(e.Resource, attributeFactor*p.maxString); ok {
		e.Resource = out
	}
	return r.n
}

// restrict applies the policy on fields.
func (p *Policy) restrict(e *task.Event, w *walk) (changed bool) {
	if p.trivial {
		return false
	}
	fields := func(root string, m map[string]any) map[string]any {
		out, n := p.Fields(root, m)
		w.n.Left += n
		return out
	}
	e.Used, e.Generated = fields("used", e.Used), fields("generated", e.Generated)
	if notes, ok := e.Custom[keyAnnotations].(map[string]any); ok {
		e.Custom = without(e.Custom)
		e.Custom[keyAnnotations] = fields(keyAnnotations, notes)
	}
	if record, ok := e.Record.(map[string]any); ok && e.Name == task.EventEntity && record[keyValue] != nil {
		// What was put somewhere without a task: its value is a result like another.
		e.Record = without(record)
		e.Record.(map[string]any)[keyValue] = fields("generated", map[string]any{keyValue: record[keyValue]})[keyValue]
	}
	drop := filter{Policy: &Policy{cfg: Config{DropFields: p.cfg.DropFields, Values: Values}}}
	if len(p.cfg.DropFields) > 0 {
		if len(e.Custom) > 0 {
			e.Custom = drop.root("custom", e.Custom)
		}
		if len(e.Attributes) > 0 {
			e.Attributes = drop.root("attributes", e.Attributes)
		}
	}
	dropped := func(name string) bool { return glob.Any(p.cfg.DropFields, name) }
	// A message, a traceback and what was printed quote values.
	quotes := p.cfg.Values != Values
	for _, k := range []string{attrMessage, attrStacktrace} {
		if _, ok := e.Attributes[k]; ok && quotes {
			e.Attributes = without(e.Attributes, k)
			drop.left++
		}
	}
	for name, s := range map[string]*string{"stdout": &e.Stdout, "stderr": &e.Stderr} {
		if *s != "" && (quotes || dropped(name)) {
			*s = ""
			drop.left++
		}
	}
	if len(e.Tags) > 0 && dropped("tags") {
		drop.left += len(e.Tags)
		e.Tags = nil
	}
	w.n.Left += drop.left
	return true
}

// walk takes secrets out of values and cuts what is too long. It copies what it changes.
type walk struct {
	limit int // characters of a text; 0 = any
	size  int // bytes of all values, roughly
	n     Counts
}

// nodeSize is what a value costs besides its text.
const nodeSize = 16

func (w *walk) named(name string, v any) (any, bool) {
	if hides(name, v) {
		w.n.Redacted++
		w.size += 2 * nodeSize
		return redacted(), true
	}
	return w.value(v)
}

func (w *walk) value(v any) (any, bool) {
	w.size += nodeSize
	var out any
	var changed bool
	switch v := v.(type) {
	case string:
		out, changed = w.text(v)
	case []byte:
		out, changed = w.bytes(v)
	case map[string]any:
		out, changed = w.mapping(v)
	case []any:
		out, changed = w.list(v)
	}
	if changed {
		return out, true
	}
	return v, false
}

func (w *walk) mapping(m map[string]any) (map[string]any, bool) {
	out, changed := m, false
	for name, v := range m {
		w.size += len(name)
		if v, ok := w.named(name, v); ok {
			if !changed {
				out, changed = without(m), true
			}
			out[name] = v
		}
	}
	return out, changed
}

func (w *walk) list(l []any) (any, bool) {
	out, changed := l, false
	before := public
	for i, v := range l {
		hidden := false
		if s, ok := v.(string); !ok {
			before = public
		} else if before != public || strings.HasPrefix(s, "-") {
			s, before, hidden = argument(s, before)
			if hidden {
				v = s
				w.n.Redacted++
			}
		}
		value, ok := w.value(v)
		if ok || hidden {
			if !changed {
				out, changed = append([]any(nil), l...), true
			}
			out[i] = value
		}
	}
	return out, changed
}

// window is how much more of a text than is kept is looked at for secrets.
const window = 64 << 10

// text returns nothing when the text stays as it is.
func (w *walk) text(s string) (any, bool) {
	length := len(s)
	if w.limit > 0 && length > w.limit {
		length = runes(s)
	}
	if w.limit == 0 || length <= w.limit {
		out, n := Text(s)
		w.n.Redacted += n
		w.size += len(out)
		if n == 0 {
			return nil, false
		}
		return out, true
	}
	out, n := Text(s[:min(len(s), 4*w.limit+window)])
	head := firstRunes(out, w.limit/8)
	w.n.Redacted += n
	w.n.Cut++
	w.size += len(head) + 2*nodeSize
	return cutValue("str", length, head), true
}

func (w *walk) bytes(b []byte) (any, bool) {
	out, n := Text(string(b))
	w.n.Redacted += n
	if w.limit > 0 && len(b) > w.limit {
		head := []byte(out[:min(len(out), w.limit/8)])
		w.n.Cut++
		w.size += len(head) + 2*nodeSize
		return cutValue("bytes", len(b), head), true
	}
	w.size += len(out)
	if n == 0 {
		return b, false
	}
	return []byte(out), true
}

func cutValue(kind string, length int, head any) map[string]any {
	return map[string]any{keyCut: map[string]any{"type": kind, "length": int64(length), "head": head}}
}

// attributes hold texts that stay texts.
func (w *walk) attributes(m map[string]any, limit int) (map[string]any, bool) {
	out, changed := m, false
	for name, v := range m {
		w.size += len(name) + nodeSize
		var ok bool
		if s, isText := v.(string); isText && !hides(name, v) {
			v, ok = w.plain(s, limit)
		} else {
			v, ok = w.named(name, v)
		}
		if ok {
			if !changed {
				out, changed = without(m), true
			}
			out[name] = v
		}
	}
	return out, changed
}

// plain cuts a long text in its middle: the end of a traceback says what happened.
func (w *walk) plain(s string, limit int) (string, bool) {
	if s == "" {
		return s, false
	}
	out, n := Text(s)
	w.n.Redacted += n
	if len(out) > limit+cutSlack {
		if length := runes(out); length > limit+cutSlack {
			out = cutMiddle(out, length, limit)
			w.n.Cut++
			n++
		}
	}
	w.size += len(out)
	return out, n > 0
}

func (w *walk) tags(tags []string) []string {
	out, changed := tags, false
	for i, t := range tags {
		if t, ok := w.plain(t, w.limit); ok {
			if !changed {
				out, changed = append([]string(nil), tags...), true
			}
			out[i] = t
		}
	}
	return out
}

// pathsOf keeps the paths of texts that are still there and lead nowhere secret.
func pathsOf(e *task.Event, changed bool) map[string]task.PathInfo {
	var there map[string]bool
	if changed {
		there = map[string]bool{}
		for _, m := range []map[string]any{e.Used, e.Generated, e.Custom} {
			texts(m, there)
		}
	}
	keep := func(s string, info task.PathInfo) bool {
		return (!changed || there[s]) && !Secret(s) && (info.Real == s || !Secret(info.Real)) && !Secret(info.Rel)
	}
	for s, info := range e.Paths {
		if keep(s, info) {
			continue
		}
		out := make(map[string]task.PathInfo, len(e.Paths))
		for s, info := range e.Paths {
			if keep(s, info) {
				out[s] = info
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return e.Paths
}

func texts(v any, out map[string]bool) {
	switch v := v.(type) {
	case string:
		out[v] = true
	case []any:
		for _, e := range v {
			texts(e, out)
		}
	case map[string]any:
		for _, e := range v {
			texts(e, out)
		}
	}
}

// Secret says whether a text holds a secret, or held one.
func Secret(s string) bool {
	if strings.Contains(s, Mark) {
		return true
	}
	_, n := Text(s)
	return n > 0
}
