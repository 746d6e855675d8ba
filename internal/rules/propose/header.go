package propose

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

// timeFormats are tried in their order; "" is ISO 8601.
var timeFormats = []string{
	"", "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%d %b %Y %H:%M:%S",
	"%b %d %Y %H:%M:%S", "%d/%b/%Y:%H:%M:%S %z", "%Y%m%d %H:%M:%S", "%s",
}

// headers are usual forms of entries, those that say more first.
var headers = []string{
	"{time} {level} {logger}: {message}", "{time} {level} {logger} - {message}", "{time} - {logger} - {level} - {message}",
	"{time} - {level} - {message}", "{time} | {level} | {logger} - {message}", "{time} | {level} | {message}",
	"{time} [{level}] {logger}: {message}", "{time} [{level}] {logger} - {message}", "{time} [{level}] {message}",
	"{time} {level} [{logger}] {message}", "{time} {level}: {message}", "{time} {level} - {message}", "{time} {level} {message}",
	"{time}: {level}: {message}", "[{time}][{logger}][{level}] - {message}", "[{time}] [{level}] [{logger}] {message}",
	"[{time}] [{level}] {logger}: {message}", "[{time}] [{level}] {message}", "[{time}] {level} in {logger}: {message}",
	"[{time}] {level}: {message}", "[{time}] {level} {message}", "[{level}] {time} {message}", "[{level}][{time}] {message}",
	"{level} {time} {logger}: {message}", "{level}: {time}: {message}", "{level} {time} {message}", "[{time}] {message}",
	"{time}: {message}", "{time} - {message}", "{time} | {message}", "{time} {message}",
}

// timeless are forms of entries without a time, or with one that has no date and so is none.
var timeless = []string{
	"{clock} {level} {logger}: {message}", "{clock} {level}: {message}", "{clock} [{level}] {message}", "{clock} {level} {message}",
	"[{clock}] {level} {message}", "[{clock}] {message}", "{clock} {message}", "{level}:{logger}:{message}", "[{level}] {message}", "{level}: {message}", "{level} {message}",
}

var (
	clockForm  = regexp.MustCompile(`^\d{1,2}:\d\d:\d\d(?:[.,]\d+)?:?$`)
	levelForm  = regexp.MustCompile(`(?i)^(trace|debug|info|success|notice|warn|warning|error|err|critical|crit|fatal|severe)$`)
	loggerForm = regexp.MustCompile(`^[A-Za-z_][\w./:<>-]*$`)
)

const (
	sampled  = 200 // lines that a form is tried on
	enough   = 0.4 // of the lines must have a form; others go on with the entry before them
	asGood   = 0.97
	manyName = 20 // loggers
)

// header finds the form of the entries: line and time_format of a Spec.
func header(lines []string) (line, format string) {
	lines = nonBlank(lines)
	if len(lines) > sampled { // from everywhere
		step := len(lines) / sampled
		var some []string
		for i := 0; i < len(lines); i += step {
			some = append(some, lines[i])
		}
		lines = some
	}
	if len(lines) == 0 {
		return "", ""
	}
	type form struct {
		line, format string
		fits         float64
	}
	var best []form
	try := func(line, format string) {
		if n := fits(lines, line, format); n >= enough {
			best = append(best, form{line, format, n})
		}
	}
	for _, format := range timeFormats {
		for _, line := range headers {
			try(line, format)
		}
		if len(best) > 0 {
			break // one log has one form of times
		}
	}
	if len(best) == 0 {
		for _, line := range timeless {
			try(line, "")
		}
	}
	most := 0.0
	for _, f := range best {
		most = max(most, f.fits)
	}
	for _, f := range best {
		if f.fits >= asGood*most {
			return f.line, f.format
		}
	}
	return "", ""
}

func nonBlank(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return strings.TrimSpace(s) == "" })
}

// probe is a set whose only rule takes every message.
func probe(line, format string) (*rules.Engine, error) {
	spec := rules.Spec{Line: line, TimeFormat: format, Rules: []rules.Rule{{Name: "probe", Match: "{}", WholeTask: "probe"}}}
	if line == "json" {
		spec.Rules[0].Match, spec.Rules[0].Where = "", map[string]any{"file": "/./"}
	}
	set, known := probes.Load(line + "\x00" + format)
	if !known {
		made, err := rules.Compile(spec)
		if err != nil {
			return nil, err
		}
		set, _ = probes.LoadOrStore(line+"\x00"+format, made)
	}
	return set.(*rules.Set).NewEngine(rules.Log{Identity: "probe", Path: "probe"})
}

// probes are compiled once: there are some hundred.
var probes sync.Map

// fits is the part of the lines that have a form, with levels and loggers that are some.
func fits(lines []string, line, format string) float64 {
	e, err := probe(line, format)
	if err != nil {
		return 0
	}
	n, loggers := 0, map[string]bool{}
	for _, l := range lines {
		r := e.Process(rules.Record{Text: l})
		if r.Formless || r.Problem != nil {
			continue
		}
		if level, ok := r.Fields["level"].(string); ok && !levelForm.MatchString(level) {
			continue
		}
		if clock, ok := r.Fields["clock"].(string); ok && !clockForm.MatchString(clock) {
			continue
		}
		if logger, ok := r.Fields["logger"].(string); ok {
			if !loggerForm.MatchString(logger) {
				continue
			}
			loggers[logger] = true
		}
		n++
	}
	if len(loggers) > max(manyName, len(lines)/20) {
		return 0
	}
	return float64(n) / float64(len(lines))
}
