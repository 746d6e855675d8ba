package elastic

import (
	"regexp/syntax"
	"strings"
)

// containing selects the texts of a column that may match a pattern: those with the longest text that every match has.
// Servers have patterns of another kind, so the rest is decided in Go. ok is false for a pattern without such a text.
func containing(column, pattern string) (q object, ok bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, false
	}
	text := longestLiteral(re)
	if text == "" || strings.ContainsRune(text, '\uFFFD') {
		return nil, false
	}
	escaped := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(text)
	return object{"wildcard": object{column: object{"value": "*" + escaped + "*"}}}, true
}

func longestLiteral(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture, syntax.OpPlus:
		return longestLiteral(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return longestLiteral(re.Sub[0])
		}
	case syntax.OpConcat:
		longest := ""
		for _, sub := range re.Sub {
			if text := longestLiteral(sub); len(text) > len(longest) {
				longest = text
			}
		}
		return longest
	}
	return ""
}
