package propose

import (
	"regexp"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Proposal is what is proposed for a log, and what it does with the lines that were looked at.
type Proposal struct {
	Spec  rules.Spec
	Trial Trial
	Paths []string // some of the paths in the log, for whoever can tell where they start
}

// Useful says that a task comes out.
func (p Proposal) Useful() bool { return p.Trial.Matched > 0 && p.Trial.Tasks > 0 }

// Trial is what became of the entries of a log.
type Trial struct {
	Entries, Matched, Ignored, Unmatched, Unusable, Tasks int

	First []string // entries that no rule is for
}

const (
	maxLine   = 1 << 16
	firstOnes = 3
)

// Rules proposes rules for the content of a log, and tries them on it.
func Rules(content []byte) Proposal {
	lines := split(content)
	p := Proposal{Spec: rules.Spec{}}
	var entries []entry
	if isJSON(lines) {
		p.Spec.Line = "json"
	} else {
		p.Spec.Line, p.Spec.TimeFormat = header(lines)
	}
	entries = read(content, p.Spec)
	m := maker{list: templates(entries), entries: len(entries), spec: p.Spec}
	m.make()
	p.Spec, p.Paths = m.spec, paths(m.list)
	for {
		trial, bad := Try(content, p.Spec)
		p.Trial = trial
		if len(bad) == 0 || len(p.Spec.Rules) == 0 {
			return p
		}
		// A rule that its own lines contradict is worse than none.
		p.Spec.Rules = slices.DeleteFunc(p.Spec.Rules, func(r rules.Rule) bool { return bad[r.Name] })
	}
}

const somePaths = 50

func paths(list []*template) (out []string) {
	for _, t := range list {
		for _, s := range t.slots {
			if s.typ == "path" {
				out = append(out, s.values[:min(len(s.values), somePaths-len(out))]...)
			}
		}
	}
	return out
}

func split(content []byte) []string {
	var lines []string
	for l := range strings.Lines(string(content)) {
		lines = append(lines, strings.TrimRight(l, "\r\n"))
	}
	return lines
}

func isJSON(lines []string) bool {
	n, all := 0, 0
	for _, l := range lines {
		if strings.TrimSpace(l) == "" {
			continue
		}
		all++
		if v, err := task.DecodeJSON([]byte(l)); err == nil {
			if _, ok := v.(map[string]any); ok {
				n++
			}
		}
	}
	return all > 0 && 10*n >= 8*all
}

// records cuts a log as the receiver does.
func records(content []byte, set *rules.Set, each func(rules.Record)) {
	lines, group := set.NewLines(0, maxLine), set.NewGrouper()
	feed := func(l rules.Line) {
		if rec, ok := group.Add(l); ok {
			each(rec)
		}
	}
	for _, l := range lines.Add(content) {
		feed(l)
	}
	if l, ok := lines.Last(); ok {
		feed(l)
	}
	if rec, ok := group.Last(); ok {
		each(rec)
	}
}

// read returns the entries of a log of a known form.
func read(content []byte, form rules.Spec) []entry {
	form.Rules = []rules.Rule{{Name: "probe", Match: "{}", WholeTask: "probe"}}
	if form.Line == "json" {
		form.Rules[0].Match, form.Rules[0].Where = "", map[string]any{"file": "/./"}
	}
	set, err := rules.Compile(form)
	if err != nil {
		return nil
	}
	e, err := set.NewEngine(rules.Log{Identity: "probe", Path: "probe"})
	if err != nil {
		return nil
	}
	var list []entry
	records(content, set, func(rec rules.Record) {
		r := e.Process(rec)
		if r.Formless || strings.TrimSpace(rec.Text) == "" {
			return
		}
		one := entry{}
		if form.Line == "json" {
			one.fields = r.Fields
			for _, k := range []string{"message", "msg", "event"} {
				if s, ok := r.Fields[k].(string); ok && one.message == "" {
					one.message = s
				}
			}
			for _, k := range []string{"level", "levelname", "severity"} {
				if s, ok := r.Fields[k].(string); ok {
					one.level = s
				}
			}
		} else {
			one.message, _ = r.Fields["message"].(string)
			one.level, _ = r.Fields["level"].(string)
		}
		list = append(list, one)
	})
	return list
}

// Try runs rules on a log and names those that were not usable.
func Try(content []byte, spec rules.Spec) (Trial, map[string]bool) {
	var t Trial
	bad := map[string]bool{}
	set, err := rules.Compile(spec)
	if err != nil {
		if len(spec.Rules) > 0 { // name the guilty ones
			for _, r := range spec.Rules {
				one := spec
				one.Rules, one.Ignore = []rules.Rule{r}, nil
				if _, err := rules.Compile(one); err != nil {
					bad[r.Name] = true
				}
			}
			if len(bad) == 0 {
				bad[spec.Rules[len(spec.Rules)-1].Name] = true
			}
		}
		return t, bad
	}
	e, err := set.NewEngine(rules.Log{Identity: "log", Path: "run.log"})
	if err != nil {
		return t, bad
	}
	tasks := map[string]bool{}
	records(content, set, func(rec rules.Record) {
		if strings.TrimSpace(rec.Text) == "" {
			return
		}
		r := e.Process(rec)
		t.Entries++
		switch {
		case r.Problem != nil:
			t.Unusable++
			bad[r.Rule] = true
		case r.Rule != "":
			t.Matched++
		case r.Ignored:
			t.Ignored++
		default:
			if t.Unmatched++; len(t.First) < firstOnes {
				t.First = append(t.First, rec.Text)
			}
		}
		for _, ev := range r.Events {
			if ev.IsTask() {
				tasks[ev.ID()] = true
			}
		}
	})
	delete(bad, "")
	t.Tasks = len(tasks)
	return t, bad
}

var fieldName = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_-]*$`)

// common are fields of JSON lines that say nothing of a task.
var common = map[string]bool{
	"message": true, "msg": true, "event": true, "time": true, "timestamp": true, "ts": true, "asctime": true, "level": true, "levelname": true,
	"severity": true, "logger": true, "name": true, "pid": true, "process": true, "thread": true, "threadName": true, "processName": true,
	"file": true, "log_dir": true, "lineno": true, "filename": true, "funcName": true, "module": true, "pathname": true, "hostname": true,
}

// fieldsOf adds the fields that all JSON lines of a template have.
func (t *template) fieldsOf(entries []entry, mine []int) {
	first := entries[mine[0]].fields
	var keys []string
	for k := range first {
		if !common[k] && fieldName.MatchString(k) && t.slotNamed(k) == nil {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		s := slot{at: -1, name: k, fromJS: true, typ: "json"}
		for _, i := range mine {
			v, ok := entries[i].fields[k]
			if !ok {
				s.values = nil
				break
			}
			switch v := v.(type) {
			case string:
				s.values, s.typ = append(s.values, v), "word"
			case int64:
				s.values, s.typ = append(s.values, task.JSON(v)), "int"
			default:
				s.values = append(s.values, task.JSON(v))
			}
		}
		if len(s.values) > 0 {
			t.slots = append(t.slots, s)
		}
	}
}

// where chooses JSON lines that have no message, by a field of theirs.
func (t *template) where() map[string]any {
	for _, s := range t.slots {
		if s.fromJS {
			return map[string]any{s.name: "/./"}
		}
	}
	return nil
}
