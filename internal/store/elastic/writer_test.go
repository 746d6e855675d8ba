package elastic

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSpread: each number once, however many cores there are.
func TestSpread(t *testing.T) {
	before := runtime.GOMAXPROCS(16)
	defer runtime.GOMAXPROCS(before)
	for _, n := range []int{0, 1, 99, 100, 101, 1000, 1003} {
		calls := make([]atomic.Int32, n)
		spread(n, func(i int) { calls[i].Add(1) })
		for i := range calls {
			assert.EqualValues(t, 1, calls[i].Load(), "%d of %d", i, n)
		}
	}
}
