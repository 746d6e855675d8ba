package rules

import (
	"fmt"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// builtin are the captures that every record has.
var builtin = []string{"message", "more"}

func (s *Set) fileNames() []string {
	names := []string{"file", "log_dir"}
	if s.fileName != nil {
		names = append(names, s.fileName.names()...)
	}
	return names
}

func (s *Set) contextNames() []string {
	var out []string
	for _, r := range s.rules {
		if r.context == nil {
			continue
		}
		for _, f := range r.context.fields {
			out = append(out, strings.Join(f.path, "."), f.path[0])
		}
	}
	return out
}

// openContext says that the context may hold fields that the rules do not name.
func (s *Set) openContext() bool { return s.json }

func (s *Set) recordNames(r *rule) []string {
	names := append([]string(nil), builtin...)
	if s.line != nil {
		names = append(names, s.line.names()...)
	}
	if r.pattern != nil {
		names = append(names, r.pattern.names()...)
	}
	for name := range r.types {
		names = append(names, name)
	}
	return append(names, s.fileNames()...)
}

// checkNames looks for captures that no line can have.
func (s *Set) checkNames() []error {
	var errs []error
	context := s.contextNames()
	for i, r := range s.rules {
		own := s.recordNames(r)
		all := append(append([]string(nil), own...), context...)
		check := func(key string, names, known []string) {
			if err := unknown(names, known, s.json); err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", ruleLabel(i, r.name), key, err))
			}
		}
		for _, c := range r.where {
			check("where", []string{c.name}, own)
		}
		for _, t := range []struct {
			key string
			t   *template
		}{{"task", r.task}, {"run", r.run}, {"time", r.time}, {"started", r.started}, {"ended", r.ended}, {"took", r.took},
			{"error", r.err}, {"error_type", r.errType}} {
			if t.t != nil {
				check(t.key, t.t.names(), all)
			}
		}
		check("used", r.used.names(), all)
		check("generated", r.generated.names(), all)
		check("context", r.context.names(), all)
		check("forget", r.spec.Forget, context)
	}
	return errs
}

// unknown finds a name that is neither known nor inside a known one.
func unknown(names, known []string, open bool) error {
	if open {
		return nil
	}
	for _, n := range names {
		found := false
		for _, k := range known {
			if n == k || strings.HasPrefix(n, k+".") {
				found = true
			}
		}
		if !found {
			return fmt.Errorf("{%s} is not captured here; %s", n, suggest(n, unique(known)))
		}
	}
	return nil
}

// checkTogether looks for rules that contradict each other.
func (s *Set) checkTogether() []error {
	var errs []error
	started := map[string]*rule{}
	seen, named := map[string]int{}, map[string]int{}
	for i, r := range s.rules {
		if first, ok := named[r.name]; ok {
			errs = append(errs, fmt.Errorf("%s: name: rule %d has the same one; what is counted and said by rule needs names that differ",
				ruleLabel(i, r.name), first+1))
		} else {
			named[r.name] = i
		}
		key := task.JSON(map[string]any{"m": r.spec.Match, "r": r.spec.Regex, "w": task.Normalize(deepCopy(r.spec.Where))})
		if first, ok := seen[key]; ok {
			errs = append(errs, fmt.Errorf("%s: match: rule %d (%s) has the same one and comes first, so that this one can never apply; join the two",
				ruleLabel(i, r.name), first+1, s.rules[first].name))
		} else {
			seen[key] = i
		}
		if r.act == actStart && started[r.activity] == nil {
			started[r.activity] = r
		}
	}
	for i, r := range s.rules {
		if r.act == actNone || r.act == actWhole || r.act == actFail && started[r.activity] == nil && s.hasWhole(r.activity) {
			continue
		}
		start := started[r.activity]
		if start == nil {
			errs = append(errs, fmt.Errorf("%s: no rule starts %q (a line that is a whole task has whole_task); %s",
				ruleLabel(i, r.name), r.activity, suggest(r.activity, sortedKeys(started))))
			continue
		}
		if (start.task == nil) != (r.task == nil) {
			errs = append(errs, fmt.Errorf("%s and the rule %q contradict each other about %q: one tells tasks apart by task, "+
				"the other does not", ruleLabel(i, r.name), start.name, r.activity))
		}
	}
	return errs
}

func (s *Set) hasWhole(activity string) bool {
	for _, r := range s.rules {
		if r.act == actWhole && r.activity == activity {
			return true
		}
	}
	return false
}
