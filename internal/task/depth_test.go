package task

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nest wraps a value n times, in lists and maps by turns.
func nest(v any, n int) any {
	for i := range n {
		if i%2 == 0 {
			v = map[string]any{"k": v}
		} else {
			v = []any{v}
		}
	}
	return v
}

// Whatever depth a value has, the state that takes it in can be read again, and says the same.
func TestDeepValuesCanBeReadAgain(t *testing.T) {
	for depth := valueDepth - 20; depth < MaxDepth+20; depth++ {
		for name, leaf := range map[string]any{
			"text": "x", "empty": map[string]any{}, "integer": uint64(1 << 63), "object": make(chan int),
			"cut": map[string]any{KeyCut: map[string]any{"length": int64(9), "type": "list"}},
		} {
			e := fullEvent()
			e.Used = map[string]any{"v": nest(leaf, depth)}
			events, rejected := FromLogs(ToLogs([]*Event{e}))
			require.Empty(t, rejected)
			s := &State{}
			s.Apply(events[0])
			back, err := DecodeState(s.Encode())
			require.NoError(t, err, "%s at depth %d", name, depth)
			require.Equal(t, string(s.Encode()), string(back.Encode()), "%s at depth %d", name, depth)
			require.False(t, back.Apply(events[0]), "a replay is identical")
		}
	}
}

func TestDepthOfValues(t *testing.T) {
	require.NotContains(t, JSON(Normalize(nest("x", valueDepth))), KeyCut)
	require.Contains(t, JSON(Normalize(nest("x", valueDepth+2))), `{"$cut":{"reason":"depth","type":`)

	nested := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	_, err := DecodeJSON(nested(MaxDepth))
	require.NoError(t, err)
	_, err = DecodeJSON(nested(MaxDepth + 2))
	require.ErrorContains(t, err, "nested deeper than 128")
	_, err = DecodeStored(nested(MaxDepth + 2))
	require.NoError(t, err)
	_, err = DecodeStored(nested(storedDepth + 2))
	require.ErrorContains(t, err, "nested deeper than")
}

// Only what encodes to the same text again is taken for bytes.
func TestBytesOfUsers(t *testing.T) {
	for _, text := range []string{`{"$bytes":"aGk=\n"}`, `{"$bytes":"aGl="}`, `{"$bytes":"aGk"}`, `{"$bytes":"aGk="}`} {
		v, err := DecodeJSON([]byte(text))
		require.NoError(t, err)
		assert.Equal(t, text, JSON(v))
	}
}
