package daskreceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/journal"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// journalOf writes what a program that is not our plugin may write.
func journalOf(t *testing.T, directory, observer string, events ...map[string]any) {
	t.Helper()
	w, err := journal.NewWriter(journal.WriterOptions{
		Directory: directory, Observer: observer, Defaults: map[string]any{"kind": "script", "scope": "s"},
	})
	require.NoError(t, err)
	for i, e := range events {
		e["seq"] = int64(i + 1)
		if e["time"] == nil {
			e["time"] = int64(i + 1)
		}
	}
	require.NoError(t, w.Write(events...))
	require.NoError(t, w.Close())
}

// counted returns the values of a counter by its one attribute.
func counted(t *testing.T, tel *componenttest.Telemetry, name string) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	m, err := tel.GetMetric("otelcol_receiver_dask_" + name)
	if err != nil {
		return out
	}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		key := ""
		for _, a := range []attribute.Key{"where", "reason"} {
			if v, ok := p.Attributes.Value(a); ok {
				key = v.AsString()
			}
		}
		out[key] = p.Value
	}
	return out
}

func TestSecretsInJournalsOfOthersAreTakenOut(t *testing.T) {
	var directory string
	r := startReceiver(t, func(c *Config) { directory = c.Journal.Directory; c.Capture.MaxString = 64 })
	journalOf(t, directory, "script", map[string]any{
		"event": task.EventFinished, "key": "a", "activity": "login", "status": "FINISHED",
		"used":   map[string]any{"dsn": "postgres://ada:hunter2@db/x", "api_key": "hunter2", "text": fmt.Sprintf("%0100d", 1)},
		"stdout": "Authorization: Bearer hunter2hunter2",
	})
	eventually(t, "it is read", func() bool { return len(r.events()) == 1 })
	e := r.events()[0]
	assert.NotContains(t, task.JSON(e.Wire()), "hunter2")
	assert.Contains(t, e.Used["text"], task.KeyCut)
	assert.Equal(t, map[string]int64{"": 3}, counted(t, r.tel, "redacted"))
	assert.Equal(t, map[string]int64{"size": 1}, counted(t, r.tel, "left_out"))
}

// TestPolicyHoldsForEveryJournal: a preloaded plugin does not know the collector's policy.
func TestPolicyHoldsForEveryJournal(t *testing.T) {
	var directory string
	r := startReceiver(t, func(c *Config) {
		directory = c.Journal.Directory
		c.Capture = capture.Config{DropActivities: []string{"private*"}, DropFields: []string{"used.patient"}, Values: capture.Values}
	})
	journalOf(t, directory, "w",
		map[string]any{"event": task.EventFinished, "key": "a", "activity": "train", "status": "FINISHED", "used": map[string]any{"patient": "ada", "lr": 0.1}},
		map[string]any{"event": task.EventFinished, "key": "b", "activity": "private_step", "status": "FINISHED", "used": map[string]any{"x": "secret plan"}},
		// As a plugin labels tasks that it recorded before it knew the environment.
		map[string]any{"event": task.EventProgress, "key": "b", "facet": "environment", "environment": "digest"},
		map[string]any{"event": task.EventProgress, "key": "a", "facet": "environment", "environment": "digest"},
		map[string]any{"event": task.EventCheckpoint, "record": map[string]any{"last_seq": int64(5), "final": true}},
	)
	eventually(t, "all is read", func() bool { return len(r.events()) == 5 })
	docs := r.documents()
	require.Len(t, docs, 1)
	assert.Equal(t, map[string]any{"lr": 0.1}, docs["a"].Used)
	var seqs []int64
	for _, e := range r.events() {
		seqs = append(seqs, e.Seq)
		assert.NotContains(t, task.JSON(e.Wire()), "secret plan")
	}
	assert.ElementsMatch(t, []int64{1, 2, 3, 4, 5}, seqs, "an observer whose events are left out is complete all the same")
	assert.Equal(t, map[string]int64{"activity": 2, "field": 1}, counted(t, r.tel, "left_out"))
}
