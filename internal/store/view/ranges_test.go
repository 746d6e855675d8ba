package view

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Ranges are the set of the numbers that were added, whatever their order, and say when one was new.
func TestRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Ranges
		set := map[int64]bool{}
		for range rapid.IntRange(1, 8).Draw(t, "times") {
			numbers := rapid.SliceOfN(rapid.Int64Range(1, 30), 0, 10).Draw(t, "numbers")
			before := append(Ranges{}, r...)
			fresh := r.New(numbers)
			news := int64(0)
			for _, n := range numbers {
				if !set[n] {
					news++
				}
				set[n] = true
			}
			require.Equal(t, news, fresh)
			more, changed := r.Add(numbers)
			require.Equal(t, news > 0, changed)
			require.Equal(t, before, append(Ranges{}, r...), "the old set is left as it was")
			r = more
			for n := range int64(32) {
				require.Equal(t, set[n], r.Has(n))
			}
			for i, x := range r {
				require.LessOrEqual(t, x[0], x[1])
				require.True(t, i == 0 || r[i-1][1] < x[0]-1, "sorted, disjoint, not adjacent: %v", r)
				for n := x[0]; n <= x[1]; n++ {
					require.True(t, set[n])
				}
			}
			same, changed := r.Union(before)
			require.False(t, changed)
			require.Equal(t, r, same)
		}
	})
}
