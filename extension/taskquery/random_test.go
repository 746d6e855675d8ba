package taskquery

import (
	"testing"

	"github.com/otelcol-mida/otelcol-mida/internal/query/querytest"
)

// The default store answers random queries as the reference does.
func TestRandomQueries(t *testing.T) {
	querytest.RunRandom(t, 15, func(t *testing.T) querytest.Target {
		_, st := newHost(t)
		return querytest.FromStore(st.store)
	})
}
