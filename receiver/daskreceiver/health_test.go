package daskreceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver/internal/metadata"
)

// TestFaultsInsideDaskAreCountedAndExplained: the totals of checkpoints become counters and one line of log each.
func TestFaultsInsideDaskAreCountedAndExplained(t *testing.T) {
	var directory string
	r := startReceiver(t, func(c *Config) { directory = c.Journal.Directory })
	checkpoint := func(last int64, hooks int64, final bool) map[string]any {
		return map[string]any{"event": task.EventCheckpoint, "record": map[string]any{
			"last_seq": last, "final": final, "paths_missed": int64(7), "segments_removed": int64(1),
			"errors":  map[string]any{"transition: KeyError (dask_worker.py:7)": hooks, "pack: OSError (journal.py:9)": int64(1)},
			"dropped": []any{[]any{int64(1), last, "queue full"}, []any{int64(90), int64(91), "journal full"}},
		}}
	}
	for _, worker := range []string{"w.1", "w.2"} {
		journalOf(t, directory, worker, checkpoint(2, 3, false), checkpoint(4, 3, false), checkpoint(5, 5, true))
	}
	eventually(t, "all is read", func() bool { return len(r.events()) == 6 })
	assert.Equal(t, map[string]int64{"transition": 10, "pack": 2, "paths": 14, "journal": 2}, counted(t, r.tel, "plugin_faults"))
	assert.Equal(t, map[string]int64{"queue full": 10, "journal full": 4}, counted(t, r.tel, "plugin_dropped"))
	faults := r.logs.FilterMessageSnippet("had a fault").All()
	assert.Len(t, faults, 8, "once for each observer and kind")
	assert.Len(t, r.logs.FilterMessageSnippet("lost events").All(), 4)
	assert.Contains(t, fmt.Sprint(faults), "KeyError (dask_worker.py:7)")
	assert.Zero(t, r.rcv.(*daskReceiver).health.known.Len(), "an observer that ended is forgotten")
}

func TestMemoryOfFaultsIsBounded(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(t.Context())) }()
	builder, err := metadata.NewTelemetryBuilder(tel.NewTelemetrySettings())
	require.NoError(t, err)
	core, logs := observer.New(zapcore.WarnLevel)
	h, err := newHealth(zap.New(core), builder)
	require.NoError(t, err)
	errors := map[string]any{}
	for i := range 2 * maxKinds {
		errors[fmt.Sprint("where-", i, ": Error")] = int64(1)
	}
	for i := range maxObservers + 10 {
		record := map[string]any{"errors": map[string]any{"hook: Error": int64(1)}}
		if i == 0 {
			record["errors"] = errors
		}
		h.checkpoint(&task.Event{Name: task.EventCheckpoint, ObserverID: fmt.Sprint("w.", i), Record: record})
	}
	assert.Equal(t, maxObservers, h.known.Len())
	assert.Equal(t, maxKinds+maxObservers+9, logs.Len())
	assert.Len(t, counted(t, tel, "plugin_faults"), maxLabels+1)
	h.checkpoint(&task.Event{Name: task.EventCheckpoint, Record: "no map"})
	h.checkpoint(&task.Event{Name: task.EventCheckpoint, Record: map[string]any{"errors": []any{}, "dropped": []any{int64(1), []any{"a"}}}})
}
