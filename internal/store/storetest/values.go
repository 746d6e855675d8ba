package storetest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var valueCases = []testCase{
	{
		name:     "types may change between tasks",
		contract: "stores.md: Types may change between tasks: a whole number, a float, text, a boolean, null, a list and a map under one name.",
		run:      testTypes,
	},
	{
		name:     "every value comes back with its type",
		contract: "stores.md: Every value comes back with its type and all of its digits.",
		run:      testRoundTrip,
	},
	{
		name:     "keys may have any characters",
		contract: "stores.md: Keys may have any characters, dots among them.",
		run:      testKeys,
	},
	{
		name:     "a task may have five thousand keys",
		contract: "stores.md: A task may have five thousand keys.",
		run:      testManyKeys,
	},
	{
		name:     "a value may have a megabyte",
		contract: "stores.md: A value may have a megabyte.",
		run:      testBigValue,
	},
	{
		name:     "values may be deeply nested",
		contract: "stores.md: Values may be nested a hundred levels deep.",
		run:      testDeep,
	},
	{
		name:     "text is Unicode",
		contract: "stores.md: Text is Unicode, and is stored as it came.",
		run:      testUnicode,
	},
	{
		name:     "integers keep all of their digits",
		contract: "stores.md: Every value comes back with its type and all of its digits.",
		run:      testIntegers,
	},
	{
		name:     "a cursor over immutable keys neither misses nor repeats while the view grows",
		contract: "query.md: A cursor over fields that never change (`id`, the default, `task_id`, `kind`, `scope`) neither misses nor repeats a task while the view grows; others say `live`.",
		run:      testCursor,
	},
	{
		name:     "environment fields are those of the record of the task's process",
		contract: "stores.md: Environment fields are those of the record of the task's process, whichever of the two came first.",
		run:      testEnvironment,
	},
	{
		name:     "environments come before or after their tasks",
		contract: "stores.md: Environment fields are those of the record of the task's process, whichever of the two came first.",
		run:      testEnvironmentOrder,
	},
}

// found returns the keys of the tasks that match a comparison.
func found(t *testing.T, s store.Store, field string, op query.Op, value any) []string {
	t.Helper()
	f, err := query.LookupField("", field)
	require.NoError(t, err, field)
	a, err := s.Query(t.Context(), &query.Query{Filter: query.Compare{Field: f, Op: op, Value: value}, Limit: query.MaxLimit})
	require.NoError(t, err)
	keys := []string{}
	for _, r := range a.Rows {
		keys = append(keys, r["task_id"].(string))
	}
	return keys
}

func testTypes(t *testing.T, f Factory) {
	s := f.New(t)
	values := map[string]any{
		"int": int64(1), "float": 1.0, "bool": true, "string": "1", "null": nil, "list": []any{int64(1), "x"},
		"map": map[string]any{"v": int64(1)}, "nan": math.NaN(), "bytes": []byte("1"),
	}
	for k, v := range values {
		write(t, s, finished(k, func(e *task.Event) { e.Used = map[string]any{"a": v} }))
	}
	require.ElementsMatch(t, []string{"int", "float", "list"}, found(t, s, "used.a", query.Eq, int64(1)))
	require.ElementsMatch(t, []string{"bool"}, found(t, s, "used.a", query.Eq, true))
	require.ElementsMatch(t, []string{"string"}, found(t, s, "used.a", query.Eq, "1"))
	require.ElementsMatch(t, []string{"null"}, found(t, s, "used.a", query.Eq, nil))
	require.ElementsMatch(t, []string{"map"}, found(t, s, "used.a.v", query.Eq, int64(1)))
	require.ElementsMatch(t, []string{"int", "float", "list"}, found(t, s, "used.a", query.Gt, int64(0)))
	require.Len(t, found(t, s, "used.a", query.Exists, true), len(values))
	a := ask(t, s, `{"aggregation": [["sum", "used.a"]]}`)
	require.EqualValues(t, 3, a.Rows[0]["sum(used.a)"])
	require.Len(t, a.Warnings, 1)
}

func testRoundTrip(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", func(e *task.Event) {
		e.Used = map[string]any{
			"min": int64(math.MinInt64), "max": int64(math.MaxInt64), "whole": 1.0, "tiny": 5e-324, "huge": math.MaxFloat64,
			"minus zero": math.Copysign(0, -1), "third": 1.0 / 3, "nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1),
			"true": true, "null": nil, "empty": "", "bytes": []byte{0, 255}, "no bytes": []byte{}, "list": []any{int64(1), 1.0, nil, "x"},
			"empty list": []any{}, "empty map": map[string]any{}, "big": map[string]any{"$int": "18446744073709551616"},
			"cut": map[string]any{"$cut": map[string]any{"len": int64(9), "head": "abc"}}, "nul": "a\x00b",
		}
		e.Attributes = map[string]any{"process.pid": int64(7)}
		e.Custom = map[string]any{"note": "n"}
		e.Stdout, e.Stderr = "out\n", "err\n"
	})
	write(t, s, e)
	requireDocument(t, s, e)
	for path, v := range e.Used {
		row := ask(t, s, `{"projection": ["used.%s"]}`, path).Rows[0]
		require.Equal(t, task.JSON(v), task.JSON(row["used."+path]), path)
	}
}

func testKeys(t *testing.T, f Factory) {
	s := f.New(t)
	names := []string{
		"a.b", "a", "with space", `quo"te`, `back\slash`, "per%cent", "apo'strophe", "[0]", "$", "ключ", "鍵", "😀", "new\nline", "tab\t", "x;y--", "NULL",
		strings.Repeat("long", 500),
	}
	for i, name := range names {
		write(t, s, finished(name, func(e *task.Event) { e.Generated = map[string]any{name: int64(i)} }))
	}
	for i, name := range names {
		require.Equal(t, []string{name}, found(t, s, "generated."+name, query.Eq, int64(i)), name)
		// "a" exists also where "a.b" does.
		require.Contains(t, found(t, s, "generated."+name, query.Exists, true), name)
	}
	// A nested path and a key with a dot are one field.
	nested := finished("nested", func(e *task.Event) { e.Generated = map[string]any{"a": map[string]any{"b": int64(0)}} })
	write(t, s, nested)
	require.ElementsMatch(t, []string{"a.b", "nested"}, found(t, s, "generated.a.b", query.Eq, int64(0)))
}

func testManyKeys(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", func(e *task.Event) {
		e.Used = map[string]any{}
		for i := range 5_000 {
			e.Used[fmt.Sprintf("key_%d", i)] = int64(i)
		}
	})
	write(t, s, e)
	requireDocument(t, s, e)
	require.Equal(t, []string{"x"}, found(t, s, "used.key_4999", query.Eq, int64(4999)))
	require.Empty(t, found(t, s, "used.key_5000", query.Exists, true))
}

func testBigValue(t *testing.T, f Factory) {
	s := f.New(t)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	e := finished("x", func(e *task.Event) { e.Generated = map[string]any{"text": big, "small": int64(1)} })
	write(t, s, e)
	requireDocument(t, s, e)
	require.Equal(t, []string{"x"}, found(t, s, "generated.text", query.Eq, big))
	require.Empty(t, found(t, s, "generated.text", query.Eq, big+"!"))
}

func testDeep(t *testing.T, f Factory) {
	s := f.New(t)
	var v any = int64(1)
	path := "used"
	for range 100 {
		v = map[string]any{"d": v}
		path += ".d"
	}
	var list any = "in"
	for range 100 {
		list = []any{list}
	}
	e := finished("x", func(e *task.Event) {
		e.Used = v.(map[string]any)
		e.Generated = map[string]any{"list": list}
	})
	write(t, s, e)
	requireDocument(t, s, e)
	require.Equal(t, []string{"x"}, found(t, s, path, query.Eq, int64(1)))
	require.Equal(t, []string{"x"}, found(t, s, "generated.list", query.Eq, "in"))
}

func testUnicode(t *testing.T, f Factory) {
	s := f.New(t)
	for _, v := range []string{"é", "e\u0301", "Ω", "😀", "\u202e", "ﬀ", "\ufeff", "\U0010ffff"} {
		write(t, s, finished(v, func(e *task.Event) { e.Used, e.Activity = map[string]any{"v": v}, v }))
		require.Equal(t, []string{v}, found(t, s, "used.v", query.Eq, v))
		require.Equal(t, []string{v}, found(t, s, "activity_id", query.Eq, v))
		require.Equal(t, []string{v}, found(t, s, "task_id", query.Eq, v))
	}
}

func testIntegers(t *testing.T, f Factory) {
	s := f.New(t)
	// Some share a double with their neighbours, and the last digit of that one is odd or even.
	all := []int64{math.MinInt64, -(1<<53 + 2), -(1<<53 + 1), -(1 << 53), 1 << 53, 1<<53 + 1, 1<<53 + 2, 1<<53 + 3, math.MaxInt64 - 1, math.MaxInt64}
	for _, i := range all {
		write(t, s, finished(fmt.Sprint(i), func(e *task.Event) { e.Used = map[string]any{"i": i} }))
	}
	require.Equal(t, []string{"9007199254740993"}, found(t, s, "used.i", query.Eq, int64(1<<53+1)))
	require.Equal(t, int64(1<<53+1), ask(t, s, `{"filter": {"task_id": "9007199254740993"}, "projection": ["used.i"]}`).Rows[0]["used.i"])
	require.Equal(t, []string{"9223372036854775807"}, found(t, s, "used.i", query.Gt, int64(math.MaxInt64-1)))
	require.EqualValues(t, int64(math.MaxInt64), ask(t, s, `{"aggregation": [["max", "used.i"]]}`).Rows[0]["max(used.i)"])
	for n, i := range all {
		below, above := texts(all[:n]), texts(all[n+1:])
		require.ElementsMatch(t, below, found(t, s, "used.i", query.Lt, i), "below %d", i)
		require.ElementsMatch(t, append(below, fmt.Sprint(i)), found(t, s, "used.i", query.Lte, i), "up to %d", i)
		require.ElementsMatch(t, above, found(t, s, "used.i", query.Gt, i), "above %d", i)
		require.ElementsMatch(t, append(above, fmt.Sprint(i)), found(t, s, "used.i", query.Gte, i), "from %d", i)
	}
}

func texts(numbers []int64) []string {
	out := []string{}
	for _, i := range numbers {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func testCursor(t *testing.T, f Factory) {
	s := f.New(t)
	for i := range 20 {
		write(t, s, finished(fmt.Sprintf("old-%02d", i)))
	}
	for _, sort := range []string{`[]`, `[["task_id", "descending"]]`, `["id"]`} {
		seen := map[string]int{}
		cursor := ""
		for page := 0; ; page++ {
			a := ask(t, s, `{"limit": 3, "sort": %s, "cursor": %s}`, sort, map[bool]string{true: "null", false: fmt.Sprintf("%q", cursor)}[cursor == ""])
			require.False(t, a.Live)
			for _, r := range a.Rows {
				seen[r["task_id"].(string)]++
			}
			write(t, s, finished(fmt.Sprintf("new-%s-%02d", sort, page)))
			if cursor = a.NextCursor; cursor == "" {
				break
			}
			require.Less(t, page, 100)
		}
		for i := range 20 {
			require.Equal(t, 1, seen[fmt.Sprintf("old-%02d", i)], "sort %s", sort)
		}
		for key, n := range seen {
			require.Equal(t, 1, n, key)
		}
	}
}

func testEnvironment(t *testing.T, f Factory) {
	s := f.New(t)
	for i, version := range []string{"3.9", "3.11"} {
		digest := fmt.Sprintf("d%d", i)
		write(t, s,
			finished(version, func(e *task.Event) { e.Environment = digest }),
			&task.Event{Name: task.EventEnvironment, Environment: digest, Time: 1, Record: map[string]any{
				"python": map[string]any{"version": version}, "packages": []any{"numpy", "dask"},
			}})
	}
	require.Equal(t, []string{"3.11"}, found(t, s, "environment.python.version", query.Eq, "3.11"))
	require.Len(t, found(t, s, "environment.packages", query.Eq, "dask"), 2)
	rows := ask(t, s, `{"projection": ["environment.python.version"], "aggregation": [["min", "elapsed"]], "sort": [["environment.python.version", "descending"]]}`).Rows
	require.Len(t, rows, 2)
	require.Equal(t, "3.9", rows[0]["environment.python.version"])
	require.Equal(t, "3.11", rows[1]["environment.python.version"])
}

func testEnvironmentOrder(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", func(e *task.Event) { e.Environment = "late" })
	write(t, s, e)
	require.Empty(t, found(t, s, "environment.user", query.Exists, true))
	record := map[string]any{"user": "ada"}
	write(t, s, &task.Event{Name: task.EventEnvironment, Environment: "late", Record: record})
	require.Equal(t, []string{"x"}, found(t, s, "environment.user", query.Eq, "ada"))
	records, err := s.Environments(t.Context(), []string{"late", "unknown"})
	require.NoError(t, err)
	require.Equal(t, map[string]map[string]any{"late": record}, records)
	require.Equal(t, "late", document(t, s, e)["environment"])
}
