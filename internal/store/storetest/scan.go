package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var scanCases = []testCase{
	{
		name:     "a scan shows fields as a list does, and of a map its leaves",
		contract: "stores.md: A scan gives the fields of every task that matches: as a list shows them, and of a map its leaves.",
		run:      testScanFields,
	},
	{
		name:     "a scan of maps does not take short names for leaves, nor leaves for short names",
		contract: "stores.md: A scan gives the fields of every task that matches: as a list shows them, and of a map its leaves.",
		run:      testScanShortNames,
	},
	{
		name:     "a scan filters as a list does",
		contract: "stores.md: A scan gives the fields of every task that matches: as a list shows them, and of a map its leaves.",
		run:      testScanFilter,
	},
	{
		name:     "a scan of the first tasks gives those with the lowest ids",
		contract: "stores.md: A scan of the first tasks gives those with the lowest ids, and says how many match.",
		run:      testScanFirst,
	},
	{
		name:     "a scan refuses what is ambiguous",
		contract: "stores.md: A scan refuses a field that is ambiguous in a task that matches.",
		run:      testScanAmbiguous,
	},
	{
		name:     "an error of the reader ends a scan",
		contract: "stores.md: An error of who reads a scan ends it.",
		run:      testScanError,
	},
}

// scan returns the rows as JSON, in the order of their texts; "-" stands for what is absent.
func scan(t *testing.T, s store.Store, first int, filter string, names ...string) (rows []string, matching int64) {
	t.Helper()
	sc := scanOf(t, first, filter, names...)
	matching, err := s.Scan(t.Context(), sc, func(row []any) error {
		shown := slices.Clone(row)
		for i, v := range shown {
			if v == query.Absent {
				shown[i] = "-"
			}
		}
		rows = append(rows, task.JSON(shown))
		return nil
	})
	require.NoError(t, err)
	slices.Sort(rows)
	return rows, matching
}

func scanOf(t *testing.T, first int, filter string, names ...string) *query.Scan {
	t.Helper()
	q, err := query.ParseJSON([]byte(`{"filter": ` + filter + `}`))
	require.NoError(t, err)
	sc := &query.Scan{Filter: q.Filter, First: first}
	for _, name := range names {
		f, err := query.LookupField("", name)
		require.NoError(t, err)
		sc.Fields = append(sc.Fields, f)
	}
	return sc
}

func testScanFields(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s,
		finished("a", func(e *task.Event) {
			e.Used = map[string]any{
				"n": int64(1), "x": 1.0, "yes": true, "none": nil, "text": "1", "odd name %\"": "é",
				"list": []any{int64(1), []any{2.5}}, "parts": []any{map[string]any{"k": int64(1)}, map[string]any{"k": int64(2)}},
				"cfg": map[string]any{"deep": map[string]any{"v": int64(9)}},
			}
			e.Generated = map[string]any{
				"nan": math.NaN(), "inf": math.Inf(-1), "big": map[string]any{"$int": "18446744073709551616"}, "bytes": []byte{0, 1},
				"zero": math.Copysign(0, -1), "long": int64(math.MaxInt64), "empty": map[string]any{}, "cut": map[string]any{"$cut": map[string]any{"type": "str"}},
			}
			e.TelemetryPeak = map[string]any{"process.memory.usage": int64(5)}
			e.Tags, e.Environment, e.Stdout = []string{"t"}, "digest", "out"
			e.Attributes = map[string]any{"dask.worker.name": "w1"}
		}),
		finished("b", func(e *task.Event) { e.EndedAt = 0 }),
		&task.Event{Name: task.EventEnvironment, Environment: "digest", Record: map[string]any{"python": map[string]any{"version": "3.12"}}})
	rows, matching := scan(t, s, 0, `{}`, "task_id", "used.n", "used.x", "used.yes", "used.none", "used.text", `used.odd name %"`,
		"used.list", "used.parts", "used.parts.k", "used.cfg", "used.deep.v", "used.cfg.deep.v")
	require.EqualValues(t, 2, matching)
	require.Equal(t, []string{
		`["a",1,1.0,true,null,"1","é",[1,[2.5]],[{"k":1},{"k":2}],[1,2],{"deep":{"v":9}},9,9]`,
		`["b","-","-","-","-","-","-","-","-","-","-","-","-"]`,
	}, rows)
	rows, _ = scan(t, s, 0, `{}`, "task_id", "generated.nan", "generated.inf", "generated.big", "generated.bytes", "generated.zero",
		"generated.long", "generated.empty", "generated.cut", "telemetry_peak.process.memory.usage", "telemetry_peak.process")
	require.Equal(t, []string{
		`["a",{"$float":"NaN"},{"$float":"-Infinity"},{"$int":"18446744073709551616"},{"$bytes":"AAE="},-0.0,9223372036854775807,{},` +
			`{"$cut":{"type":"str"}},5,"-"]`,
		`["b","-","-","-","-","-","-","-","-","-","-"]`,
	}, rows)
	rows, _ = scan(t, s, 0, `{}`, "task_id", "status", "started_at", "elapsed", "tags", "environment.python.version", "environment",
		"attributes.dask.worker.name", "stdout", "used", "telemetry_peak")
	require.Equal(t, []string{
		`["a","FINISHED",1000,2e-06,["t"],"3.12",{"python.version":"3.12"},"w1","out",` +
			`{"cfg.deep.v":9,"list":[1,2.5],"n":1,"none":null,"odd name %\"":"é","parts.k":[1,2],"text":"1","x":1.0,"yes":true},` +
			`{"process.memory.usage":5}]`,
		`["b","FINISHED",1000,"-","-","-","-","-","-","-","-"]`,
	}, rows)
}

func testScanShortNames(t *testing.T, f Factory) {
	s := f.New(t)
	for key, used := range map[string]map[string]any{
		"argument": {"cfg": map[string]any{"layers": int64(2)}},
		"own":      {"cfg": map[string]any{"layers": int64(2)}, "layers": int64(2)},
		"dotted":   {"cfg.layers": int64(2), "layers": int64(2)},
		"plain":    {"layers": int64(2)},
		"two":      {"a": map[string]any{"units": int64(1)}, "b": map[string]any{"units": int64(2)}},
	} {
		write(t, s, finished(key, func(e *task.Event) { e.Used = used }))
	}
	rows, _ := scan(t, s, 0, `{}`, "task_id", "used", "used.layers")
	require.Equal(t, []string{
		`["argument",{"cfg.layers":2},2]`, `["dotted",{"cfg.layers":2,"layers":2},2]`, `["own",{"cfg.layers":2,"layers":2},2]`,
		`["plain",{"layers":2},2]`, `["two",{"a.units":1,"b.units":2},"-"]`,
	}, rows)
}

func testScanFilter(t *testing.T, f Factory) {
	s := f.New(t)
	var events []*task.Event
	for i := range 40 {
		events = append(events, finished(fmt.Sprint(i), func(e *task.Event) {
			e.Campaign = fmt.Sprint("c", i%2)
			e.Used = map[string]any{"n": int64(i)}
			if i%4 == 0 {
				e.Used["n"] = fmt.Sprint(i)
			}
		}))
	}
	write(t, s, events...)
	rows, matching := scan(t, s, 0, `{"campaign_id": "c0", "used.n": {"$gt": 30}}`, "used.n")
	require.Equal(t, []string{"[34]", "[38]"}, rows)
	require.EqualValues(t, 2, matching)
	rows, matching = scan(t, s, 0, `{"campaign_id": "c0", "used.n": {"$regex": "^1"}}`, "used.n")
	require.Equal(t, []string{`["12"]`, `["16"]`}, rows)
	require.EqualValues(t, 2, matching)
	rows, matching = scan(t, s, 0, `{"campaign_id": "none"}`, "used.n")
	require.Empty(t, rows)
	require.Zero(t, matching)
}

func testScanFirst(t *testing.T, f Factory) {
	s := f.New(t)
	var events []*task.Event
	for i := range 300 {
		events = append(events, finished(fmt.Sprint(i), func(e *task.Event) {
			e.Used = map[string]any{"even": i%2 == 0}
			if i%5 == 0 {
				e.Used["list"] = []any{int64(i)}
			}
		}))
	}
	write(t, s, events...)
	all, _ := scan(t, s, 0, `{}`, "id")
	rows, matching := scan(t, s, 7, `{}`, "id", "used.list")
	require.EqualValues(t, 300, matching)
	require.Len(t, rows, 7)
	for i, row := range rows {
		require.Contains(t, row, all[i][1:len(all[i])-1])
	}
	var even []string
	for i, e := range events {
		if i%2 == 0 {
			even = append(even, fmt.Sprintf("[%q]", e.ID()))
		}
	}
	slices.Sort(even)
	for _, filter := range []string{`{"used.even": true}`, `{"used.even": {"$ne": false}}`} {
		rows, matching = scan(t, s, 9, filter, "id")
		require.Equal(t, even[:9], rows)
		require.EqualValues(t, 150, matching)
	}
	rows, matching = scan(t, s, 1_000, `{}`, "id")
	require.Equal(t, all, rows)
	require.EqualValues(t, 300, matching)
}

func testScanAmbiguous(t *testing.T, f Factory) {
	s := f.New(t)
	two := map[string]any{"a": map[string]any{"units": int64(1)}, "b": map[string]any{"units": int64(2)}}
	write(t, s, finished("two", func(e *task.Event) { e.Used = two }),
		finished("one", func(e *task.Event) { e.Used, e.Campaign = map[string]any{"units": int64(3)}, "other" }))
	_, err := s.Scan(t.Context(), scanOf(t, 0, `{}`, "used.units"), func([]any) error { return nil })
	var mistake *query.Error
	require.ErrorAs(t, err, &mistake)
	require.Equal(t, []string{"used.a.units", "used.b.units"}, mistake.Valid)
	rows, _ := scan(t, s, 0, `{"campaign_id": "other"}`, "used.units")
	require.Equal(t, []string{"[3]"}, rows)
}

func testScanError(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, finished("1"), finished("2"), finished("3"))
	enough, calls := errors.New("enough"), 0
	_, err := s.Scan(t.Context(), scanOf(t, 0, `{}`, "id"), func([]any) error {
		calls++
		return enough
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, 1, calls)
	rows, _ := scan(t, s, 0, `{}`, "task_id")
	require.Len(t, rows, 3, "the store goes on")
}
