// Package glob has the patterns over names of fields, activities and attributes: the same everywhere, in Go and Python.
package glob

import (
	"fmt"
	"unicode/utf8"
)

// Any says whether one of the patterns fits the whole name.
func Any(patterns []string, name string) bool {
	for _, p := range patterns {
		if Match(p, name) {
			return true
		}
	}
	return false
}

// Validate says what is wrong with a pattern that hardly can be meant as it is: Match would take it literally.
func Validate(pattern string) error {
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '[' {
			continue
		}
		end := setEnd(pattern, i)
		if end == 0 {
			return fmt.Errorf("the [ at byte %d is not closed; write [[] for the character itself", i)
		}
		i = end
	}
	return nil
}

// Match is Python's fnmatch.fnmatchcase: * takes anything (also dots and slashes), ? one character, [abc], [a-z], [!abc]
// one of a set; a [ that is not closed is itself.
func Match(pattern, name string) bool {
	star, mark := -1, 0
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, mark = p, n
				p++
				continue
			}
			r, size := utf8.DecodeRuneInString(name[n:])
			if next, ok := one(pattern, p, r); ok {
				p, n = next, n+size
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(name[mark:])
		mark += size
		p, n = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// one matches a character with what stands at p, and returns where the pattern goes on.
func one(pattern string, p int, r rune) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		if end := setEnd(pattern, p); end > 0 {
			return end + 1, inSet([]rune(pattern[p+1:end]), r)
		}
	}
	want, size := utf8.DecodeRuneInString(pattern[p:])
	return p + size, want == r
}

// setEnd is where the set that begins at p is closed; a ] at its beginning belongs to it.
func setEnd(pattern string, p int) int {
	i := p + 1
	if i < len(pattern) && pattern[i] == '!' {
		i++
	}
	if i < len(pattern) && pattern[i] == ']' {
		i++
	}
	for ; i < len(pattern); i++ {
		if pattern[i] == ']' {
			return i
		}
	}
	return 0
}

func inSet(set []rune, r rune) bool {
	negated := set[0] == '!'
	if negated {
		set = set[1:]
	}
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			if set[i] <= r && r <= set[i+2] {
				return !negated
			}
			i += 2
		} else if set[i] == r {
			return !negated
		}
	}
	return negated
}
