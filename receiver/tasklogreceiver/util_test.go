package tasklogreceiver

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
)

func newTold() map[string]time.Time { return map[string]time.Time{} }

func sorted(l []string) []string {
	slices.Sort(l)
	return l
}

func fileCount(n int64) []metricdata.DataPoint[int64] {
	return []metricdata.DataPoint[int64]{{Value: n}}
}

var ignoreTime = metricdatatest.IgnoreTimestamp()
