package query

import (
	"fmt"
	"sort"
	"strings"
)

// Error is a mistake in a query: where, what, and what would be valid. The API answers it with 400.
type Error struct {
	Field      string   // where in the query: "filter.used.layers", "sort[0]"
	Problem    string   // what is wrong, with the value
	Valid      []string // what would be valid, where that is a short list
	Suggestion string   // the valid name that is most like the one given, "" if none is
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Field != "" {
		b.WriteString(e.Field)
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Suggestion != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Suggestion)
	}
	if len(e.Valid) > 0 {
		b.WriteString("; valid: ")
		b.WriteString(strings.Join(e.Valid, ", "))
	}
	return b.String()
}

func fail(field, format string, args ...any) *Error {
	return &Error{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// unknown is the error for a name that is none of the valid ones.
func unknown(field, what, name string, valid []string) *Error {
	return &Error{
		Field: field, Problem: fmt.Sprintf("unknown %s %q", what, name), Valid: valid, Suggestion: Nearest(name, valid),
	}
}

// Nearest returns the candidate that differs from name in the fewest letters, or "" when none is near enough to be what
// was meant.
func Nearest(name string, candidates []string) string {
	best, least := "", 1+len(name)/3
	if least > 4 {
		least = 4
	}
	sorted := append([]string(nil), candidates...)
	sort.Strings(sorted)
	for _, c := range sorted {
		if d := distance(strings.ToLower(name), strings.ToLower(c), least); d < least || d == least && best == "" {
			best, least = c, d
		}
	}
	return best
}

// distance is the Damerau-Levenshtein distance (a swap of neighbours counts once), or more than limit.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
