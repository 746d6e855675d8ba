package task

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the fast reader accepts, it reads as the general decoder does.
func TestReadersAgree(t *testing.T) {
	golden, err := os.ReadFile("testdata/encoding_golden.json")
	require.NoError(t, err)
	v, err := DecodeJSON(golden)
	require.NoError(t, err)
	s := &State{}
	e := fullEvent()
	e.Claims, e.Paths, e.Observed = nil, nil, 0
	s.Apply(e)
	seeds := [][]byte{
		AppendJSON(nil, v), s.Encode(),
		AppendJSON(nil, []any{"\x00\x1f\"\\\n\r\t\b\fé\u2028😀", int64(math.MaxInt64), int64(math.MinInt64), 1e300, 1e-7, math.Copysign(0, -1), 0.1,
			math.NaN(), math.Inf(-1), []byte("x"), true, false, nil, map[string]any{}, []any{}, map[string]any{"": ""}}),
		[]byte(`{"a":1,"a":2}`), []byte(`"\u0041\u00e9\ud83d\ude00"`), []byte(`-0`), []byte(`01`), []byte(`1.`), []byte(`1e5`), []byte(`1E5`),
		[]byte(`123456789012345678901234567890`), []byte(`1e999`), []byte(`"\`), []byte(`"\u00`), []byte(` 1`), []byte(`-`), []byte(``), []byte("\"\xff\""),
	}
	for _, seed := range seeds[:3] {
		_, ok := readCanonical(string(seed), MaxDepth)
		require.True(t, ok, "what we write takes the fast way: %s", seed)
	}
	require.NotNil(t, readState(string(s.Encode())))

	rng := rand.New(rand.NewPCG(1, 2))
	const alphabet = "{}[]:,\"\\\\u0019.eE+-tfn \n\x01\xc3\xa9$"
	for range 20_000 {
		text := append([]byte(nil), seeds[rng.IntN(len(seeds))]...)
		for range rng.IntN(4) {
			if len(text) == 0 {
				break
			}
			i := rng.IntN(len(text))
			switch rng.IntN(3) {
			case 0:
				text[i] = alphabet[rng.IntN(len(alphabet))]
			case 1:
				text = append(text[:i], text[i+1:]...)
			default:
				text = text[:i]
			}
		}
		fast, ok := readCanonical(string(text), MaxDepth)
		if !ok {
			continue
		}
		slow, err := decodeGeneral(text, MaxDepth)
		require.NoError(t, err, "%q", text)
		require.Equal(t, JSON(slow), JSON(fast), "%q", text)
	}
}
