package capture

import (
	"fmt"
	"sort"
	"unicode/utf8"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// sizeReason is what a value says that was cut because its event was too large.
const sizeReason = "size of the event"

func runes(s string) int { return utf8.RuneCountInString(s) }

// firstRunes is the beginning of s, n characters at most.
func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// cutMiddle keeps a quarter of limit from the beginning and the rest from the end.
func cutMiddle(s string, length, limit int) string {
	head := firstRunes(s, limit/4)
	end := s
	for skip := length - (limit - limit/4); skip > 0; skip-- {
		_, size := utf8.DecodeRuneInString(end)
		end = end[size:]
	}
	return fmt.Sprintf("%s\n[%d characters cut]\n%s", head, length-limit, end)
}

// shrink makes an event fit into limit bytes and returns how many values it cut. The large ones are cut, and the small
// ones stay. The result depends on the event alone, so that an event that is read again is the same one.
func shrink(e *task.Event, limit int) int {
	s := shrinker{}
	for _, text := range []*string{&e.Stdout, &e.Stderr} {
		*text = s.plain(*text, limit/8)
	}
	attrs := map[string]any{}
	for k, v := range e.Attributes {
		if text, ok := v.(string); ok {
			v = s.plain(text, limit/8)
		}
		attrs[k] = v
	}
	if e.Attributes != nil {
		e.Attributes = attrs
	}
	// The tags, the texts and the name of the workflow have at most half of it.
	roots := map[string]any{}
	for name, m := range map[string]map[string]any{"used": e.Used, "generated": e.Generated, "custom": e.Custom, "attributes": e.Attributes} {
		if m != nil {
			roots[name] = m
		}
	}
	out := s.fair(roots, limit/2)
	pick := func(name string, dst *map[string]any) {
		if m, ok := out[name].(map[string]any); ok {
			*dst = m
		}
	}
	pick("used", &e.Used)
	pick("generated", &e.Generated)
	pick("custom", &e.Custom)
	pick("attributes", &e.Attributes)
	if record, ok := e.Record.(map[string]any); ok && e.Name != task.EventCheckpoint {
		e.Record, _ = s.value(record, limit/2)
	}
	return s.cut
}

type shrinker struct{ cut int }

func (s *shrinker) plain(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	if n := runes(text); n > limit/4 {
		s.cut++
		return cutMiddle(text, n, limit/4)
	}
	return text
}

// minShare is what a value needs to say that it was cut.
const minShare = 128

// fair shares a budget: what is small takes what it needs, the large ones share the rest.
func (s *shrinker) fair(m map[string]any, budget int) map[string]any {
	type child struct {
		name string
		size int
	}
	children := make([]child, 0, len(m))
	for name, v := range m {
		children = append(children, child{name, len(name) + sizeOf(v)})
	}
	sort.Slice(children, func(i, j int) bool {
		if children[i].size != children[j].size {
			return children[i].size < children[j].size
		}
		return children[i].name < children[j].name
	})
	out := make(map[string]any, len(m))
	for i, c := range children {
		share := budget / (len(children) - i)
		if c.size <= share {
			out[c.name] = m[c.name]
			budget -= c.size
			continue
		}
		if share < minShare+len(c.name) && len(out) > 0 {
			break // no room even to say what was cut
		}
		v, size := s.value(m[c.name], share-len(c.name))
		out[c.name] = v
		budget -= size + len(c.name)
	}
	return out
}

func (s *shrinker) value(v any, budget int) (any, int) {
	var out any
	switch v := v.(type) {
	case map[string]any:
		if task.IsMarker(v) {
			out = map[string]any{keyCut: map[string]any{"type": "dict", "length": int64(len(v)), "reason": sizeReason}}
			break
		}
		kept := s.fair(v, budget)
		if len(kept) == len(v) {
			return kept, sizeOf(kept)
		}
		out = map[string]any{keyCut: map[string]any{"type": "dict", "length": int64(len(v)), "head": kept, "reason": sizeReason}}
	case []any:
		n, size := 0, minShare
		for ; n < len(v); n++ {
			if size += sizeOf(v[n]); size > budget {
				break
			}
		}
		out = map[string]any{keyCut: map[string]any{"type": "list", "length": int64(len(v)), "head": append([]any{}, v[:n]...), "reason": sizeReason}}
	case string:
		out = map[string]any{keyCut: map[string]any{"type": "str", "length": int64(runes(v)), "head": firstRunes(v, max(0, budget-minShare)/4), "reason": sizeReason}}
	case []byte:
		out = map[string]any{keyCut: map[string]any{"type": "bytes", "length": int64(len(v)), "reason": sizeReason}}
	default:
		return v, sizeOf(v)
	}
	s.cut++
	return out, sizeOf(out)
}

// sizeOf is as walk measures.
func sizeOf(v any) int {
	n := nodeSize
	switch v := v.(type) {
	case string:
		n += len(v)
	case []byte:
		n += len(v)
	case []any:
		for _, e := range v {
			n += sizeOf(e)
		}
	case map[string]any:
		for k, e := range v {
			n += len(k) + sizeOf(e)
		}
	}
	return n
}
