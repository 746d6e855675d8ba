package rules

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Set is a checked Spec.
type Set struct {
	spec     Spec
	times    *times
	line     *pattern // nil: the whole line is the message
	json     bool
	starts   *regexp.Regexp
	fileName *pattern
	workflow *template
	baseDir  *template
	ignore   []*pattern
	rules    []*rule
	keepOpen bool // open tasks of an ended run stay RUNNING
	encoding Encoding
	bounded  bool // some rule begins runs
}

// Rules returns the names of the rules in their order.
func (s *Set) Rules() []string {
	out := make([]string, len(s.rules))
	for i, r := range s.rules {
		out[i] = r.name
	}
	return out
}

type rule struct {
	name     string
	spec     Rule
	pattern  *pattern
	where    []condition
	types    map[string]converter
	act      action
	activity string
	task     *template
	run      *template

	used, generated, context *values

	time, started, ended, took, err, errType *template
}

// condition asks a capture for a value.
type condition struct {
	name string
	text string
	re   *regexp.Regexp
}

func (c condition) met(head map[string]any) bool {
	v, ok := lookup(head, c.name)
	switch {
	case !ok:
		return false
	case c.re != nil:
		return c.re.MatchString(asText(v))
	}
	return asText(v) == c.text
}

// Compile checks a Spec. Every fault is reported, each with its rule, key, value and what is valid.
func Compile(spec Spec) (*Set, error) {
	s := &Set{spec: spec}
	var errs []error
	fail := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	var err error
	if s.times, err = newTimes(spec.TimeFormat, spec.Timezone); err != nil {
		return nil, err // everything else needs them
	}
	s.encoding, err = NewEncoding(spec.Encoding)
	fail("encoding", err)
	switch spec.Line {
	case "":
	case "json":
		s.json = true
	default:
		s.line, err = compilePattern(spec.Line, true, s.times)
		if err == nil && !contains(s.line.names(), "message") {
			err = errors.New("it has no {message}, the part that the rules look at")
		}
		fail(fmt.Sprintf("line %q", spec.Line), err)
	}
	if m := spec.Multiline.StartsWith; m != "" {
		if s.starts, err = regexp.Compile(m); err != nil {
			fail("multiline: starts_with", explainRegex(m, err))
		}
	}
	if spec.FileName != "" {
		s.fileName, err = compilePattern(spec.FileName, false, s.times)
		fail(fmt.Sprintf("file_name %q", spec.FileName), err)
	}
	switch spec.Unfinished {
	case "", "lost":
	case "running":
		s.keepOpen = true
	default:
		fail("unfinished", fmt.Errorf("%q is not valid; write lost (the default) or running", spec.Unfinished))
	}
	for i, src := range spec.Ignore {
		p, err := compilePattern(src, false, s.times)
		fail(fmt.Sprintf("ignore: pattern %d %q", i+1, src), err)
		s.ignore = append(s.ignore, p)
	}
	if len(spec.Rules) == 0 {
		errs = append(errs, errors.New("rules: there is none, so no line can become a task; see docs/log-rules.md"))
	}
	for i := range spec.Rules {
		r, err := s.compileRule(&spec.Rules[i])
		fail(ruleLabel(i, spec.Rules[i].Name), err)
		if err == nil {
			s.rules = append(s.rules, r)
			s.bounded = s.bounded || r.spec.BeginsRun
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s.workflow, err = compileTemplate(spec.Workflow)
	if err == nil {
		err = unknown(s.workflow.names(), s.fileNames(), false)
	}
	fail("workflow", err)
	s.baseDir, err = compileTemplate(spec.BaseDir)
	if err == nil {
		err = unknown(s.baseDir.names(), append(s.contextNames(), s.fileNames()...), s.openContext())
	}
	fail("base_dir", err)
	errs = append(errs, s.checkNames()...)
	errs = append(errs, s.checkTogether()...)
	return s, errors.Join(errs...)
}

func ruleLabel(i int, name string) string {
	if name == "" {
		return fmt.Sprintf("rules: rule %d", i+1)
	}
	return fmt.Sprintf("rules: rule %d (%s)", i+1, name)
}

func (s *Set) compileRule(spec *Rule) (*rule, error) {
	r := &rule{name: spec.Name, spec: *spec}
	if r.name == "" {
		return nil, errors.New("name: missing; a few words that say what the line means")
	}
	if err := s.compileMatch(r); err != nil {
		return nil, err
	}
	var named []string
	for _, a := range spec.actions() {
		if a.activity == "" {
			continue
		}
		named = append(named, a.key)
		r.act, r.activity = a.act, a.activity
	}
	if len(named) > 1 {
		return nil, fmt.Errorf("%s: one rule does one of these; a line that is a whole task has whole_task", strings.Join(named, " and "))
	}
	if strings.ContainsAny(r.activity, "{}") {
		return nil, fmt.Errorf("%s: %q: an activity is a fixed name; write one rule for each", named[0], r.activity)
	}
	if spec.BeginsRun && spec.EndsRun {
		return nil, errors.New("begins_run and ends_run: one line cannot be both")
	}
	if spec.Run != "" && !spec.BeginsRun {
		return nil, fmt.Errorf("run: %q: only a rule with begins_run names the run", spec.Run)
	}
	if r.act == actNone {
		for _, k := range []struct {
			key string
			set bool
		}{{"task", spec.Task != ""}, {"used", spec.Used != nil}, {"generated", spec.Generated != nil},
			{"error", spec.Error != ""}, {"error_type", spec.ErrorType != ""}, {"started", spec.Started != ""},
			{"ended", spec.Ended != ""}, {"took", spec.Took != ""}} {
			if k.set {
				return nil, fmt.Errorf("%s: the rule says of no task; add starts, updates, ends, fails, cancels or whole_task", k.key)
			}
		}
		if !spec.BeginsRun && !spec.EndsRun && spec.Context == nil && len(spec.Forget) == 0 {
			return nil, errors.New("the rule says nothing; add starts, ends, whole_task, begins_run, context or another of " +
				"docs/log-rules.md, or move its pattern to ignore")
		}
	}
	if (spec.Error != "" || spec.ErrorType != "") && r.act != actFail {
		return nil, fmt.Errorf("error and error_type belong to fails, not to %s", named[0])
	}
	for _, t := range []struct {
		key  string
		src  string
		dest **template
	}{{"task", spec.Task, &r.task}, {"run", spec.Run, &r.run}, {"time", spec.Time, &r.time}, {"started", spec.Started, &r.started},
		{"ended", spec.Ended, &r.ended}, {"took", spec.Took, &r.took}, {"error", spec.Error, &r.err},
		{"error_type", spec.ErrorType, &r.errType}} {
		if t.src == "" {
			continue
		}
		var err error
		if *t.dest, err = compileTemplate(t.src); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", t.key, t.src, err)
		}
	}
	for _, v := range []struct {
		key  string
		src  any
		dest **values
	}{{"used", spec.Used, &r.used}, {"generated", spec.Generated, &r.generated}, {"context", spec.Context, &r.context}} {
		var err error
		if *v.dest, err = compileValues(task.Normalize(deepCopy(v.src))); err != nil {
			return nil, fmt.Errorf("%s: %w", v.key, err)
		}
	}
	return r, nil
}

func (s *Set) compileMatch(r *rule) error {
	spec := &r.spec
	if spec.Match != "" && spec.Regex != "" {
		return errors.New("match and regex: a rule has one of them")
	}
	if spec.Match == "" && spec.Regex == "" && len(spec.Where) == 0 {
		return errors.New("match: missing; a rule needs match, regex or where to know its lines")
	}
	var err error
	switch {
	case spec.Match != "":
		if r.pattern, err = compilePattern(spec.Match, false, s.times); err != nil {
			return fmt.Errorf("match: %q: %w", spec.Match, err)
		}
	case spec.Regex != "":
		if r.pattern, err = compileRegex(spec.Regex, spec.Types, s.times); err != nil {
			return fmt.Errorf("regex: %w", err)
		}
	}
	if spec.Match != "" && len(spec.Types) > 0 && !s.json {
		return errors.New("types: a pattern has its types in it, as {name:int}; types is for regex and for JSON lines")
	}
	r.types = map[string]converter{}
	for _, name := range sortedKeys(spec.Types) {
		if spec.Regex != "" && !s.json && !contains(r.pattern.names(), name) {
			return fmt.Errorf("types: %q is no group of the regex; %s", name, suggest(name, r.pattern.names()))
		}
		if r.types[name], err = typeOf(spec.Types, name, s.times); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(spec.Where) {
		c := condition{name: name, text: asText(task.Normalize(deepCopy(spec.Where[name])))}
		if len(c.text) > 1 && c.text[0] == '/' && c.text[len(c.text)-1] == '/' {
			src := c.text[1 : len(c.text)-1]
			if c.re, err = regexp.Compile(src); err != nil {
				return fmt.Errorf("where: %s: %w", name, explainRegex(src, err))
			}
		}
		r.where = append(r.where, c)
	}
	return nil
}

func contains(l []string, s string) bool {
	for _, e := range l {
		if e == s {
			return true
		}
	}
	return false
}

func unique(l []string) []string {
	l = append([]string(nil), l...)
	sort.Strings(l)
	out := l[:0]
	for i, e := range l {
		if i == 0 || e != l[i-1] {
			out = append(out, e)
		}
	}
	return out
}

// deepCopy copies what a configuration holds, because normalising changes in place.
func deepCopy(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = deepCopy(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = deepCopy(e)
		}
		return out
	}
	return v
}
