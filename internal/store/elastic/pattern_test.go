package elastic

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTextThatEveryMatchHas(t *testing.T) {
	for pattern, want := range map[string]string{
		"0777$": "*0777*", "^train-": "*train-*", "ab|cd": "", "(?i)abc": "", "a*bc?": "*b*", "x(long enough)+y": "*long enough*",
		"[ab]": "", `a\*b\?`: `*a\*b\?*`, `c:\\d`: `*c:\\d*`, "(?:ab){2,3}": "*ab*", "(?:ab){0,3}": "", "": "", "é.": "*é*",
	} {
		q, ok := containing("f", pattern)
		require.Equal(t, want != "", ok, pattern)
		if ok {
			require.Equal(t, object{"wildcard": object{"f": object{"value": want}}}, q, pattern)
		}
	}
	for _, pattern := range []string{"a+b", "x(yz|q)w{2}", `(ab|abc)d+`, "a?bb"} {
		q, ok := containing("f", pattern)
		require.True(t, ok)
		text := strings.Trim(q["wildcard"].(object)["f"].(object)["value"].(string), "*")
		for _, s := range []string{"ab", "aab", "xyzww", "xqww", "abd", "abcdd", "bb", "abb", "zzabbzz"} {
			if regexp.MustCompile(pattern).MatchString(s) {
				require.Contains(t, s, text, "%s: %s", pattern, s)
			}
		}
	}
}
