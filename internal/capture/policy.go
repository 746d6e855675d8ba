package capture

import (
	"github.com/otelcol-mida/otelcol-mida/internal/glob"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	keyCut   = task.KeyCut
	keyArray = "$array"
	keyInt   = "$int"
)

// Policy is a compiled Config. It can be used by several goroutines.
type Policy struct {
	cfg       Config
	maxString int
	maxEvent  int
	trivial   bool // every field is captured as it is
}

// New compiles a configuration that Validate accepts.
func New(cfg Config) *Policy {
	p := &Policy{cfg: cfg, maxString: cfg.MaxString, maxEvent: cfg.MaxEvent}
	if p.maxString == 0 {
		p.maxString = defaultMaxString
	}
	if p.maxEvent == 0 {
		p.maxEvent = defaultMaxEvent
	}
	if p.cfg.Values == "" {
		p.cfg.Values = Values
	}
	p.trivial = p.cfg.Values == Values && len(cfg.KeepFields) == 0 && len(cfg.DropFields) == 0
	return p
}

// Activity says whether tasks of an activity are captured at all.
func (p *Policy) Activity(name string) bool {
	if glob.Any(p.cfg.DropActivities, name) {
		return false
	}
	return len(p.cfg.KeepActivities) == 0 || glob.Any(p.cfg.KeepActivities, name)
}

// Fields returns the part of a map that is captured, and how many values were left out. root is the first part of the
// names of its fields: used, generated. It does not change values.
func (p *Policy) Fields(root string, values map[string]any) (map[string]any, int) {
	if p.trivial || values == nil {
		return values, 0
	}
	f := filter{Policy: p}
	out := f.root(root, values)
	return out, f.left
}

type filter struct {
	*Policy
	left int
}

func (f *filter) root(name string, values map[string]any) map[string]any {
	if glob.Any(f.cfg.DropFields, name) {
		if len(values) > 0 {
			f.left += leaves(values)
		}
		return map[string]any{}
	}
	return f.fields(name, values, len(f.cfg.KeepFields) == 0 || glob.Any(f.cfg.KeepFields, name))
}

func (f *filter) fields(path string, values map[string]any, kept bool) map[string]any {
	out := make(map[string]any, len(values))
	for name, v := range values {
		field := path + "." + name
		if glob.Any(f.cfg.DropFields, field) {
			f.left += leaves(v)
			continue
		}
		if v, ok := f.value(field, v, kept || glob.Any(f.cfg.KeepFields, field)); ok {
			out[name] = v
		}
	}
	return out
}

// value is what is left of a field, and whether anything is. What is inside of a list or of a marker has the name that it
// has without it, as in queries: used.parts.n are those of all parts.
func (f *filter) value(field string, v any, kept bool) (any, bool) {
	switch m := v.(type) {
	case map[string]any:
		if inner, ok := m[task.KeyMap].(map[string]any); ok && len(m) == 1 {
			below := f.fields(field, inner, kept)
			if task.IsMarker(below) {
				return map[string]any{task.KeyMap: below}, true
			}
			return below, len(below) > 0 || kept && len(inner) == 0
		}
		if !task.IsMarker(m) {
			below := f.fields(field, m, kept)
			return below, len(below) > 0 || kept && len(m) == 0
		}
		if cut, ok := m[keyCut].(map[string]any); ok && f.inside(cut["head"]) {
			head, some := f.value(field, cut["head"], kept)
			kept = kept || some
			v = map[string]any{keyCut: without(cut, "head")}
			if some {
				v.(map[string]any)[keyCut].(map[string]any)["head"] = head
			}
		}
	case []any:
		if f.inside(v) {
			return f.list(field, m, kept)
		}
	}
	switch {
	case !kept || f.cfg.Values == None:
		f.left += leaves(v)
		return nil, false
	case f.cfg.Values == Numbers:
		return f.numbers(v), true
	}
	return v, true
}

// inside says whether there may be fields in a value that the policy treats differently.
func (f *filter) inside(v any) bool {
	if f.cfg.Values == None || len(f.cfg.DropFields) == 0 && len(f.cfg.KeepFields) == 0 {
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		return true
	case []any:
		for _, e := range v {
			switch e.(type) {
			case map[string]any, []any:
				return true
			}
		}
	}
	return false
}

func (f *filter) list(field string, l []any, kept bool) (any, bool) {
	out := make([]any, 0, len(l))
	for _, e := range l {
		if e, ok := f.value(field, e, kept); ok {
			out = append(out, e)
		}
	}
	return out, len(out) > 0
}

// numbers keeps numbers and booleans; what is left out becomes its type.
func (f *filter) numbers(v any) any {
	switch v := v.(type) {
	case string:
		f.left++
		return described("str")
	case []byte:
		f.left++
		return described("bytes")
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = f.numbers(e)
		}
		return out
	case map[string]any:
		if len(v) == 1 {
			for k, inner := range v {
				switch k {
				case keyArray, "$object", task.KeyRef, keyInt, KeyRedacted:
					return v
				case keyCut:
					if cut, ok := inner.(map[string]any); ok {
						return map[string]any{keyCut: without(cut, "head")}
					}
				}
			}
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = f.numbers(e)
		}
		return out
	}
	return v
}

func described(kind string) map[string]any {
	return map[string]any{"$object": map[string]any{"type": kind}}
}

func without(m map[string]any, names ...string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// leaves counts what a person would call values.
func leaves(v any) int {
	m, ok := v.(map[string]any)
	if !ok || task.IsMarker(m) {
		return 1
	}
	n := 0
	for _, e := range m {
		n += leaves(e)
	}
	return max(n, 1)
}
