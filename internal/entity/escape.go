package entity

import (
	"strings"
	"unicode/utf8"
)

const upperHex = "0123456789ABCDEF"

// escapeName makes a name safe between the separators of an ID.
func escapeName(s string) string {
	return escape(s, func(c byte) bool { return c == '/' || c == ':' || c == '%' || c == ' ' })
}

// escapePath keeps a path readable: only control characters, bytes that are not
// UTF-8, and what would read as such an escape are escaped.
func escapePath(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '%' {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	return escape(s, nil)
}

func escape(s string, also func(byte) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			_, n := utf8.DecodeRuneInString(s[i:])
			if n > 1 {
				b.WriteString(s[i : i+n])
				i += n
				continue
			}
		}
		if c < ' ' || c >= 0x7f || also != nil && also(c) || c == '%' && escaped(s[i:]) {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		} else {
			b.WriteByte(c)
		}
		i++
	}
	return b.String()
}

// escaped reports whether s begins with a percent escape.
func escaped(s string) bool {
	return len(s) >= 3 && s[0] == '%' && hexValue(s[1]) >= 0 && hexValue(s[2]) >= 0
}

func hexValue(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// unescape decodes percent escapes and leaves what is none.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if escaped(s[i:]) {
			b.WriteByte(byte(hexValue(s[i+1])<<4 | hexValue(s[i+2])))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
