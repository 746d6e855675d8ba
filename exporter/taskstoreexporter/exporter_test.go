package taskstoreexporter

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-mida/otelcol-mida/exporter/taskstoreexporter/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

type faultyStore struct {
	store.Store
	fault *faultyExtension
}

func (s faultyStore) Write(ctx context.Context, events []*task.Event) ([]store.Rejected, error) {
	if err := s.fault.fail(); err != nil {
		return nil, err
	}
	return s.Store.Write(ctx, events)
}

func event(i int) *task.Event {
	return &task.Event{
		Name: task.EventFinished, Time: int64(i + 1), Kind: "dask", Scope: "Scheduler-1", Key: fmt.Sprintf("train-%d", i),
		Attempt: 1, Facet: "worker", Status: task.StatusFinished, Campaign: "c", Activity: "train",
		StartedAt: 1_000_000_000, EndedAt: 3_000_000_000,
		Used:      map[string]any{"layers": int64(i % 3), "learning_rate": 0.01},
		Generated: map[string]any{"loss": float64(i%100) / 100},
		Resource:  map[string]any{"host.name": "node-1"},
	}
}

func newExporter(t testing.TB, h component.Host, change ...func(*Config)) exporter.Logs {
	factory := NewFactory()
	cfg := factory.CreateDefaultConfig().(*Config)
	cfg.Store = "main"
	cfg.BackOffConfig.InitialInterval = 10 * time.Millisecond
	cfg.BackOffConfig.MaxInterval = 20 * time.Millisecond
	for _, c := range change {
		c(cfg)
	}
	require.NoError(t, cfg.Validate())
	e, err := factory.CreateLogs(t.Context(), exportertest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), h))
	t.Cleanup(func() { require.NoError(t, e.Shutdown(context.Background())) })
	return e
}

var everything = &query.Query{Limit: 1}

func total(t testing.TB, s store.Store) int64 {
	a, err := s.Query(t.Context(), everything)
	require.NoError(t, err)
	return a.Total
}

// What ConsumeLogs said yes to is in the view when it returns.
func TestNilMeansCommitted(t *testing.T) {
	h, _ := newHost(t)
	e := newExporter(t, h)
	for i := range 5 {
		require.NoError(t, e.ConsumeLogs(t.Context(), task.ToLogs([]*task.Event{event(2 * i), event(2*i + 1)})))
		require.EqualValues(t, 2*i+2, total(t, storeOf(t, h)))
	}
	q, err := query.ParseJSON([]byte(`{"projection": ["used.layers"], "aggregation": [["min", "generated.loss"]],
		"filter": {"activity_id": "train"}, "sort": [["used.layers", "ascending"]]}`))
	require.NoError(t, err)
	a, err := storeOf(t, h).Query(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []map[string]any{
		{"used.layers": int64(0), "min(generated.loss)": 0.0, "count": int64(4)},
		{"used.layers": int64(1), "min(generated.loss)": 0.01, "count": int64(3)},
		{"used.layers": int64(2), "min(generated.loss)": 0.02, "count": int64(3)},
	}, a.Rows)
}

// A store that refuses writes makes senders wait; nothing is lost and nothing is said to be stored before it is.
func TestRefusingStoreLosesNothing(t *testing.T) {
	real, _ := newHost(t)
	var fault *faultyExtension
	for _, ext := range real.GetExtensions() {
		fault = &faultyExtension{Extension: ext.(extension.Extension), Provider: ext.(store.Provider), broken: true}
	}
	h := host{map[component.ID]component.Component{component.MustNewID("taskstore"): fault}}
	e := newExporter(t, h)
	const senders = 20
	done := make(chan error, senders)
	for i := range senders {
		go func() { done <- e.ConsumeLogs(context.Background(), task.ToLogs([]*task.Event{event(i)})) }()
	}
	require.Eventually(t, func() bool { return fault.refused() >= 3*senders }, 20*time.Second, time.Millisecond)
	require.Empty(t, done, "no sender may hear nil while the store refuses")
	fault.setBroken(false)
	for range senders {
		require.NoError(t, <-done)
	}
	require.EqualValues(t, senders, total(t, storeOf(t, real)))
}

// What can never be stored stops nothing: it is a dead letter with its reason.
func TestDeadLetters(t *testing.T) {
	h, dir := newHost(t)
	e := newExporter(t, h)
	nameless := event(7)
	nameless.Key = ""
	nameless.Paths = map[string]task.PathInfo{"x": {Real: "/x", Size: 3}}
	logs := task.ToLogs([]*task.Event{event(1), nameless, event(2)})
	line := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().AppendEmpty()
	line.Body().SetStr("a line of text")
	line.SetTraceID([16]byte{1, 2})
	line.SetSpanID([8]byte{3})
	require.NoError(t, e.ConsumeLogs(t.Context(), logs))
	require.EqualValues(t, 2, total(t, storeOf(t, h)))

	path := filepath.Join(dir, "dead-letter.jsonl")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var reasons []string
	var records []map[string]any
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var letter struct {
			Store, Reason string
			Record        map[string]any
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &letter))
		require.Equal(t, "main", letter.Store)
		require.NotEmpty(t, letter.Record)
		reasons, records = append(reasons, letter.Reason), append(records, letter.Record)
	}
	require.Len(t, reasons, 2)
	require.Contains(t, reasons[0], "not a task event")
	require.Contains(t, reasons[1], "has no identity")
	require.Equal(t, map[string]any{
		"body": "a line of text", "attributes": map[string]any{}, "resource": map[string]any{"host.name": "node-1"},
		"trace_id": "01020000000000000000000000000000", "span_id": "0300000000000000",
	}, records[0])
	require.Equal(t, map[string]any{"x": map[string]any{"real": "/x", "size": 3.0}}, records[1]["paths"], "the store takes none")
}

func TestUnknownStore(t *testing.T) {
	h, _ := newHost(t)
	factory := NewFactory()
	cfg := factory.CreateDefaultConfig().(*Config)
	cfg.Store = "other"
	e, err := factory.CreateLogs(t.Context(), exportertest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, e.Start(t.Context(), h), `store "other" is not configured; the taskstore extension has: main`)
	require.NoError(t, e.Shutdown(t.Context()))
}

// Requests without records are accepted.
func TestEmptyRequest(t *testing.T) {
	h, _ := newHost(t)
	require.NoError(t, newExporter(t, h).ConsumeLogs(t.Context(), plog.NewLogs()))
}
