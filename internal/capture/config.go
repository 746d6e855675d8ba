package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What values may say.
const (
	Values  = "values"
	Numbers = "numbers"
	None    = "none"
)

// Config is the capture policy of an observer: what of a task may leave the process. Secrets are always taken out.
// Fields are full names such as used.cfg.path, generated.loss, custom.notes, attributes.user.name, tags, stdout or
// stderr. Patterns are globs: * (also over dots), ?, [abc], [!abc]; one that names a parent covers what is below it.
type Config struct {
	// KeepActivities: only tasks of these activities are captured; empty keeps all.
	KeepActivities []string `mapstructure:"keep_activities"`
	// DropActivities wins over KeepActivities.
	DropActivities []string `mapstructure:"drop_activities"`
	// KeepFields: only these fields of used and generated are captured; empty keeps all.
	KeepFields []string `mapstructure:"keep_fields"`
	// DropFields wins over KeepFields.
	DropFields []string `mapstructure:"drop_fields"`
	// Values is values (all, the default), numbers (numbers and booleans; the rest becomes its type) or none. All but
	// values also leave out what quotes values: messages and stack traces of exceptions, stdout, stderr.
	Values string `mapstructure:"values"`
	// MaxString is how many characters of a text are kept; the rest is cut, which the value says. 0: 8192.
	MaxString int `mapstructure:"max_string"`
	// MaxEvent is how many bytes the values of an event take, roughly; what is over it is cut, the largest first.
	// 0: 1 MiB.
	MaxEvent int `mapstructure:"max_event"`
	// prevent unkeyed literal initialization
	_ struct{}
}

const (
	defaultMaxString = 8192
	minString        = 64
	defaultMaxEvent  = 1 << 20
	minEvent         = 4 << 10
	maxEvent         = 64 << 20
)

// NewDefaultConfig keeps everything but secrets.
func NewDefaultConfig() Config {
	return Config{Values: Values, MaxString: defaultMaxString, MaxEvent: defaultMaxEvent}
}

// roots are the first parts of the names of fields.
var roots = []string{"used", "generated", "custom", "attributes", "annotations", "tags", "stdout", "stderr"}

// Validate names every key that cannot work, with its value and what would be valid.
func (c Config) Validate() error {
	var errs []error
	for _, l := range []struct {
		key      string
		patterns []string
		roots    []string
	}{
		{"keep_activities", c.KeepActivities, nil},
		{"drop_activities", c.DropActivities, nil},
		{"keep_fields", c.KeepFields, []string{"used", "generated", "annotations"}},
		{"drop_fields", c.DropFields, roots},
	} {
		for i, p := range l.patterns {
			switch {
			case p == "" && l.roots == nil:
				errs = append(errs, fmt.Errorf(`%s[%d]: empty; want a glob such as "train*"`, l.key, i))
			case p == "":
				errs = append(errs, fmt.Errorf(`%s[%d]: empty; want a glob such as "used.opts.*"`, l.key, i))
			case l.roots != nil && !namesField(p, l.roots):
				errs = append(errs, fmt.Errorf("%s[%d]: %q names no field; want a full name, or a glob, that begins with %s, for example %q",
					l.key, i, p, strings.Join(l.roots, ", "), "used."+p))
			}
		}
	}
	switch c.Values {
	case "", Values, Numbers, None:
	default:
		errs = append(errs, fmt.Errorf("values: %q; want %s, %s or %s", c.Values, Values, Numbers, None))
	}
	if c.MaxString != 0 && (c.MaxString < minString || c.MaxString > maxEvent) {
		errs = append(errs, fmt.Errorf("max_string: %d; want %d to %d characters, or 0 for %d", c.MaxString, minString, maxEvent, defaultMaxString))
	}
	if c.MaxEvent != 0 && (c.MaxEvent < minEvent || c.MaxEvent > maxEvent) {
		errs = append(errs, fmt.Errorf("max_event: %d; want %d to %d bytes, or 0 for %d", c.MaxEvent, minEvent, maxEvent, defaultMaxEvent))
	}
	return errors.Join(errs...)
}

// namesField says whether a pattern can name something: its first part is a root, or has a wildcard.
func namesField(pattern string, roots []string) bool {
	first, _, _ := strings.Cut(pattern, ".")
	return strings.ContainsAny(first, "*?[") || slices.Contains(roots, first)
}
