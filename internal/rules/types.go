package rules

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// converter is a type of a capture: the form of its text, and how the text becomes a value.
type converter struct {
	name    string
	form    string // regular expression without groups that capture; ends with +? or *? when it takes as little as it can
	convert func(text string) (any, error)
	path    bool // its strings are paths
}

const (
	intForm   = `[-+]?\d+`
	floatForm = `(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:nan|inf(?:inity)?))`
	boolForm  = `(?i:true|false|yes|no|on|off|1|0)`
)

var textConverter = converter{name: "text", form: `.+?`, convert: func(s string) (any, error) { return s, nil }}

// typeNames are the types in the order of the documentation.
var typeNames = []string{
	"text", "word", "int", "float", "number", "bool", "time", "duration", "json", "python", "path", "paths",
}

func newConverter(typ, arg string, times *times) (converter, error) {
	if arg != "" && typ != "time" && typ != "paths" {
		return converter{}, fmt.Errorf("the type %q takes no argument, but has %q", typ, arg)
	}
	switch typ {
	case "text", "":
		return textConverter, nil
	case "word":
		return converter{name: typ, form: `\S+?`, convert: textConverter.convert}, nil
	case "int":
		return converter{name: typ, form: intForm, convert: parseInt}, nil
	case "float":
		return converter{name: typ, form: floatForm, convert: parseFloat}, nil
	case "number":
		return converter{name: typ, form: floatForm, convert: parseNumber}, nil
	case "bool":
		return converter{name: typ, form: boolForm, convert: parseBool}, nil
	case "duration":
		return converter{name: typ, form: `.+?`, convert: parseDuration}, nil
	case "json":
		return converter{name: typ, form: `.+?`, convert: parseJSON}, nil
	case "python":
		return converter{name: typ, form: `.+?`, convert: parsePython}, nil
	case "path":
		return converter{name: typ, form: `.+?`, convert: textConverter.convert, path: true}, nil
	case "paths":
		sep := ","
		if arg != "" {
			sep = arg
		}
		return converter{name: typ, form: `.+?`, path: true, convert: func(s string) (any, error) {
			return splitPaths(s, sep), nil
		}}, nil
	case "time":
		layout := times.layout
		if arg != "" {
			var err error
			if layout, err = newLayout(arg); err != nil {
				return converter{}, err
			}
		}
		zone := times.zone
		return converter{name: typ, form: layout.form, convert: func(s string) (any, error) {
			t, err := layout.parse(s, zone)
			if err != nil {
				return nil, err
			}
			return t, nil
		}}, nil
	}
	return converter{}, fmt.Errorf("there is no type %q; %s", typ, suggest(typ, append([]string(nil), typeNames...)))
}

func parseInt(s string) (any, error) {
	s = strings.TrimSpace(s)
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, nil
	}
	if b, ok := new(big.Int).SetString(s, 10); ok {
		return task.Normalize(b), nil
	}
	return nil, fmt.Errorf("%q is not a whole number", clip(s))
}

func parseFloat(s string) (any, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil && !math.IsInf(f, 0) {
		return nil, fmt.Errorf("%q is not a number", clip(s))
	}
	return f, nil
}

// parseNumber keeps whole numbers whole.
func parseNumber(s string) (any, error) {
	if v, err := parseInt(s); err == nil {
		return v, nil
	}
	return parseFloat(s)
}

func parseBool(s string) (any, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, fmt.Errorf("%q is not one of true, false, yes, no, on, off, 1, 0", clip(s))
}

func parseJSON(s string) (any, error) {
	v, err := task.DecodeJSON([]byte(s))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", clip(s), err)
	}
	return v, nil
}

// splitPaths takes the paths of a list, also of one in brackets and quotes, as Python prints it.
func splitPaths(s, sep string) []any {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '[' && s[len(s)-1] == ']' || s[0] == '(' && s[len(s)-1] == ')') {
		if v, err := parsePython(s); err == nil {
			if l, ok := v.([]any); ok && allStrings(l) {
				return l
			}
		}
		s = s[1 : len(s)-1]
	}
	out := []any{}
	for _, p := range strings.Split(s, sep) {
		p = strings.TrimSpace(p)
		if len(p) >= 2 && (p[0] == '\'' || p[0] == '"') && p[len(p)-1] == p[0] {
			p = p[1 : len(p)-1]
		}
		if p != "" {
			out = append(out, p)
		}
	}
	return out
}

func allStrings(l []any) bool {
	for _, e := range l {
		if _, ok := e.(string); !ok {
			return false
		}
	}
	return true
}

var durationUnits = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"": time.Second, "s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
}

// parseDuration reads "3.2", "120 ms", "2m 3s", "1 day, 2:03:04.5". The value is in seconds.
func parseDuration(s string) (any, error) {
	bad := fmt.Errorf("%q is not a duration such as 3.2, 120 ms, 2m 3s or 1:02:03", clip(s))
	var total float64
	rest := strings.TrimSpace(s)
	if rest == "" {
		return nil, bad
	}
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsDigit(r) && r != '.' && r != ':' })
		if n < 0 {
			n = len(rest)
		}
		value, clock, err := clockSeconds(rest[:n])
		if err != nil {
			return nil, bad
		}
		rest = strings.TrimLeft(rest[n:], " ")
		u := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) })
		if u < 0 {
			u = len(rest)
		}
		unit, ok := durationUnits[strings.ToLower(rest[:u])]
		if !ok || clock && u > 0 {
			return nil, bad
		}
		total += value * unit.Seconds()
		rest = strings.TrimLeft(rest[u:], " ,")
	}
	if math.IsInf(total, 0) || total > math.MaxInt64/1e9 {
		return nil, bad
	}
	return total, nil
}

// clockSeconds reads a plain number or h:mm:ss.
func clockSeconds(s string) (value float64, clock bool, err error) {
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, false, strconv.ErrSyntax
	}
	for _, p := range parts {
		f, err := strconv.ParseFloat(p, 64)
		if err != nil {
			return 0, false, err
		}
		value = value*60 + f
	}
	return value, len(parts) > 1, nil
}

// clip shortens a text for a message.
func clip(s string) string {
	r := []rune(s)
	if len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
