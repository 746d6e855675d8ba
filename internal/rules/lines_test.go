package rules

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func testSet(t require.TestingT, spec string) *Set {
	s, err := Parse([]byte(spec))
	require.NoError(t, err)
	set, err := Compile(s)
	require.NoError(t, err)
	return set
}

const anyRule = `rules: [{name: a, match: '{x}', whole_task: t}]`

// However the bytes arrive, the lines are the same, and cover every byte.
func TestLinesDoNotDependOnChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		encoding := rapid.SampledFrom([]string{"utf-8", "iso-8859-1", "utf-16le", "utf-16be"}).Draw(t, "encoding")
		set := testSet(t, "{encoding: "+encoding+", "+anyRule+"}")
		data := rapid.SliceOfN(rapid.SampledFrom([]byte("a\n\x00\xff\r\xc3\xa4 ")), 0, 300).Draw(t, "data")
		limit := rapid.IntRange(4, 40).Draw(t, "limit")
		read := func(chunk func() int) (out []Line) {
			l := set.NewLines(0, limit)
			for rest := data; len(rest) > 0; {
				n := min(len(rest), chunk())
				out = append(out, l.Add(rest[:n])...)
				rest = rest[n:]
			}
			if last, ok := l.Last(); ok {
				out = append(out, last)
			}
			return out
		}
		whole := read(func() int { return len(data) })
		parts := read(func() int { return rapid.IntRange(1, 9).Draw(t, "chunk") })
		require.Equal(t, whole, parts)
		at := int64(0)
		for _, l := range whole {
			require.Equal(t, at, l.Offset)
			require.Greater(t, l.End, l.Offset)
			require.True(t, utf8.ValidString(l.Text))
			at = l.End
		}
		require.Equal(t, int64(len(data)), at)
	})
}

func TestLinesText(t *testing.T) {
	utf16le := func(s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return string(b)
	}
	cases := []struct {
		name, encoding, data string
		want                 []string
	}{
		{"line ends", "", "a\r\nb\n\nc", []string{"a", "b", "", "c"}},
		{"byte order mark", "", "\ufeffa\nb\n", []string{"a", "b"}},
		{"invalid bytes", "", "a\xff\xfeb\n", []string{"a\ufffdb"}},
		{"latin 1", "iso-8859-1", "\xe4\n", []string{"ä"}},
		{"utf-16", "utf-16le", "\xff\xfe" + utf16le("ä\r\nĊ\nx\n"), []string{"ä", "Ċ", "x"}},
		{"japanese", "shift_jis", "\x83\x65\x83\x58\x83\x67\n", []string{"テスト"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			set := testSet(t, "{encoding: '"+c.encoding+"', "+anyRule+"}")
			l := set.NewLines(0, 1000)
			all := l.Add([]byte(c.data))
			if last, ok := l.Last(); ok {
				assert.True(t, last.Torn)
				all = append(all, last)
			}
			var got []string
			for _, line := range all {
				got = append(got, line.Text)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// A line without end does not fill the memory; what was cut is seen.
func TestHugeLine(t *testing.T) {
	set := testSet(t, anyRule)
	l := set.NewLines(0, 1000)
	chunk := []byte(strings.Repeat("x", 10_000))
	for range 1000 {
		require.Empty(t, l.Add(chunk))
		require.Less(t, len(l.buf), 30_000)
	}
	got := l.Add([]byte("y\nnext\n"))
	require.Len(t, got, 2)
	assert.Equal(t, strings.Repeat("x", 1000)+"… [9999001 bytes cut]", got[0].Text)
	assert.Equal(t, int64(10_000_002), got[0].End)
	assert.Equal(t, "next", got[1].Text)
}
