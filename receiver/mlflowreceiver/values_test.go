package mlflowreceiver

import (
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func TestParamValueKeepsTheText(t *testing.T) {
	for text, want := range map[string]any{
		"0": int64(0), "-3": int64(-3), "9223372036854775807": int64(math.MaxInt64), "9223372036854775808": map[string]any{"$int": "9223372036854775808"},
		"0.1": 0.1, "1e-05": 1e-05, "1e+22": 1e22, "-0.0": math.Copysign(0, -1), "True": true, "False": false,
		"": "", "-": "-", "-0": "-0", "007": "007", "1.10": "1.10", "1e5": "1e5", "1_000": "1_000", "nan": "nan", "inf": "inf", "None": "None", "true": "true",
		"0x10": "0x10", "1.": "1.", ".5": ".5", "1e999": "1e999", "2024-01-01": "2024-01-01", "--1": "--1", "1.2.3": "1.2.3", "+1": "+1", "１": "１",
	} {
		assert.Equal(t, want, paramValue(text), text)
	}
}

func FuzzParamValue(f *testing.F) {
	for _, s := range []string{"1", "-1.5", "1e+16", "1e16", "00", "9999999999999999999999", "e", "-e1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, s, pythonText(paramValue(s)))
	})
}

func at(step, time int64, value float64) point {
	return point{whole{n: step}, whole{n: time}, value}
}

func TestWholeNumbersThatAreNone(t *testing.T) {
	for v, want := range map[any]any{
		nil: int64(0), int64(-7): int64(-7), 2.0: int64(2), 1.5: 1.5, -1.25: -1.25, int64(math.MaxInt64): int64(math.MaxInt64),
		1e300: int64(math.MaxInt64), -1e300: int64(math.MinInt64),
	} {
		var w whole
		require.NoError(t, w.Scan(v))
		assert.Equal(t, want, w.value(), v)
	}
	require.ErrorContains(t, new(whole).Scan("soon"), `"soon" is no number`)
	s := series{}.add(point{step: whole{1, 0.75}}).add(point{step: whole{1, 0.25}}).add(at(1, 0, 0))
	assert.Equal(t, []any{int64(1), 1.75}, []any{s.values()["first_step"], s.values()["last_step"]})
}

func TestSeries(t *testing.T) {
	var s series
	for _, p := range []point{at(3, 0, 5), at(1, 9, math.NaN()), at(2, 5, 7), at(2, 4, -1), at(3, 0, 6)} {
		s = s.add(p)
	}
	v := s.values()
	assert.True(t, math.IsNaN(v["first"].(float64)))
	delete(v, "first")
	assert.Equal(t, map[string]any{"first_step": int64(1), "last": 6.0, "last_step": int64(3), "min": -1.0, "max": 7.0, "count": int64(5), "nan": int64(1)}, v)
}

func TestActivityAndTimes(t *testing.T) {
	m := &mapper{cfg: createDefaultConfig().(*Config)}
	for source, want := range map[string]string{
		"/home/ada/evaluate.py": "evaluate", `C:\lab\train.py`: "train", "": "search", "/x/ipykernel_launcher.py": "search", ".hidden": ".hidden", "notebook": "notebook",
	} {
		x := &run{sourceName: source, experiment: experiment{name: "search"}}
		assert.Equal(t, want, m.activity(x), source)
	}
	custom := map[string]any{}
	e := &task.Event{Status: task.StatusFinished}
	m.times(e, &run{start: math.MaxInt64, end: -5}, custom)
	assert.Zero(t, e.StartedAt+e.EndedAt)
	assert.Equal(t, map[string]any{"unusable_start_time": int64(math.MaxInt64), "unusable_end_time": int64(-5)}, custom)
}

func TestArtifactLocations(t *testing.T) {
	for uri, want := range map[string]string{
		"/data/art": "/data/art", "file:///data/a%20b": "/data/a b", "file:/data/x": "/data/x", "./mlruns/1": "/base/mlruns/1", "mlruns/1": "/base/mlruns/1",
		"s3://bucket/x": "", "mlflow-artifacts:/1/x": "", "file://elsewhere/x": "", "": "",
	} {
		got, ok := localPath(uri, "/base")
		assert.Equal(t, want, got, uri)
		assert.Equal(t, want != "", ok, uri)
	}
	f := &files{resolver: entity.NewResolver()}
	assert.Empty(t, f.list("/does/not/exist", "/", 10).files)
	wd, err := os.Getwd()
	require.NoError(t, err)
	got := f.list("testdata", wd, 2)
	assert.Len(t, got.files, 2)
	assert.Positive(t, got.omitted)
}

func TestSavedPositionOfANewerProgramIsRefused(t *testing.T) {
	m := newMemory()
	m.data[cursorKey] = []byte(`{"schema_version": 99}`)
	err := newKeeper(m).load(t.Context())
	require.ErrorContains(t, err, "schema_version 99")
	m.data[cursorKey] = []byte(`{`)
	require.ErrorContains(t, newKeeper(m).load(t.Context()), "cannot be read")
	m.data[cursorKey] = []byte(`{"schema_version": 1}`)
	m.data[bucketKey(3)] = []byte(`{"x": "zz"}`)
	require.ErrorContains(t, newKeeper(m).load(t.Context()), "run x")
	assert.NotEqual(t, newObserverID(component.MustNewID("mlflow")), newObserverID(component.MustNewID("mlflow")))
}
