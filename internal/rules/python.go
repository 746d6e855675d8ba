package rules

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// parsePython reads what Python prints for dicts, lists, tuples, sets, strings, numbers, True, False and None.
func parsePython(s string) (any, error) {
	p := &pythonReader{s: s}
	v, err := p.value(0)
	if err == nil {
		p.blanks()
		if p.i < len(p.s) {
			err = fmt.Errorf("%q follows the value", clip(p.s[p.i:]))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not a Python value: %w", clip(s), err)
	}
	return v, nil
}

type pythonReader struct {
	s string
	i int
}

func (p *pythonReader) blanks() {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *pythonReader) take(c byte) bool {
	p.blanks()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *pythonReader) value(depth int) (any, error) {
	p.blanks()
	if p.i >= len(p.s) {
		return nil, fmt.Errorf("it ends too early")
	}
	if depth > task.MaxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d", task.MaxDepth)
	}
	switch c := p.s[p.i]; c {
	case '[':
		return p.list(']', depth)
	case '(':
		return p.list(')', depth)
	case '{':
		return p.dict(depth)
	case '\'', '"':
		return p.str(c)
	default:
		return p.word(depth)
	}
}

func (p *pythonReader) list(end byte, depth int) (any, error) {
	p.i++
	out := []any{}
	for !p.take(end) {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if !p.take(',') {
			if !p.take(end) {
				return nil, fmt.Errorf("character %d should be , or %c", p.i+1, end)
			}
			break
		}
	}
	return out, nil
}

// dict reads a dict, and a set as a list.
func (p *pythonReader) dict(depth int) (any, error) {
	p.i++
	m := map[string]any{}
	var set []any
	for !p.take('}') {
		k, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.take(':') {
			v, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			name, ok := k.(string)
			if !ok {
				name = task.JSON(k)
			}
			m[name] = v
		} else {
			set = append(set, k)
		}
		if !p.take(',') {
			if !p.take('}') {
				return nil, fmt.Errorf("character %d should be , or }", p.i+1)
			}
			break
		}
	}
	if set != nil {
		return set, nil
	}
	return m, nil
}

var pythonEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"", '0': "\x00", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v",
}

func (p *pythonReader) str(quote byte) (any, error) {
	p.i++
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == quote:
			return b.String(), nil
		case c != '\\' || p.i >= len(p.s):
			b.WriteByte(c)
		default:
			c = p.s[p.i]
			p.i++
			if r, ok := pythonEscapes[c]; ok {
				b.WriteString(r)
				continue
			}
			digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if digits == 0 || p.i+digits > len(p.s) {
				b.WriteByte('\\')
				b.WriteByte(c)
				continue
			}
			n, err := strconv.ParseUint(p.s[p.i:p.i+digits], 16, 32)
			if err != nil || n > utf8.MaxRune {
				return nil, fmt.Errorf("the escape at character %d is wrong", p.i-1)
			}
			b.WriteRune(rune(n))
			p.i += digits
		}
	}
	return nil, fmt.Errorf("a string is not closed")
}

var pythonWords = map[string]any{
	"True": true, "False": false, "None": nil, "nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1),
}

// word reads a number or a name; names in front of a value (np.float64(0.5), PosixPath('a')) are looked through.
func (p *pythonReader) word(depth int) (any, error) {
	start := p.i
	for p.i < len(p.s) && strings.IndexByte(",:()[]{}\"' \t\r\n", p.s[p.i]) < 0 {
		p.i++
	}
	w := p.s[start:p.i]
	if v, ok := pythonWords[w]; ok {
		return v, nil
	}
	if v, err := parseNumber(strings.ReplaceAll(w, "_", "")); err == nil && w != "" {
		return v, nil
	}
	if w != "" && p.i < len(p.s) && p.s[p.i] == '(' && nameForm.MatchString(w) {
		v, err := p.list(')', depth)
		if err != nil {
			return nil, err
		}
		if l := v.([]any); len(l) == 1 {
			return l[0], nil
		}
		return v, nil
	}
	return nil, fmt.Errorf("%q at character %d is no number, string, list, dict, True, False or None", clip(w), start+1)
}
