package task

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// reader reads the canonical encoding, which needs no more than a look at each byte: states are read back far more often
// than anything else is decoded. It gives up at whatever the encoding does not write (white space, odd escapes and
// numbers, deep nesting); the general decoder then says what that is. Strings share the memory of the text.
type reader struct {
	text string
	at   int
}

// readCanonical reads one value, and says whether it could.
func readCanonical(text string, depth int) (any, bool) {
	r := reader{text: text}
	v, ok := r.value(depth)
	return v, ok && r.at == len(text)
}

func (r *reader) next(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *reader) value(depth int) (any, bool) {
	if depth < 0 || r.at >= len(r.text) {
		return nil, false
	}
	switch r.text[r.at] {
	case '{':
		m := make(map[string]any)
		ok := r.object(func(k string) bool {
			v, ok := r.value(depth - 1)
			m[k] = v
			return ok
		})
		if !ok {
			return nil, false
		}
		if v, ok := fromMarker(m); ok {
			return v, true
		}
		return m, true
	case '[':
		return r.list(depth)
	case '"':
		return r.str()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	default:
		return r.number()
	}
}

func (r *reader) word(w string) bool {
	if !strings.HasPrefix(r.text[r.at:], w) {
		return false
	}
	r.at += len(w)
	return true
}

// object calls member before each value of an object, to read it.
func (r *reader) object(member func(key string) bool) bool {
	if !r.next('{') {
		return false
	}
	if r.next('}') {
		return true
	}
	for {
		k, ok := r.str()
		if !ok || !r.next(':') || !member(k) {
			return false
		}
		if r.next('}') {
			return true
		}
		if !r.next(',') {
			return false
		}
	}
}

func (r *reader) list(depth int) (any, bool) {
	r.at++
	l := []any{}
	if r.next(']') {
		return l, true
	}
	for {
		v, ok := r.value(depth - 1)
		if !ok {
			return nil, false
		}
		l = append(l, v)
		if r.next(']') {
			return l, true
		}
		if !r.next(',') {
			return nil, false
		}
	}
}

var shortEscapes = map[byte]byte{'"': '"', '\\': '\\', 'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f'}

func (r *reader) str() (string, bool) {
	if !r.next('"') {
		return "", false
	}
	start, plain, ascii := r.at, true, true
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			s := r.text[start:r.at]
			r.at++
			if !ascii && !utf8.ValidString(s) {
				return "", false
			}
			if plain {
				return s, true
			}
			return unescape(s)
		case c == '\\':
			plain = false
			r.at++ // whatever is escaped ends no string
		case c < 0x20:
			return "", false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", false
}

func unescape(s string) (string, bool) {
	var b strings.Builder
	b.Grow(len(s))
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			return b.String(), true
		}
		b.WriteString(s[:i])
		if c, ok := shortEscapes[s[i+1]]; ok {
			b.WriteByte(c)
			s = s[i+2:]
			continue
		}
		if s[i+1] != 'u' || len(s) < i+6 {
			return "", false
		}
		c, err := strconv.ParseUint(s[i+2:i+6], 16, 7)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		s = s[i+6:]
	}
}

func (r *reader) digits() bool {
	start := r.at
	for r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at > start
}

func (r *reader) number() (any, bool) {
	start := r.at
	r.next('-')
	first := r.at
	if !r.digits() || r.text[first] == '0' && r.at > first+1 {
		return nil, false
	}
	whole := true
	if r.next('.') {
		if whole = false; !r.digits() {
			return nil, false
		}
	}
	if r.next('e') {
		whole = false
		if !r.next('-') {
			r.next('+')
		}
		if !r.digits() {
			return nil, false
		}
	}
	text := r.text[start:r.at]
	if whole {
		i, err := strconv.ParseInt(text, 10, 64)
		return i, err == nil
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}
