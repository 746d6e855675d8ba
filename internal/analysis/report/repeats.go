package report

import (
	"encoding/json"
	"strings"
)

// Parts of a result that the page shows once, where several results have the same.
var repeated = map[string]func(*Result) any{
	"raw":        func(r *Result) any { return r.Raw },
	"evaluation": func(r *Result) any { return r.Evaluation },
	"earlier":    func(r *Result) any { return r.Earlier },
	"settings":   func(r *Result) any { return r.Settings },
	"workflows":  func(r *Result) any { return r.Reproduce.Workflows },
	"inputs":     func(r *Result) any { return r.Reproduce.Inputs },
}

// findRepeats notes which parts of each result an earlier one has, too: to the letter of the report's data.
func (r *Report) findRepeats() error {
	for part, of := range repeated {
		first := map[string]int{}
		for _, result := range r.Results {
			data, err := json.Marshal(of(result))
			if err != nil {
				return err
			}
			if rank, ok := first[string(data)]; ok {
				if result.same == nil {
					result.same = map[string]int{}
				}
				result.same[part] = rank
			} else {
				first[string(data)] = result.Rank
			}
		}
	}
	return nil
}

// SameAs is the rank of an earlier result that has the same part, 0 for none.
func (r *Result) SameAs(part string) int { return r.same[part] }

// commonHeader is what the headers of files say, where all that were read say the same.
func commonHeader(files []*File) (common string) {
	n := 0
	for _, f := range files {
		h := f.header()
		if h == "" {
			continue
		}
		if n++; common != "" && h != common {
			return ""
		}
		common = h
	}
	if n < 2 {
		return ""
	}
	return common
}

// recorded are the facts that somebody told; unrecorded names the others.
func recorded(facts []Fact) (out []Fact) {
	for _, f := range facts {
		if f.Value.V != nil {
			out = append(out, f)
		}
	}
	return out
}

func unrecorded(facts []Fact) string {
	var names []string
	for _, f := range facts {
		if f.Value.V == nil {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ", ")
}
