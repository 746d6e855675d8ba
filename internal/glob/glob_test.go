package glob

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"", "a", false}, {"generated.*", "generated.val/loss", true}, {"*loss", "generated.val/loss", true},
		{"used.?", "used.é", true}, {"used.?", "used.ab", false}, {"used.[a-c]*", "used.b.x", true}, {"used.[!a-c]", "used.b", false},
		{"a*b*c", "a/b.b/c", true}, {"a*b*c", "a/b.b/d", false}, {"[[]x", "[x", true}, {"[x", "[x", true}, {"[]]", "]", true},
	} {
		assert.Equal(t, c.want, Match(c.pattern, c.name), "%q %q", c.pattern, c.name)
	}
	assert.True(t, Any([]string{"x", "a*"}, "ab"))
	assert.False(t, Any(nil, "ab"))
}

func TestValidate(t *testing.T) {
	for _, p := range []string{"", "*", "used.[ab]*", "[[]x", "[]a]", "[!]]"} {
		require.NoError(t, Validate(p), p)
	}
	require.EqualError(t, Validate("used.["), "the [ at byte 5 is not closed; write [[] for the character itself")
	require.Error(t, Validate("[a]x[b"))
}
