package correlation

import (
	"fmt"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// Method is how numbers are correlated.
type Method string

// The methods.
const (
	Pearson  Method = "pearson"
	Spearman Method = "spearman"
)

// Methods are all methods, the default first.
var Methods = []Method{Pearson, Spearman}

// Correction is how p-values are corrected for the number of tests.
type Correction string

// The corrections: the first bounds the share of false discoveries, Holm and Bonferroni the chance of any.
const (
	BenjaminiHochberg Correction = "benjamini-hochberg"
	Holm              Correction = "holm"
	Bonferroni        Correction = "bonferroni"
	Uncorrected       Correction = "none"
)

// Corrections are all corrections, the default first.
var Corrections = []Correction{BenjaminiHochberg, Holm, Bonferroni, Uncorrected}

// Limits of one request. What is over them is refused, except that of more than MaxRanked tasks a part is ranked.
const (
	MaxFields     = 200     // on one side
	MaxCells      = 5_000   // pairs
	MaxRanked     = 100_000 // tasks of which ranks are made
	MaxCategories = 1_000   // of one field
	LeastN        = 3       // two tasks always lie on a line
)

// Request says what to correlate: each field of X with each of Y, over the tasks that Filter selects.
type Request struct {
	Filter     query.Filter
	X, Y       []Selector
	Method     Method
	Correction Correction
	MinN       int // tasks that a pair needs; below it the pair has no number
}

// Selector names one field, or all fields below a prefix such as "used.*" or "telemetry_peak.process.*".
type Selector struct {
	Name  string      // as it was given
	Field query.Field // what is read: the field itself, or the map with the fields
	All   bool        // all fields below Field and the path Below
	Below string
}

// ParseSelectors reads names of fields and prefixes; at says where they stand.
func ParseSelectors(at string, names []string) ([]Selector, error) {
	var out []Selector
	seen := map[string]bool{}
	for _, name := range names {
		if name = strings.TrimSpace(name); name == "" || seen[name] {
			continue
		}
		seen[name] = true
		s, err := parseSelector(at, name)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	switch {
	case len(out) == 0:
		return nil, &query.Error{Field: at, Problem: `names no field; want some such as "used.layers,elapsed", or a prefix such as "used.*"`}
	case len(out) > MaxFields:
		return nil, tooManyFields(at, fmt.Sprintf("%d fields", len(out)))
	}
	return out, nil
}

func parseSelector(at, name string) (Selector, error) {
	prefix, all := strings.CutSuffix(name, ".*")
	root, below, _ := strings.Cut(prefix, ".")
	if !all {
		f, err := query.LookupField(at, name)
		if err != nil {
			return Selector{}, err
		}
		return Selector{Name: name, Field: f, All: f.Type == query.Object}, nil
	}
	f, err := query.LookupField(at, root+".*")
	if err != nil {
		return Selector{}, err
	}
	if below != "" {
		below += "."
	}
	return Selector{Name: name, Field: f, All: true, Below: below}, nil
}

func tooManyFields(at, found string) *query.Error {
	return &query.Error{Field: at, Problem: fmt.Sprintf(
		"%s; want %d at most: name them, or narrow the prefix, as in used.cfg.*", found, MaxFields)}
}

func tooManyCells(x, y int) *query.Error {
	return &query.Error{Field: "y", Problem: fmt.Sprintf(
		"%d fields of x with %d of y are %d pairs; want %d at most: name fewer fields", x, y, x*y, MaxCells)}
}
