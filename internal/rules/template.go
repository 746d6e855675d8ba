package rules

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// scope looks captures up by name, also nested ones: {params.layers}.
type scope []map[string]any

func (s scope) get(name string) (any, bool) {
	for _, m := range s {
		if v, ok := lookup(m, name); ok {
			return v, true
		}
	}
	return nil, false
}

func lookup(m map[string]any, name string) (any, bool) {
	if v, ok := m[name]; ok {
		return v, true
	}
	for i := len(name) - 1; i > 0; i-- {
		if name[i] != '.' {
			continue
		}
		if inner, ok := m[name[:i]].(map[string]any); ok {
			if v, ok := lookup(inner, name[i+1:]); ok {
				return v, true
			}
		}
	}
	return nil, false
}

// template is text with {captures}. One capture alone keeps its type; else the result is text.
type template struct {
	source string
	parts  []part
}

func compileTemplate(src string) (*template, error) {
	parts, err := parseParts(src)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		switch {
		case p.field && p.typ != "":
			return nil, fmt.Errorf("{%s:%s}: types stand where a value is captured (match), not where it is used", p.name, p.typ)
		case p.field && p.name == "":
			return nil, fmt.Errorf("{} names no capture")
		}
	}
	return &template{source: src, parts: parts}, nil
}

func (t *template) names() []string {
	var out []string
	for _, p := range t.parts {
		if p.field {
			out = append(out, p.name)
		}
	}
	return out
}

// eval returns false and the name of the capture that has no value.
func (t *template) eval(s scope) (v any, missing string, ok bool) {
	if len(t.parts) == 1 && t.parts[0].field {
		v, ok := s.get(t.parts[0].name)
		return plain(v), t.parts[0].name, ok
	}
	var b strings.Builder
	for _, p := range t.parts {
		if !p.field {
			b.WriteString(p.text)
			continue
		}
		v, ok := s.get(p.name)
		if !ok {
			return nil, p.name, false
		}
		b.WriteString(asText(v))
	}
	return b.String(), "", true
}

// plain turns a time into text: values of a task know no times.
func plain(v any) any {
	if t, ok := v.(time.Time); ok {
		return t.Format(time.RFC3339Nano)
	}
	return v
}

func asText(v any) string {
	switch v := plain(v).(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		return task.JSON(v)
	}
}

// values makes a map of fields: of a list of captures, or of a map from a field (dots nest) to its value.
type values struct {
	fields []valueField
}

type valueField struct {
	path []string
	node node
}

// node is a value: a template, a constant, or a list or map of nodes.
type node struct {
	template *template
	list     []node
	fields   map[string]node
	constant any
}

func compileValues(v any) (*values, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return compileValues([]any{v})
	case []any:
		out := &values{}
		for i, e := range v {
			name, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("item %d is %v; a list holds names of captures", i+1, e)
			}
			name = strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}")
			if !nameForm.MatchString(name) {
				return nil, fmt.Errorf("item %d: %q is not the name of a capture; write a map (field: '{capture}') for more", i+1, name)
			}
			t := &template{source: "{" + name + "}", parts: []part{{name: name, field: true}}}
			out.fields = append(out.fields, valueField{path: strings.Split(name, "."), node: node{template: t}})
		}
		return out, nil
	case map[string]any:
		out := &values{}
		for _, k := range sortedKeys(v) {
			n, err := compileNode(v[k])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			path := strings.Split(k, ".")
			for _, p := range path {
				if p == "" {
					return nil, fmt.Errorf("%q is not a field; write name or outer.inner", k)
				}
			}
			out.fields = append(out.fields, valueField{path: path, node: n})
		}
		return out, nil
	}
	return nil, fmt.Errorf("%v is neither a list of captures nor a map from fields to values", v)
}

func compileNode(v any) (node, error) {
	switch v := v.(type) {
	case string:
		t, err := compileTemplate(v)
		if err != nil {
			return node{}, err
		}
		if len(t.names()) == 0 {
			text, _, _ := t.eval(nil)
			return node{constant: text}, nil
		}
		return node{template: t}, nil
	case []any:
		n := node{list: make([]node, len(v))}
		for i, e := range v {
			var err error
			if n.list[i], err = compileNode(e); err != nil {
				return node{}, err
			}
		}
		return n, nil
	case map[string]any:
		n := node{fields: make(map[string]node, len(v))}
		for k, e := range v {
			c, err := compileNode(e)
			if err != nil {
				return node{}, fmt.Errorf("%s: %w", k, err)
			}
			n.fields[k] = c
		}
		return n, nil
	}
	return node{constant: task.Normalize(v)}, nil
}

func (n node) names() []string {
	var out []string
	if n.template != nil {
		out = n.template.names()
	}
	for _, e := range n.list {
		out = append(out, e.names()...)
	}
	for _, e := range n.fields {
		out = append(out, e.names()...)
	}
	return out
}

// eval leaves out what has no value.
func (n node) eval(s scope) (any, bool) {
	switch {
	case n.template != nil:
		v, _, ok := n.template.eval(s)
		return v, ok
	case n.list != nil:
		out := make([]any, 0, len(n.list))
		for _, e := range n.list {
			if v, ok := e.eval(s); ok {
				out = append(out, v)
			}
		}
		return out, true
	case n.fields != nil:
		out := make(map[string]any, len(n.fields))
		for k, e := range n.fields {
			if v, ok := e.eval(s); ok {
				out[k] = v
			}
		}
		return out, true
	}
	return n.constant, true
}

func (v *values) names() []string {
	if v == nil {
		return nil
	}
	var out []string
	for _, f := range v.fields {
		out = append(out, f.node.names()...)
	}
	return out
}

// into lays the fields over base, which is not changed.
func (v *values) into(base map[string]any, s scope) map[string]any {
	if v == nil {
		return base
	}
	for _, f := range v.fields {
		if val, ok := f.node.eval(s); ok {
			base = setPath(base, f.path, val)
		}
	}
	return base
}

// setPath returns a copy of m with one field replaced.
func setPath(m map[string]any, path []string, v any) map[string]any {
	out := make(map[string]any, len(m)+1)
	for k, e := range m {
		out[k] = e
	}
	if len(path) == 1 {
		out[path[0]] = v
		return out
	}
	inner, _ := out[path[0]].(map[string]any)
	out[path[0]] = setPath(inner, path[1:], v)
	return out
}

// dropPath returns a copy of m without one field.
func dropPath(m map[string]any, path []string) map[string]any {
	if _, ok := m[path[0]]; !ok {
		return m
	}
	out := make(map[string]any, len(m))
	for k, e := range m {
		out[k] = e
	}
	if inner, ok := out[path[0]].(map[string]any); ok && len(path) > 1 {
		out[path[0]] = dropPath(inner, path[1:])
	} else if len(path) == 1 {
		delete(out, path[0])
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
