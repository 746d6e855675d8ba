package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by name also where the machine has none
)

// times is how the times of a log are written.
type times struct {
	layout *layout
	zone   *time.Location
}

// layout reads times of one form. One of time.Layout's forms each is tried.
type layout struct {
	form   string // regular expression
	source string
	goes   []string
	epoch  bool
	named  bool // only the abbreviation of a zone (%Z) says which it is
}

const isoForm = `\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?`

var isoLayout = &layout{form: isoForm, source: "ISO 8601", goes: []string{
	"2006-01-02T15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700",
}}

var directives = map[byte]struct{ layout, form string }{
	'Y': {"2006", `\d{4}`}, 'y': {"06", `\d\d`}, 'm': {"01", `\d\d`}, 'd': {"02", `\d\d`}, 'e': {"_2", `[ \d]\d`},
	'H': {"15", `\d\d`}, 'I': {"03", `\d\d`}, 'M': {"04", `\d\d`}, 'S': {"05", `\d\d`}, 'p': {"PM", `(?i:[ap]m)`},
	'b': {"Jan", `\p{L}{3}`}, 'B': {"January", `\p{L}+`}, 'a': {"Mon", `\p{L}{3}`}, 'A': {"Monday", `\p{L}+`},
	'j': {"002", `\d{3}`}, 'z': {"-0700", `[+-]\d\d:?\d\d`}, 'Z': {"MST", `[A-Z]{1,5}`},
}

var shorthands = strings.NewReplacer("%T", "%H:%M:%S", "%F", "%Y-%m-%d", "%D", "%m/%d/%y", "%R", "%H:%M", "%h", "%b")

// newLayout reads the letters of Python's strftime.
func newLayout(format string) (*layout, error) {
	l := &layout{source: format}
	if format == "%s" {
		l.epoch, l.form = true, `\d{1,19}(?:\.\d+)?`
		return l, nil
	}
	src := shorthands.Replace(format)
	var goes, form strings.Builder
	seen := map[byte]bool{}
	for i := 0; i < len(src); i++ {
		if src[i] != '%' {
			goes.WriteByte(src[i])
			form.WriteString(regexp.QuoteMeta(src[i : i+1]))
			continue
		}
		i++
		if i == len(src) {
			return nil, fmt.Errorf("time format %q ends with %%", format)
		}
		c := src[i]
		switch c {
		case '%':
			goes.WriteByte('%')
			form.WriteByte('%')
		case 'f':
			return nil, fmt.Errorf("time format %q: %%f must stand behind %%S and . or ,", format)
		case 's':
			return nil, fmt.Errorf("time format %q: %%s (seconds since 1970) must stand alone", format)
		default:
			d, ok := directives[c]
			if !ok {
				return nil, fmt.Errorf("time format %q: %%%c is not known; valid are %%Y %%y %%m %%d %%e %%j %%H %%I %%p %%M %%S %%f "+
					"%%b %%B %%a %%A %%z %%Z %%T %%F %%s", format, c)
			}
			seen[c] = true
			goes.WriteString(d.layout)
			form.WriteString(d.form)
			if c == 'S' { // Go reads a fraction behind the seconds by itself
				if rest := src[i+1:]; strings.HasPrefix(rest, ".%f") || strings.HasPrefix(rest, ",%f") {
					i += 3
				}
				form.WriteString(`(?:[.,]\d{1,9})?`)
			}
		}
	}
	year := seen['Y'] || seen['y']
	month, day := seen['m'] || seen['b'] || seen['B'], seen['d'] || seen['e']
	if !year || !seen['j'] && (!month || !day) {
		return nil, fmt.Errorf("time format %q has no full date: it needs a year (%%Y), a month (%%m, %%b) and a day (%%d)", format)
	}
	l.form, l.goes, l.named = form.String(), []string{goes.String()}, seen['Z'] && !seen['z']
	return l, nil
}

func (l *layout) parse(s string, zone *time.Location) (time.Time, error) {
	text := strings.TrimSpace(s)
	if l.epoch {
		return parseEpoch(text)
	}
	if l == isoLayout && len(text) > 10 {
		text = text[:10] + "T" + strings.Replace(text[11:], " ", "", 1)
	}
	for _, g := range l.goes {
		if t, err := time.ParseInLocation(g, text, zone); err == nil {
			return t, l.checkZone(t, zone)
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time of the form %s", clip(s), l.source)
}

// checkZone refuses an abbreviation such as PST that the configured zone does not have: Go takes it for UTC, hours off.
func (l *layout) checkZone(t time.Time, zone *time.Location) error {
	name, offset := t.Zone()
	if !l.named || offset != 0 || t.Location() == zone || name == "UTC" || name == "GMT" || name == "WET" {
		return nil
	}
	return fmt.Errorf("the time zone %s is not known in %s; set timezone: to the one that the log is written in, "+
		"such as America/Los_Angeles for PST, or let the log have offsets (%%z)", name, zone)
}

// parseEpoch reads seconds since 1970; large numbers are milli-, micro- or nanoseconds.
func parseEpoch(s string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time in seconds since 1970", clip(s))
	}
	switch {
	case n >= 1e17:
		return time.Unix(0, n), nil
	case n >= 1e14:
		return time.UnixMicro(n), nil
	case n >= 1e11:
		return time.UnixMilli(n), nil
	}
	ns, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time in seconds since 1970", clip(s))
	}
	return time.Unix(n, ns), nil
}

var offsetForm = regexp.MustCompile(`^[+-]\d\d:\d\d$`)

func newTimes(format, zone string) (*times, error) {
	t := &times{layout: isoLayout, zone: time.Local}
	if format != "" {
		l, err := newLayout(format)
		if err != nil {
			return nil, fmt.Errorf("time_format: %w", err)
		}
		t.layout = l
	}
	switch {
	case zone == "" || zone == "local":
	case offsetForm.MatchString(zone):
		z, err := time.Parse("-07:00", zone)
		if err != nil {
			return nil, fmt.Errorf("timezone: %q is not an offset such as +01:00", zone)
		}
		t.zone = z.Location()
	default:
		loc, err := time.LoadLocation(zone)
		if err != nil {
			return nil, fmt.Errorf("timezone: %q is not known; write a name such as Europe/Berlin or UTC, or an offset such as +01:00", zone)
		}
		t.zone = loc
	}
	return t, nil
}
