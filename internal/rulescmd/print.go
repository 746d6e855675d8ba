package rulescmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/rules"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	maxLine  = 1 << 20
	readSize = 256 << 10
)

type printer struct {
	w     io.Writer
	opt   options
	color bool
	// line is the pattern of every entry, "" when there is none.
	line string
	// policy is the receiver's: what is printed is what it would send.
	policy *capture.Policy
}

func newPrinter(w io.Writer, opt options) *printer {
	p := &printer{w: w, opt: opt, color: opt.color == "always"}
	if f, ok := w.(*os.File); ok && opt.color == "auto" && os.Getenv("NO_COLOR") == "" {
		fi, err := f.Stat()
		p.color = err == nil && fi.Mode()&os.ModeCharDevice != 0
	}
	return p
}

const (
	green  = "32"
	yellow = "33"
	red    = "31"
	faint  = "2"
	bold   = "1"
)

func (p *printer) paint(color, s string) string {
	if !p.color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

// trial is what became of one log.
type trial struct {
	records, ignored, problems int
	formless                   int // have not the form that the key line gives to entries
	matched                    map[string]int
	unmatched                  []entry
	unmatchedAll               int
	states                     map[string]*task.State
	order                      []string
	runs                       int
	left                       capture.Counts
	leftEvents                 int
}

type entry struct {
	line    int
	text    string
	nearest string // the rule that comes closest, and what keeps it away
}

// try prints what the rules make of a log, and says whether a line could not be used.
func (p *printer) try(set *rules.Set, path string) (bad bool, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	engine, err := set.NewEngine(rules.Log{Identity: abs, Path: abs})
	if err != nil {
		return false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	t := &trial{matched: map[string]int{}, states: map[string]*task.State{}}
	p.printf("%s\n", p.paint(bold, path))
	width := 0
	for _, r := range set.Rules() {
		width = max(width, utf8.RuneCountInString(r))
	}
	number := 1
	show := func(rec rules.Record) {
		p.record(t, engine, rec, number, min(width, 40))
		number += rec.Lines
	}
	lines, group := set.NewLines(0, maxLine), set.NewGrouper()
	feed := func(l rules.Line) {
		if rec, ok := group.Add(l); ok {
			show(rec)
		}
	}
	buf := make([]byte, readSize)
	for {
		n, err := f.Read(buf)
		for _, l := range lines.Add(buf[:n]) {
			feed(l)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", path, err)
		}
	}
	if l, ok := lines.Last(); ok {
		p.printf("%s\n", p.paint(yellow, "the last line has no line end; a collector waits for it"))
		feed(l)
	}
	if rec, ok := group.Last(); ok {
		show(rec)
	}
	p.summary(set, t)
	if p.line != "" && t.records > 0 && t.formless == t.records {
		p.printf("%s\n\n", p.paint(red, fmt.Sprintf("line: %q fits no line of this log, so that all of it is one entry and no rule can apply", p.line)))
		return true, nil
	}
	return t.problems > 0, nil
}

func (p *printer) record(t *trial, engine *rules.Engine, rec rules.Record, number, width int) {
	res := engine.Process(rec)
	t.records++
	if res.Formless {
		t.formless++
	}
	text, _ := capture.Text(rec.Text)
	first, rest, _ := strings.Cut(text, "\n")
	more := ""
	if rest != "" {
		more = p.paint(faint, fmt.Sprintf(" (+%d lines)", rec.Lines-1))
	}
	switch {
	case res.Problem != nil:
		t.problems++
		p.printf("%6d  %s  %s%s\n", number, p.paint(red, pad("! "+res.Rule, width+2)), clip(first, 100), more)
		p.printf("%s%s\n", strings.Repeat(" ", width+12), p.paint(red, withoutSecrets(res.Problem.Error())))
	case res.Rule != "":
		p.printf("%6d  %s  %s%s\n", number, p.paint(green, pad("→ "+res.Rule, width+2)), fields(res.Fields), more)
	case res.Ignored:
		t.ignored++
		if p.opt.all {
			p.printf("%6d  %s  %s%s\n", number, p.paint(faint, pad("- ignored", width+2)), p.paint(faint, clip(first, 100)), more)
		}
	default:
		t.unmatchedAll++
		if len(t.unmatched) < p.opt.show {
			t.unmatched = append(t.unmatched, entry{number, first, withoutSecrets(engine.Nearest(rec))})
		}
	}
	if res.Rule != "" {
		t.matched[res.Rule]++
	}
	for _, e := range res.Events {
		if e.Name == task.EventWorkflowStarted {
			t.runs++
		}
		keep, n := p.policy.Apply(e)
		t.left.Redacted += n.Redacted
		t.left.Left += n.Left
		t.left.Cut += n.Cut
		if !keep {
			t.leftEvents++
		}
		if !keep || !e.IsTask() {
			continue
		}
		id := e.ID()
		if t.states[id] == nil {
			t.states[id] = &task.State{}
			t.order = append(t.order, id)
		}
		t.states[id].Apply(e)
	}
}

// uninteresting captures stand in every line.
var uninteresting = map[string]bool{"message": true, "more": true, "file": true, "log_dir": true}

func fields(m map[string]any) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		if !uninteresting[k] {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		if (keys[i] == "time") != (keys[j] == "time") {
			return keys[i] == "time"
		}
		return keys[i] < keys[j]
	})
	parts := make([]string, len(keys))
	for i, k := range keys {
		v, _ := capture.Value(k, m[k])
		parts[i] = k + "=" + clip(value(v), 60)
	}
	return strings.Join(parts, "  ")
}

func value(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.Format("2006-01-02T15:04:05.999Z07:00")
	case string:
		if v == "" || strings.ContainsAny(v, " =\"") {
			return task.JSON(v)
		}
		return v
	}
	return task.JSON(v)
}

func (p *printer) summary(set *rules.Set, t *trial) {
	if t.unmatchedAll > 0 {
		p.printf("\n%s\n", p.paint(yellow, fmt.Sprintf("No rule is for %s:", plural(t.unmatchedAll, "entry", "entries"))))
		for _, e := range t.unmatched {
			p.printf("%6d  %s\n", e.line, clip(e.text, 120))
			if e.nearest != "" {
				p.printf("        %s\n", p.paint(faint, e.nearest))
			}
		}
		if n := t.unmatchedAll - len(t.unmatched); n > 0 {
			p.printf("        … and %d more (--show)\n", n)
		}
	}
	p.tasks(t)
	p.printf("\n%s\n", p.paint(bold, "Rules"))
	for _, r := range set.Rules() {
		n := t.matched[r]
		line := fmt.Sprintf("%6d  %s", n, r)
		if n == 0 {
			line = p.paint(yellow, line)
		}
		p.printf("%s\n", line)
	}
	p.printf("%6d  (ignored)\n%6d  (no rule)\n", t.ignored, t.unmatchedAll)
	p.leftOut(t)
	color := green
	if t.problems > 0 {
		color = red
	}
	p.printf("\n%s\n\n", p.paint(color, fmt.Sprintf("%s, %s, %s, %s", plural(t.records, "entry", "entries"),
		plural(t.runs, "run", "runs"), plural(len(t.order), "task", "tasks"),
		plural(t.problems, "entry could not be used", "entries could not be used"))))
}

func (p *printer) tasks(t *trial) {
	if len(t.order) == 0 {
		p.printf("\nNo task comes out.\n")
		return
	}
	p.printf("\n%s\n", p.paint(bold, "Tasks"))
	docs := make([]*task.Document, len(t.order))
	width, run := 0, ""
	for i, id := range t.order {
		docs[i] = task.Project(t.states[id])
		width = max(width, utf8.RuneCountInString(docs[i].TaskID))
	}
	for _, d := range docs {
		if d.Scope != run {
			run = d.Scope
			_, name, _ := strings.Cut(run, "#")
			p.printf("  %s %s\n", p.paint(faint, d.WorkflowName), p.paint(faint, "run "+name))
		}
		took := ""
		if d.StartedAt != 0 && d.EndedAt != 0 {
			took = time.Duration(d.EndedAt - d.StartedAt).Round(time.Millisecond).String()
		}
		color := green
		switch d.Status {
		case task.StatusFailed:
			color = red
		case task.StatusFinished:
		default:
			color = yellow
		}
		p.printf("    %s  %s  %8s  used %s", pad(d.TaskID, width), p.paint(color, pad(d.Status.String(), 9)), took, brief(d.Used))
		if len(d.Generated) > 0 {
			p.printf("  generated %s", brief(d.Generated))
		}
		if msg, ok := d.Error["message"].(string); ok {
			p.printf("  %s", p.paint(color, clip(msg, 60)))
		}
		p.printf("\n")
	}
}

func brief(m map[string]any) string {
	if len(m) == 0 {
		return "nothing"
	}
	return clip(task.JSON(m), 150)
}

func pad(s string, width int) string {
	if n := width - utf8.RuneCountInString(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return clip(s, width)
}

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) > n {
		return string(r[:max(0, n-1)]) + "…"
	}
	return s
}

func withoutSecrets(s string) string {
	s, _ = capture.Text(s)
	return s
}

// leftOut says what does not leave the receiver.
func (p *printer) leftOut(t *trial) {
	if t.left == (capture.Counts{}) && t.leftEvents == 0 {
		return
	}
	p.printf("\n%s\n", p.paint(bold, "Left out of the events"))
	for _, l := range []struct {
		n    int
		what string
	}{
		{t.left.Redacted, "secrets"},
		{t.leftEvents, "events of activities that are not captured"},
		{t.left.Left, "values of fields that are not captured"},
		{t.left.Cut, "values that are too large, and cut"},
	} {
		if l.n > 0 {
			p.printf("%s\n", p.paint(yellow, fmt.Sprintf("%6d  %s", l.n, l.what)))
		}
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
