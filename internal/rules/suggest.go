package rules

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"sort"
	"strings"
)

// suggest names the known word that was probably meant, and else what there is.
func suggest(word string, known []string) string {
	sort.Strings(known)
	best, bestDistance := "", 1+len(word)/3
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d <= bestDistance && (best == "" || d < bestDistance) {
			best, bestDistance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) == 0:
		return "there is none"
	default:
		return "valid are " + strings.Join(known, ", ")
	}
}

// distance is the number of edits between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// explainRegex says where a regular expression is wrong.
func explainRegex(src string, err error) error {
	var se *syntax.Error
	if errors.As(err, &se) {
		hint := ""
		if se.Code == syntax.ErrInvalidPerlOp {
			hint = "; look-around is not available (RE2 syntax)"
		}
		if at := strings.Index(src, se.Expr); at >= 0 && se.Expr != src {
			return fmt.Errorf("%s at character %d: %q%s", se.Code, at+1, se.Expr, hint)
		}
		return fmt.Errorf("%s: %q%s", se.Code, se.Expr, hint)
	}
	return err
}
