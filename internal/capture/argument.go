package capture

import (
	"regexp"
	"strings"
)

var (
	// option is an option of a command line that is an element of a list: --password, hunter2 or --password=hunter2.
	option = regexp.MustCompile(`(?s)^--?([A-Za-z0-9][A-Za-z0-9_.\-]*)(?:=(.*))?$`)
	number = regexp.MustCompile(`^[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?$`)
)

// argument returns an element of a list without the value of an option whose name says that it is a secret: the option
// before it, whose secrecy is given, or its own. It also says what the name in it makes of the next element.
func argument(s string, before secrecy) (out string, next secrecy, hidden bool) {
	value := s
	if strings.HasPrefix(s, "-") {
		m := option.FindStringSubmatch(s)
		if m == nil || strings.HasPrefix(m[1], "no-") {
			return s, public, false
		}
		before = secrecyOf(m[1])
		if !strings.Contains(s, "=") {
			return s, before, false
		}
		value = m[2]
	}
	if before == public || value == "" || value == Mark || before == secretText && number.MatchString(value) {
		return s, public, false
	}
	return s[:len(s)-len(value)] + Mark, public, true
}
