package query_test

import (
	"testing"

	"github.com/otelcol-mida/otelcol-mida/internal/query/querytest"
)

func TestScripts(t *testing.T) {
	querytest.Run(t, func(*testing.T) querytest.Target { return querytest.Reference() })
}

// The reference equals itself, and every random query is one that ParseJSON takes.
func TestRandomQueries(t *testing.T) {
	querytest.RunRandom(t, 20, func(*testing.T) querytest.Target { return querytest.Reference() })
}
