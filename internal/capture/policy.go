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
	out := f.fields(root, values, len(p.cfg.KeepFields) == 0)
	return out, f.left
}

type filter struct {
	*Policy
	left int
}

func (f *filter) fields(path string, values map[string]any, kept bool) map[string]any {
	out := make(map[string]any, len(values))
	for name, v := range values {
		field := path + "." + name
		if glob.Any(f.cfg.DropFields, field) {
			f.left += leaves(v)
			continue
		}
		keep := kept || glob.Any(f.cfg.KeepFields, field)
		if m, ok := v.(map[string]any); ok && !task.IsMarker(m) {
			if below := f.fields(field, m, keep); len(below) > 0 || keep && len(m) == 0 {
				out[name] = below
			}
			continue
		}
		switch {
		case !keep || f.cfg.Values == None:
			f.left += leaves(v)
		case f.cfg.Values == Numbers:
			out[name] = f.numbers(v)
		default:
			out[name] = v
		}
	}
	return out
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
