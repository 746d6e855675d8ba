package query_test

import (
	"testing"

	"github.com/otelcol-mida/otelcol-mida/internal/query/querytest"
)

func TestScripts(t *testing.T) {
	querytest.Run(t, func(*testing.T) querytest.Target { return querytest.Reference() })
}
