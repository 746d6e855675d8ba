package taskstore

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/extension/taskstore/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/extension/taskstore/internal/metadatatest"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const day = 24 * time.Hour

// keeper is the retention of a store of its own, at a moment that the test moves.
type keeper struct {
	*retention
	t    *testing.T
	tel  *componenttest.Telemetry
	logs *observer.ObservedLogs
	at   time.Time
}

func newKeeper(t *testing.T, c RetentionConfig) *keeper {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	s, _, err := store.FromHost(host{start(t, &Config{Stores: map[string]StoreConfig{"main": sqliteAt(filepath.Join(t.TempDir(), "a.db"))}}, nil)}, "main")
	require.NoError(t, err)
	builder, err := metadata.NewTelemetryBuilder(tel.NewTelemetrySettings())
	require.NoError(t, err)
	core, logs := observer.New(zap.InfoLevel)
	k := &keeper{t: t, tel: tel, logs: logs, at: time.Unix(1_800_000_000, 0)}
	k.retention = &retention{
		config: c.withDefaults(), name: "main", store: s, log: zap.New(core), telemetry: builder, now: func() time.Time { return k.at },
	}
	return k
}

// campaign writes tasks that began and, with a status of FINISHED, ended that long ago.
func (k *keeper) campaign(name string, ago time.Duration, tasks int, status task.Status) {
	var events []*task.Event
	at := k.at.Add(-ago).UnixNano()
	for i := range tasks {
		e := &task.Event{
			Name: task.EventStarted, Time: at, Kind: "k", Scope: name, Key: fmt.Sprint(i), Attempt: task.NoAttempt, Status: status,
			Campaign: name, StartedAt: at - 1, Used: map[string]any{"text": strings.Repeat("x", 1_000)},
			Claims: []task.Claim{{Role: task.Used, Entity: "file:" + name, Evidence: "path"}},
		}
		if status == task.StatusFinished {
			e.EndedAt = at
		}
		events = append(events, e)
	}
	k.write(events...)
}

func (k *keeper) write(events ...*task.Event) {
	k.t.Helper()
	rejected, err := k.store.Write(k.t.Context(), events)
	require.NoError(k.t, err)
	require.Empty(k.t, rejected)
}

func (k *keeper) checkpoint(campaign string, ago time.Duration) {
	k.write(&task.Event{
		Name: task.EventCheckpoint, Time: k.at.Add(-ago).UnixNano(), ObserverID: "o", Campaign: campaign, Attempt: task.NoAttempt,
		Record: map[string]any{"last_seq": int64(0)},
	})
}

// kept looks at the store and lists the campaigns that are left.
func (k *keeper) kept() (names []string) {
	k.t.Helper()
	require.NoError(k.t, k.check(k.t.Context()))
	list, err := k.store.Campaigns(k.t.Context())
	require.NoError(k.t, err)
	for _, c := range list {
		names = append(names, c.ID)
	}
	return names
}

// deleted lists what the log says about deletions.
func (k *keeper) deleted() (out []string) {
	for _, e := range k.logs.TakeAll() {
		m := e.ContextMap()
		if strings.HasPrefix(e.Message, "Retention ") {
			out = append(out, fmt.Sprint(m["campaign"], " ", m["tasks"], " ", m["reason"]))
		}
	}
	return out
}

func TestRetentionByAge(t *testing.T) {
	k := newKeeper(t, RetentionConfig{MaxAge: 30 * day})
	k.campaign("old", 31*day, 3, task.StatusFinished)
	k.campaign("young", 29*day, 2, task.StatusFinished)
	k.campaign("", 90*day, 1, task.StatusFinished) // no campaign
	k.campaign("observed", 90*day, 1, task.StatusFinished)
	k.checkpoint("observed", time.Minute)
	require.Equal(t, []string{"", "observed", "young"}, k.kept())
	require.Equal(t, []string{"old 3 age"}, k.deleted())
	claims, err := k.store.ClaimsOn(t.Context(), []string{"file:old"}, "")
	require.NoError(t, err)
	require.Empty(t, claims)

	k.at = k.at.Add(2 * day)
	require.Equal(t, []string{"", "observed"}, k.kept())
	require.Equal(t, []string{"young 2 age"}, k.deleted())
	k.at = k.at.Add(30 * day)
	require.Equal(t, []string{""}, k.kept())
	attrs := attribute.NewSet(attribute.String("store", "main"), attribute.String("reason", "age"))
	metadatatest.AssertEqualTaskstoreRetentionCampaigns(t, k.tel, []metricdata.DataPoint[int64]{{Value: 3, Attributes: attrs}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualTaskstoreRetentionTasks(t, k.tel, []metricdata.DataPoint[int64]{{Value: 6, Attributes: attrs}}, metricdatatest.IgnoreTimestamp())
}

// Tasks that have not ended protect their campaign, until nobody has heard of it for long: those of a killed job never end.
func TestRetentionOfUnfinishedTasks(t *testing.T) {
	k := newKeeper(t, RetentionConfig{MaxAge: 2 * day, MaxBytes: 1, KeepUnfinished: 10 * day})
	k.campaign("running", 9*day, 1, task.StatusRunning)
	k.campaign("killed", 11*day, 1, task.StatusRunning)
	k.campaign("observed", 11*day, 1, task.StatusRunning)
	k.checkpoint("observed", time.Minute)
	require.Equal(t, []string{"observed", "running"}, k.kept())
	k.at = k.at.Add(2 * day)
	require.Equal(t, []string{"observed"}, k.kept())
}

func TestRetentionBySize(t *testing.T) {
	k := newKeeper(t, RetentionConfig{MaxBytes: 1})
	size := func() int64 {
		n, err := k.store.Size(t.Context())
		require.NoError(t, err)
		return n
	}
	k.campaign("fresh", 23*time.Hour, 100, task.StatusFinished)
	k.campaign("older", 3*day, 100, task.StatusFinished)
	k.campaign("oldest", 5*day, 100, task.StatusFinished)
	k.campaign("old", 2*day, 100, task.StatusFinished)
	full := size()
	k.config.MaxBytes = Bytes(full)
	require.Len(t, k.kept(), 4)
	require.Empty(t, k.deleted())

	// A little too much costs one campaign, the one that is silent longest.
	k.config.MaxBytes = Bytes(full - 1)
	k.config.DryRun = true
	require.Len(t, k.kept(), 4)
	require.Equal(t, []string{"oldest 100 bytes"}, k.deleted())
	k.config.DryRun = false
	require.Equal(t, []string{"fresh", "old", "older"}, k.kept())
	require.Equal(t, []string{"oldest 100 bytes"}, k.deleted())
	require.Less(t, size(), full*4/5)

	// However small it is to be, what is recent stays, and that is said.
	k.config.MaxBytes = 1
	require.Equal(t, []string{"fresh"}, k.kept())
	warnings := k.logs.FilterLevelExact(zap.WarnLevel).TakeAll()
	require.Len(t, warnings, 1)
	require.EqualValues(t, 1, warnings[0].ContextMap()["max_bytes"])

	// The freed pages are used again.
	k.campaign("next", day, 300, task.StatusFinished)
	require.LessOrEqual(t, size(), full+full/10)
}

func TestRetentionDryRunByAge(t *testing.T) {
	k := newKeeper(t, RetentionConfig{MaxAge: 30 * day, DryRun: true})
	k.campaign("old", 31*day, 3, task.StatusFinished)
	require.Equal(t, []string{"old"}, k.kept())
	require.Equal(t, []string{"old 3 age"}, k.deleted())
}

// The extension looks once an interval, and ends with the collector.
func TestRetentionRuns(t *testing.T) {
	sc := sqliteAt(filepath.Join(t.TempDir(), "a.db"))
	sc.Retention = RetentionConfig{MaxAge: 48 * time.Hour, CheckInterval: 10 * time.Millisecond}
	s, _, err := store.FromHost(host{start(t, &Config{Stores: map[string]StoreConfig{"main": sc}}, nil)}, "main")
	require.NoError(t, err)
	_, err = s.Write(t.Context(), []*task.Event{{
		Name: task.EventFinished, Time: 1, Kind: "k", Key: "1", Attempt: task.NoAttempt, Campaign: "old", EndedAt: 1, Status: task.StatusFinished,
	}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		list, err := s.Campaigns(t.Context())
		return err == nil && len(list) == 0
	}, time.Minute, 5*time.Millisecond)
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"20GiB": 20 << 30, "500 MB": 500_000_000, "1.5KiB": 1536, "17": 17, "17B": 17, "2TiB": 2 << 40, "1kB": 1000,
	} {
		conf := confmap.NewFromStringMap(map[string]any{"stores": map[string]any{"main": map[string]any{
			"sqlite": map[string]any{"path": "x"}, "retention": map[string]any{"max_bytes": text},
		}}})
		cfg := createDefaultConfig().(*Config)
		require.NoError(t, conf.Unmarshal(cfg))
		require.Equal(t, want, cfg.Stores["main"].Retention.MaxBytes, text)
		require.NoError(t, confmap.Validate(cfg))
	}
	var b Bytes
	for _, text := range []string{"", "GiB", "20 gigabytes", "1e30GB", "NaN"} {
		require.ErrorContains(t, b.UnmarshalText([]byte(text)), "want a size such as 20GiB", text)
	}
}
