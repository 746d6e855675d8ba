package provenanceprocessor

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/processor/provenanceprocessor/internal/metadata"
)

const second = int64(1e9)

func through(t *testing.T, cfg *Config, events ...*task.Event) []*task.Event {
	t.Helper()
	sink := new(consumertest.LogsSink)
	p, err := NewFactory().CreateLogs(t.Context(), processortest.NewNopSettings(metadata.Type), cfg, sink)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, p.ConsumeLogs(t.Context(), task.ToLogs(events)))
	require.NoError(t, p.Shutdown(t.Context()))
	var out []*task.Event
	for _, l := range sink.AllLogs() {
		got, rejected := task.FromLogs(l)
		require.Empty(t, rejected)
		out = append(out, got...)
	}
	return out
}

// links derives the links between events as a store does.
func links(events []*task.Event) []lineage.Link {
	facts := map[string]store.TaskFacts{}
	byEntity := map[string][]store.TaskClaim{}
	for _, e := range events {
		facts[e.ID()] = store.TaskFacts{ID: e.ID(), StartedAt: e.StartedAt, EndedAt: e.EndedAt, Status: e.Status}
		for _, c := range e.Claims {
			byEntity[c.Entity] = append(byEntity[c.Entity], store.TaskClaim{TaskID: e.ID(), Claim: c})
		}
	}
	var out []lineage.Link
	for _, claims := range byEntity {
		out = append(out, lineage.Links(claims, facts, nil)...)
	}
	return out
}

func ran(key, host string, started, ended int64) *task.Event {
	status := task.StatusFinished
	if ended == 0 {
		status = task.StatusRunning
	}
	return &task.Event{
		Name: task.EventForStatus(status), Kind: "log", Scope: "s", Key: key, Attempt: task.NoAttempt, Facet: "end",
		Status: status, StartedAt: started * second, EndedAt: ended * second, Time: ended * second,
		Resource:   map[string]any{"host.name": host},
		Attributes: map[string]any{"process.working_directory": "/data/run"},
	}
}

func config() *Config { return &Config{Site: "my.site"} }

func TestTwoNodesOnOneSharedMountLink(t *testing.T) {
	producer, consumer := ran("a", "n1", 1, 5), ran("b", "n2", 6, 9)
	producer.Generated = map[string]any{"out": "/scratch/x.npz"}
	producer.Paths = map[string]task.PathInfo{"/scratch/x.npz": {Real: "/scratch/x.npz", FS: "nfs:nas", Rel: "/export/x.npz", Size: 1}}
	consumer.Used = map[string]any{"data": "/mnt/nas/x.npz"}
	consumer.Paths = map[string]task.PathInfo{"/mnt/nas/x.npz": {Real: "/mnt/nas/x.npz", FS: "nfs:nas", Rel: "/export/x.npz", Size: 1}}
	got := links(through(t, config(), producer, consumer))
	require.Len(t, got, 1)
	assert.Equal(t, producer.ID(), got[0].From)
	assert.Equal(t, consumer.ID(), got[0].To)
	assert.Equal(t, "path", got[0].Evidence)
}

func TestEqualLocalPathsOnTwoHostsDoNotLink(t *testing.T) {
	producer, consumer := ran("a", "n1", 1, 5), ran("b", "n2", 6, 9)
	producer.Generated = map[string]any{"out": "/tmp/x.npz"}
	consumer.Used = map[string]any{"data": "/tmp/x.npz"}
	assert.Empty(t, links(through(t, config(), producer, consumer)))
	consumer.Resource = producer.Resource
	assert.Len(t, links(through(t, config(), producer, consumer)), 1)
}

func TestRelativePathMeansTheWorkingDirectory(t *testing.T) {
	producer, consumer := ran("a", "n1", 1, 5), ran("b", "n1", 6, 9)
	producer.Generated = map[string]any{"out": "images/x.npz"}
	consumer.Used = map[string]any{"images": []any{"/data/run/images/x.npz", "/data/run/images/y.npz"}}
	assert.Len(t, links(through(t, config(), producer, consumer)), 1)
}

func TestSmallNumbersAndWordsNeverLink(t *testing.T) {
	producer, consumer := ran("a", "n1", 1, 5), ran("b", "n1", 6, 9)
	same := map[string]any{"epochs": int64(10), "lr": 0.1, "swa": true, "optimizer": "adam", "ratio": "1/2", "unit": "m/s"}
	producer.Generated, consumer.Used = same, same
	got := through(t, config(), producer, consumer)
	assert.Empty(t, got[0].Claims)
	assert.Empty(t, got[1].Claims)
}

func TestValuesLinkByExplicitRuleOnly(t *testing.T) {
	producer, consumer := ran("a", "n1", 1, 5), ran("b", "n2", 6, 9)
	producer.Generated, consumer.Used = map[string]any{"sample": int64(17)}, map[string]any{"sample_id": 17.0}
	assert.Empty(t, links(through(t, config(), producer, consumer)))
	cfg := config()
	cfg.Values = []ValueRule{{Name: "sample", Fields: []string{"generated.sample", "used.sample_id"}}}
	got := links(through(t, cfg, producer, consumer))
	require.Len(t, got, 1)
	assert.Equal(t, "value", got[0].Evidence)
}

func TestGenerationTimeIsTheFilesOnlyWhileTheTaskRan(t *testing.T) {
	for _, c := range []struct {
		mtime int64
		want  int64
	}{{4, 4 * second}, {100, 0}, {0, 0}} {
		e := ran("a", "n1", 1, 5)
		e.Generated = map[string]any{"out": "/data/x.npz"}
		e.Paths = map[string]task.PathInfo{"/data/x.npz": {Real: "/data/x.npz", Rel: "/data/x.npz", ModTime: c.mtime * second, Size: 3}}
		claims := through(t, config(), e)[0].Claims
		require.Len(t, claims, 1)
		assert.Equal(t, c.want, claims[0].Time)
	}
}

func TestAFileRewrittenTwice(t *testing.T) {
	var events []*task.Event
	for i, key := range []string{"v1", "v2", "v3"} {
		at := int64(10 * (i + 1))
		p := ran(key, "n1", at, at+2)
		p.Generated = map[string]any{"model_path": "/data/latest.pkl"}
		u := ran("use "+key, "n1", at+4, at+5)
		u.Used = map[string]any{"model_path": "/data/latest.pkl"}
		events = append(events, u, p) // the producer arrives after its consumer
	}
	got := links(through(t, config(), events...))
	require.Len(t, got, 3)
	pairs := map[string]string{}
	for _, l := range got {
		pairs[l.To] = l.From
	}
	for i := 0; i < 6; i += 2 {
		assert.Equal(t, events[i+1].ID(), pairs[events[i].ID()])
	}
}

func TestAConsumerThatStartsWhileItsProducerStillRuns(t *testing.T) {
	producer, consumer := ran("a", "n1", 1, 0), ran("b", "n1", 6, 9)
	producer.Generated = map[string]any{"out": "/data/stream.h5"}
	consumer.Used = map[string]any{"in": "/data/stream.h5"}
	got := links(through(t, config(), producer, consumer))
	require.Len(t, got, 1)
	assert.Equal(t, "running", got[0].Doubt)
	assert.Less(t, got[0].Confidence, 0.5)
}

func TestMLflowRunsAndDatasetsAreThings(t *testing.T) {
	run := ran("0123456789abcdef0123456789abcdef", "n1", 1, 5)
	run.Kind = "mlflow"
	run.Used = map[string]any{"inputs": []any{map[string]any{"name": "digits", "digest": "a1b2c3d4"}}}
	got := through(t, config(), run)[0].Claims
	require.Len(t, got, 2)
	assert.Equal(t, "digest:mlflow:digits:a1b2c3d4", got[0].Entity)
	assert.Equal(t, "mlflow:run:"+run.Key, got[1].Entity)
	assert.Equal(t, task.Generated, got[1].Role)
}

func TestProcessingTwiceChangesNothing(t *testing.T) {
	e := ran("a", "n1", 1, 5)
	e.Generated = map[string]any{"out": "/data/x.npz"}
	once := through(t, config(), e)
	assert.Equal(t, once, through(t, config(), once...))
	assert.Equal(t, "my.site", once[0].Resource[task.AttrSite])
}

func TestIgnoredFieldsMakeNoClaims(t *testing.T) {
	e := ran("a", "n1", 1, 5)
	e.Used = map[string]any{"opts": map[string]any{"cache": "/data/cache.db"}, "in": "/data/x.npz"}
	cfg := config()
	cfg.Ignore = []string{"used.opts.*"}
	assert.Len(t, through(t, cfg, e)[0].Claims, 1)
	// "*" stands for any text, slashes too: MLflow and others name fields with them.
	e.Used = map[string]any{"cache/val": "/data/cache.db", "in": "/data/x.npz"}
	cfg.Ignore = []string{"used.ca*"}
	assert.Len(t, through(t, cfg, e)[0].Claims, 1)
	cfg.Values = []ValueRule{{Name: "loss", Fields: []string{"*loss"}}}
	e.Generated = map[string]any{"val/loss": 0.25}
	assert.Len(t, through(t, cfg, e)[0].Claims, 2)
}

// TestEntitiesOfATaskMakeClaims: what an observer says of an entity holds for the task that it names.
func TestEntitiesOfATaskMakeClaims(t *testing.T) {
	consumer := ran("b", "n1", 6, 9)
	consumer.Used = map[string]any{"data": "/data/x.npz"}
	observed := &task.Event{
		Name: task.EventEntity, Kind: "log", Scope: "s", Key: "a", Attempt: task.NoAttempt, Time: 5 * second,
		Generated: map[string]any{"out": "/data/x.npz"}, Record: map[string]any{"id": "x"}, Resource: consumer.Resource,
	}
	nobodys := &task.Event{Name: task.EventEntity, Attempt: task.NoAttempt, Generated: map[string]any{"out": "/data/x.npz"}, Record: map[string]any{"id": "y"}}
	scattered := &task.Event{Name: task.EventEntity, Kind: "dask", Scope: "s", Key: "c", Attempt: task.NoAttempt, Record: map[string]any{"value": "/data/x.npz"}}
	got := through(t, config(), observed, nobodys, scattered, consumer)
	made := map[string]int{}
	for _, e := range got {
		made[e.Key] = len(e.Claims)
	}
	assert.Equal(t, map[string]int{"a": 1, "": 0, "c": 0, "b": 1}, made)
	l := links(got)
	require.Len(t, l, 1)
	assert.Equal(t, observed.ID(), l[0].From)
}

func TestOtherRecordsPassUnchanged(t *testing.T) {
	checkpoint := &task.Event{
		Name: task.EventCheckpoint, Attempt: task.NoAttempt, Record: map[string]any{"last_seq": int64(3)},
		Resource: map[string]any{task.AttrSite: "elsewhere"},
	}
	got := through(t, config(), checkpoint)
	assert.Equal(t, []*task.Event{checkpoint}, got)
}

func TestValidate(t *testing.T) {
	require.NoError(t, createDefaultConfig().(*Config).Validate())
	cfg := &Config{Site: "my site", Ignore: []string{"path"}, Values: []ValueRule{{}, {Name: "a", Fields: []string{"used.["}}}}
	err := cfg.Validate()
	for _, want := range []string{
		`site: "my site"; want a name without spaces`, `ignore: "path"; want a name that begins with "used."`,
		`values[0].name: empty`, `values[0].fields: empty`, `values[1].fields: "used.[" is no pattern`,
	} {
		require.ErrorContains(t, err, want)
	}
}

func BenchmarkProcess(b *testing.B) {
	e := ran("a", "n1", 1, 5)
	e.Used = map[string]any{"layers": int64(2), "lr": 0.1, "data": "/data/x.npz"}
	e.Generated = map[string]any{"loss": 0.1, "model_path": "/data/model_17.pkl"}
	events := make([]*task.Event, 1000)
	for i := range events {
		events[i] = e
	}
	logs := task.ToLogs(events)
	tel, err := metadata.NewTelemetryBuilder(componenttest.NewNopTelemetrySettings())
	require.NoError(b, err)
	p := &provenance{claimer: newClaimer(config()), tel: tel}
	for b.Loop() {
		if _, err := p.process(b.Context(), logs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
}

func TestSiteOfTheClusterIsTheDefault(t *testing.T) {
	t.Setenv("SLURM_CLUSTER_NAME", "frontier")
	e := ran("a", "n1", 1, 5)
	e.Generated = map[string]any{"out": "/data/x.npz"}
	got := through(t, &Config{}, e)[0]
	assert.Equal(t, "frontier", got.Resource[task.AttrSite])
	assert.Equal(t, "file:frontier/n1:/data/x.npz", got.Claims[0].Entity)
}

// TestPathsAsOthersWriteThem: what is not written as our observers write it is read all the same, or the event counts as
// invalid; neither stops the others.
func TestPathsAsOthersWriteThem(t *testing.T) {
	written := func(change func(path pcommon.Map)) *task.Event {
		e := ran("a", "n1", 1, 5)
		e.Generated = map[string]any{"out": "x.npz"}
		e.Paths = map[string]task.PathInfo{"x.npz": {Real: "/data/x.npz", ModTime: 4 * second, Size: 7}}
		logs := task.ToLogs([]*task.Event{e, e})
		attrs := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes()
		paths, _ := attrs.Get(task.AttrPaths)
		path, _ := paths.Map().Get("x.npz")
		change(path.Map())
		tel, err := metadata.NewTelemetryBuilder(componenttest.NewNopTelemetrySettings())
		require.NoError(t, err)
		p := &provenance{claimer: newClaimer(config()), tel: tel}
		_, err = p.process(t.Context(), logs)
		require.NoError(t, err)
		got, _ := task.FromLogsWithoutPaths(logs)
		require.Len(t, got, 2)
		require.Len(t, got[1].Claims, 1, "the next one")
		require.Equal(t, "file:my.site/n1:/data/x.npz", got[1].Claims[0].Entity)
		require.Equal(t, 4*second, got[1].Claims[0].Time)
		return got[0]
	}
	same := written(func(pcommon.Map) {})
	require.Len(t, same.Claims, 1)
	for name, change := range map[string]func(pcommon.Map){
		"a time as a double": func(m pcommon.Map) { m.PutDouble("mtime", float64(4*second)) },
		"an unknown key":     func(m pcommon.Map) { m.PutBool("new", true) },
		"no size":            func(m pcommon.Map) { m.Remove("size") },
	} {
		assert.Equal(t, same.Claims, written(change).Claims, name)
	}
	assert.Empty(t, written(func(m pcommon.Map) { m.PutStr("mtime", "yesterday") }).Claims)
}

func TestManyPathsAndClaims(t *testing.T) {
	e := ran("a", "n1", 1, 5)
	e.Generated, e.Paths = map[string]any{}, map[string]task.PathInfo{}
	for i := range 50 {
		name := fmt.Sprintf("x%d.npz", i)
		e.Generated[fmt.Sprint("out", i)] = []any{name, name}
		e.Paths[name] = task.PathInfo{Real: "/data/" + name, Size: 1}
	}
	entities := map[string]int{}
	for _, c := range through(t, config(), e)[0].Claims {
		entities[c.Entity]++
	}
	assert.Len(t, entities, 50)
	for entity, n := range entities {
		assert.Equal(t, 1, n, entity)
	}
}
