package tasklogreceiver

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
)

func fileCount(n int64) []metricdata.DataPoint[int64] {
	return []metricdata.DataPoint[int64]{{Value: n}}
}

var ignoreTime = metricdatatest.IgnoreTimestamp()

// faultsOf are the counts of receiver_tasklog_file_faults, by the log's name and the reason.
func faultsOf(t testing.TB, tel *componenttest.Telemetry) map[string]int64 {
	out := map[string]int64{}
	m, err := tel.GetMetric("otelcol_receiver_tasklog_file_faults")
	if err != nil {
		return out // nothing was counted
	}
	sum, ok := m.Data.(metricdata.Sum[int64])
	require.True(t, ok)
	for _, p := range sum.DataPoints {
		name, _ := p.Attributes.Value("log.file.name")
		reason, _ := p.Attributes.Value("reason")
		out[name.AsString()+" "+reason.AsString()] = p.Value
	}
	return out
}
