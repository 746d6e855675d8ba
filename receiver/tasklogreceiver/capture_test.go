package tasklogreceiver

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadatatest"
)

const secretLog = `2026-11-22 21:50:53 INFO: step 1 reads /data/x.npz by postgres://ada:hunter2@db/x with pin hunter2
2026-11-22 21:50:54 ERROR: step 2 failed: login(password='hunter2')
Traceback (most recent call last):
    connect(token="hunter2hunter2")
2026-11-22 21:50:55 INFO: pause 3
2026-11-22 21:50:56 INFO: step 4 reads /data/token=hunter2/y.npz by x with pin 4
2026-11-22 21:50:57 INFO: what is password=hunter2
2026-11-22 21:50:58 INFO: end
`

// Neither events nor the collector's log hold a secret; tasks keep their identity; a path that held one is no path.
func TestSecretsDoNotLeave(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.log"), []byte(secretLog), 0o600))
	spec, err := rules.Parse([]byte(`
line: '{time} {level}: {message}'
rules:
  - {name: step, match: 'step {n:int} reads {data:path} by {dsn} with pin {db_password}', whole_task: step, task: '{n}', used: [n, data, dsn, db_password]}
  - {name: failed, match: 'step {n:int} failed: {why}', fails: step, task: '{n}', error: '{why}'}
  - {name: pause, match: 'pause {n:int}', whole_task: pause}
ignore: [end]
`))
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	cfg.Include, cfg.PollInterval, cfg.Spec = []string{filepath.Join(dir, "*.log")}, minPollInterval, spec
	cfg.Capture.DropActivities, cfg.Capture.DropFields = []string{"pause"}, []string{"used.n"}
	require.NoError(t, confmap.Validate(cfg))
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	set := receivertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	core, logged := observer.New(zap.InfoLevel)
	set.Logger = zap.New(core)
	sink := new(consumertest.LogsSink)
	r, err := newReceiver(set, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(context.Background(), componenttest.NewNopHost()))
	require.Eventually(t, func() bool {
		return len(view(eventsOf(t, sink.AllLogs()))) >= 3 && logged.FilterMessageSnippet("no rule").Len() > 0
	}, patience, 10*time.Millisecond)
	require.NoError(t, r.Shutdown(context.Background()))

	byKey := map[string]*task.Event{}
	for _, e := range eventsOf(t, sink.AllLogs()) {
		assert.NotContains(t, task.JSON([]any{e.Wire(), e.Resource}), "hunter2")
		byKey[e.Key] = e
	}
	assert.NotContains(t, byKey, "pause/1")
	one := byKey["step/1"]
	assert.Equal(t, map[string]any{"data": "/data/x.npz", "dsn": "postgres://[redacted]@db/x", "db_password": map[string]any{"$redacted": true}}, one.Used)
	assert.Contains(t, one.Paths, "/data/x.npz")
	assert.Equal(t, "/data/token=[redacted]", byKey["step/4"].Used["data"].(string)[:22])
	assert.Empty(t, byKey["step/4"].Paths)
	assert.Equal(t, "login(password='[redacted]')", byKey["step/2"].Attributes["exception.message"])
	assert.Contains(t, byKey["step/2"].Attributes["exception.stacktrace"], `connect(token="[redacted]")`)
	for _, l := range logged.All() {
		assert.NotContains(t, task.JSON(task.Normalize(l.ContextMap())), "hunter2", l.Message)
	}
	file := attribute.String("log.file.name", "a.log")
	metadatatest.AssertEqualReceiverTasklogRedacted(t, tel, []metricdata.DataPoint[int64]{{Value: 6, Attributes: attribute.NewSet(file)}}, ignoreTime)
	metadatatest.AssertEqualReceiverTasklogLeftOut(t, tel, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(file, attribute.String("reason", "activity"))},
		{Value: 2, Attributes: attribute.NewSet(file, attribute.String("reason", "field"))},
	}, ignoreTime)
}
