package tasklogreceiver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// doctor keeps what can be told of the logs beside their counts; another goroutine asks.
type doctor struct {
	recent control.Recent

	mu    sync.Mutex
	lines map[string][]control.Line // the first of each log that no rule is for
	clock map[string]*clock
}

const (
	maxTold   = 100 // logs of a report
	toldLine  = 400 // bytes of a line
	aheadFrom = 2 * time.Minute
)

// clock is how the times in a log differ from this machine's.
type clock struct {
	off   time.Duration // of the last entry: above zero it is ahead
	times int           // looks that found the same
}

func (d *doctor) line(path string, offset int64, text, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lines == nil {
		d.lines = map[string][]control.Line{}
	}
	d.lines[path] = append(d.lines[path], control.Line{Path: path, Offset: offset, Text: shortened(text), Why: why})
}

func shortened(text string) string {
	text, _ = capture.Text(text)
	if len(text) > toldLine {
		text = strings.ToValidUTF8(text[:toldLine], "") + "…"
	}
	return text
}

// compare notes how far the time of an entry is from when its log was written. A log that is written now, and whose times
// are off by full quarters of an hour, is as a rule one of another time zone.
func (d *doctor) compare(path string, entry, written, now time.Time) (said string) {
	off := entry.Sub(written)
	ahead := entry.Sub(now) > aheadFrom
	quarters := math.Round(off.Minutes() / 15)
	zone := math.Abs(quarters) >= 2 && math.Abs(quarters) <= 14*4 && math.Abs(off.Minutes()-15*quarters) < 1.5 && now.Sub(written) < time.Minute
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.clock == nil {
		d.clock = map[string]*clock{}
	}
	c := d.clock[path]
	if !ahead && !zone {
		delete(d.clock, path)
		return ""
	}
	if c == nil || (c.off-off).Abs() > 5*time.Minute {
		c = &clock{}
		d.clock[path] = c
	}
	c.off = off
	if c.times++; ahead && c.times == 1 || !ahead && c.times == 2 {
		return c.text()
	}
	return ""
}

func (c *clock) text() string {
	way := "ahead of"
	if c.off < 0 {
		way = "behind"
	}
	return fmt.Sprintf("the times in it are %s %s this machine's clock: if they are of another time zone, set timezone: in its rules, such as "+
		"timezone: UTC or timezone: Europe/Berlin, else correct the clock of the machine that writes it", c.off.Abs().Round(time.Minute), way)
}

var _ control.Reporter = (*logReceiver)(nil)

// Report implements control.Reporter.
func (r *logReceiver) Report() control.Report {
	rep := control.Report{ID: r.set.ID.String(), Kind: "tasklog", Campaign: r.cfg.Campaign}
	for _, glob := range r.cfg.Include {
		if abs, err := filepath.Abs(glob); err == nil {
			rep.Places = append(rep.Places, abs)
		}
	}
	logs := r.tail.witness.list()
	for i, l := range logs {
		if i == maxTold {
			rep.Parts = append(rep.Parts, control.Part{What: fmt.Sprintf("%d more logs", len(logs)-i), State: control.Reached})
			break
		}
		rep.Parts = append(rep.Parts, r.part(l))
	}
	rep.Parts = append(rep.Parts, r.cfg.Check()...)
	errs := r.tail.doctor.recent.List()
	if err := r.looks.Err(); err != nil {
		rep.Parts = append(rep.Parts, control.Part{What: "logs", State: control.Trouble, Problem: explain(err), Errors: errs})
	} else if len(errs) > 0 && len(rep.Parts) > 0 {
		rep.Parts[0].Errors = errs
	}
	return rep
}

func (r *logReceiver) part(l witnessed) control.Part {
	p := control.Part{What: l.path, State: control.Reached, Saw: []control.Count{
		{What: "entries", N: l.Entries}, {What: "matched by a rule", N: l.Matched}, {What: "ignored", N: l.Ignored},
	}}
	for _, c := range []control.Count{{What: "no rule is for them", N: l.Unmatched}, {What: "not as their rule says", N: l.Unusable}} {
		if c.N > 0 {
			p.Dropped = append(p.Dropped, c)
		}
	}
	d := &r.tail.doctor
	d.mu.Lock()
	p.Lines = slices.Clone(d.lines[l.path])
	clock := d.clock[l.path]
	d.mu.Unlock()
	if len(p.Lines) == 0 && l.Unmatched > 0 { // seen before this collector started
		if text, err := lineAt(l.path, l.FirstUnmatched); err == nil {
			p.Lines = []control.Line{{Path: l.path, Offset: l.FirstUnmatched, Text: shortened(text)}}
		}
	}
	with := "its rules"
	if r.cfg.RulesFile != "" {
		with = r.cfg.RulesFile
	}
	switch {
	case l.Entries > 0 && l.Matched+l.Unusable == 0 && l.Unmatched > 0:
		p.State = control.Trouble
		p.Problem = fmt.Sprintf("no rule fits any of its %d entries: correct %s; `mida rules test` shows for each line how far a rule fits", l.Entries, with)
	case l.Unusable > 0:
		p.State = control.Trouble
		p.Problem = fmt.Sprintf("%d entries are not as the rule %q says (the first at byte %d): correct its types", l.Unusable, l.UnusableRule, l.FirstUnusable)
	case l.Unmatched > 0:
		p.Problem = fmt.Sprintf("no rule is for %d of its %d entries: add rules to %s, or list under ignore what is not about tasks", l.Unmatched, l.Entries, with)
	case l.Entries == 0 && l.size > l.read:
		p.Problem = "its only line has no line end yet; it is read when it is complete"
	}
	if clock != nil && (clock.off > 0 || clock.times > 1) {
		p.State, p.Problem = control.Trouble, strings.TrimPrefix(p.Problem+"; "+clock.text(), "; ")
	}
	return p
}

func lineAt(path string, offset int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := bufio.NewReader(io.NewSectionReader(f, offset, toldLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(text, "\r\n"), nil
}

// Check implements control.Checker: patterns that lead to no log, and why.
func (c *Config) Check() []control.Part {
	var parts []control.Part
	for _, glob := range c.Include {
		if p := checkGlob(glob); p != nil {
			parts = append(parts, *p)
		}
	}
	return parts
}

const namedFiles = 5

// checkGlob says why a pattern leads to no file, nil when it leads to one.
func checkGlob(glob string) *control.Part {
	abs, err := filepath.Abs(glob)
	if err != nil {
		abs = glob
	}
	found, err := doublestar.FilepathGlob(abs, doublestar.WithFilesOnly(), doublestar.WithFailOnIOErrors())
	if len(found) > 0 {
		for _, f := range found[:min(len(found), maxTold)] {
			if h, err := os.Open(f); errors.Is(err, fs.ErrPermission) {
				return &control.Part{What: f, State: control.Trouble, Problem: explain(err)}
			} else if err == nil {
				h.Close()
			}
		}
		return nil
	}
	part := func(s control.PartState, format string, args ...any) *control.Part {
		return &control.Part{What: abs, State: s, Problem: fmt.Sprintf("include: "+format, args...)}
	}
	dir, pattern := doublestar.SplitPattern(filepath.ToSlash(abs))
	missing := dir
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		} else if errors.Is(err, fs.ErrPermission) {
			return part(control.Trouble, "%s", explain(err))
		}
		if up := filepath.Dir(dir); up != dir {
			missing, dir = dir, up
			continue
		}
		break
	}
	entries, rerr := os.ReadDir(dir)
	if errors.Is(rerr, fs.ErrPermission) || errors.Is(err, fs.ErrPermission) {
		return part(control.Trouble, "%s", explain(errors.Join(rerr, err)))
	}
	if missing != dir && filepath.Dir(missing) == dir {
		hint := ""
		if near := nearest(filepath.Base(missing), entries, true); near != "" {
			hint = fmt.Sprintf(": did you mean %s?", filepath.Join(dir, near))
		}
		return part(control.Waiting, "the directory %s does not exist%s; correct the path (a relative one starts where the collector was started), "+
			"or start what writes there", missing, hint)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	switch {
	case len(names) == 0:
		return part(control.Waiting, "%q matches no file, and %s holds none yet; logs are read as soon as they are there", pattern, dir)
	case len(names) > namedFiles:
		names = append(names[:namedFiles], "…")
	}
	if !strings.ContainsAny(pattern, "*?[{") {
		if near := nearest(pattern, entries, false); near != "" {
			return part(control.Waiting, "the file %s does not exist: did you mean %s?", abs, filepath.Join(dir, near))
		}
	}
	return part(control.Waiting, "%q matches no file; in %s there is %s: correct the pattern, such as %q", pattern, dir,
		strings.Join(names, ", "), filepath.Join(dir, "*"+filepath.Ext(names[0])))
}

// nearest is the name most like one that does not exist.
func nearest(name string, entries []fs.DirEntry, dirs bool) string {
	var names []string
	for _, e := range entries {
		if e.IsDir() == dirs {
			names = append(names, e.Name())
		}
	}
	return query.Nearest(name, names)
}

// explain adds to a fault what to do about it.
func explain(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf("%v: the collector runs as user %d, who may not read it; let that user read it (chmod, setfacl), or run the "+
			"collector as the user who writes it", err, os.Geteuid())
	}
	return err.Error()
}
