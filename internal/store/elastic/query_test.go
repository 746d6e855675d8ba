package elastic

import (
	"os"
	"strconv"
	"testing"

	"github.com/otelcol-mida/otelcol-mida/internal/query/querytest"
)

// randomViews is the number of random views; MIDA_RANDOM_VIEWS changes it.
func randomViews() int {
	if n, err := strconv.Atoi(os.Getenv("MIDA_RANDOM_VIEWS")); err == nil && n > 0 {
		return n
	}
	return 3
}

// Random queries of random tasks have the answers of the reference.
func TestRandomQueries(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		f := newFactory(o)
		querytest.RunRandom(t, randomViews(), func(t *testing.T) querytest.Target { return querytest.FromStore(f.New(t)) })
	})
}
