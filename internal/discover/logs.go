package discover

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/rules"
	"github.com/otelcol-mida/otelcol-mida/internal/rules/propose"
)

// logFile is a log that was found.
type logFile struct {
	path    string
	size    int64
	changed time.Time
	writer  string // the process that has it open
}

const (
	maxGroups   = 20 // of logs that are offered
	sampleBytes = 256 << 10
)

func isLog(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".log" || strings.HasSuffix(name, ".log.txt") || ext == ".jsonl"
}

func (l *looker) log(path, writer string) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || l.isOwnLog(info) {
		return
	}
	key := filepath.Join(filepath.Dir(path), "*"+filepath.Ext(path))
	for i, f := range l.logs[key] {
		if f.path == path {
			l.logs[key][i].writer = cmp.Or(f.writer, writer)
			return
		}
	}
	l.logs[key] = append(l.logs[key], logFile{path, info.Size(), info.ModTime(), writer})
}

// isOwnLog says that this very process writes a log: it is not the campaign's.
func (l *looker) isOwnLog(info os.FileInfo) bool {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if own, err := f.Stat(); err == nil && os.SameFile(own, info) {
			return true
		}
	}
	return false
}

// offerLogs offers the logs of a directory together, with rules for the newest of them.
func (l *looker) offerLogs() {
	globs := make([]string, 0, len(l.logs))
	for g := range l.logs {
		globs = append(globs, g)
	}
	slices.SortFunc(globs, func(a, b string) int {
		return cmp.Or(newest(l.logs[b]).changed.Compare(newest(l.logs[a]).changed), strings.Compare(a, b))
	})
	for i, glob := range globs {
		if l.over(i == maxGroups, fmt.Sprintf("logs lie in more than %d places; those that were written last are offered", maxGroups)) {
			return
		}
		files := l.logs[glob]
		p := Propose(newest(files).path)
		if !p.Useful() {
			l.note("%s: no rules could be made of its lines; write some (docs/log-rules.md), and try them with `mida rules test`", glob)
			continue
		}
		evidence := fmt.Sprintf("%d logs", len(files))
		if len(files) == 1 {
			evidence = "1 log"
		}
		for _, f := range files {
			if f.writer != "" {
				evidence += fmt.Sprintf("; %s is open in %s", filepath.Base(f.path), f.writer)
				break
			}
		}
		evidence += fmt.Sprintf("; rules were made of %s and take %d of its %d entries", filepath.Base(newest(files).path), p.Trial.Matched, p.Trial.Entries)
		config := Config(p.Spec)
		config["include"] = []any{glob}
		l.offer("tasklog", glob, config, evidence, "the rules are a guess: look at the tasks that come out, and correct them")
	}
}

func newest(files []logFile) logFile {
	return slices.MaxFunc(files, func(a, b logFile) int { return cmp.Or(a.changed.Compare(b.changed), cmp.Compare(a.size, b.size)) })
}

// Propose makes rules of the beginning of a log, and finds out where its relative paths start.
func Propose(path string) propose.Proposal {
	content, err := start(path, sampleBytes)
	if err != nil {
		return propose.Proposal{}
	}
	if len(content) == sampleBytes { // without the half of a line
		content = content[:strings.LastIndexByte(string(content), '\n')+1]
	}
	p := propose.Rules(content)
	p.Spec.BaseDir = baseDir(filepath.Dir(path), p.Paths)
	return p
}

// baseDir is where most of the files are that a log names: at the log, or one or two directories above it.
func baseDir(dir string, paths []string) string {
	best, most := "", 0
	for _, up := range []string{"", "/..", "/../.."} {
		n := 0
		for _, p := range paths {
			if _, err := os.Lstat(filepath.Join(dir, up, p)); err == nil && !filepath.IsAbs(p) {
				n++
			}
		}
		if n > most {
			best, most = "{log_dir}"+up, n
		}
	}
	if best == "{log_dir}" { // as without it
		return ""
	}
	return best
}

// Config is rules as keys of the receiver. What stands in them is the log's: secrets are taken out.
func Config(spec rules.Spec) map[string]any {
	m := map[string]any{}
	set := func(m map[string]any, key, v string) {
		if v != "" {
			m[key] = v
		}
	}
	set(m, "line", spec.Line)
	set(m, "time_format", spec.TimeFormat)
	set(m, "base_dir", spec.BaseDir)
	var list []any
	for _, r := range spec.Rules {
		one := map[string]any{"name": r.Name}
		for key, v := range map[string]string{
			"match": r.Match, "starts": r.Starts, "updates": r.Updates, "ends": r.Ends, "fails": r.Fails, "cancels": r.Cancels,
			"whole_task": r.WholeTask, "task": r.Task, "took": r.Took, "error": r.Error,
		} {
			set(one, key, v)
		}
		for key, v := range map[string]any{"used": r.Used, "generated": r.Generated, "context": r.Context} {
			if v != nil {
				one[key] = v
			}
		}
		if r.Where != nil {
			one["where"] = r.Where
		}
		for key, v := range map[string]bool{"begins_run": r.BeginsRun, "ends_run": r.EndsRun} {
			if v {
				one[key] = true
			}
		}
		list = append(list, one)
	}
	m["rules"] = list
	if len(spec.Ignore) > 0 {
		var ignore []any
		for _, p := range spec.Ignore {
			if clean, n := capture.Text(p); n == 0 {
				ignore = append(ignore, clean)
			}
		}
		m["ignore"] = ignore
	}
	return m
}
