package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var answerCases = []testCase{
	{
		name:     "an answer has 100 rows unless it is told otherwise, and the cursor gives the rest",
		contract: "query.md: `limit` is 100 unless given",
		run:      testDefaultLimit,
	},
	{
		name:     "rows without a projection are whole tasks",
		contract: "query.md: Without one rows are whole tasks.",
		run:      testWholeRows,
	},
	{
		name:     "equal keys are ordered by the id, in both directions",
		contract: "query.md: Ties are broken by `id`, or by the groups' values, so that an order is always the same.",
		run:      testTies,
	},
	{
		name:     "a cursor is refused by another query",
		contract: "query.md: A cursor belongs to the query that gave it.",
		run:      testForeignCursor,
	},
	{
		name:     "a query may be as large as its limits",
		contract: "query.md: Filters have at most 1,000 conditions, 32 levels and 10,000 values in a list; projections, aggregations and sorts 400 entries.",
		run:      testLargeQueries,
	},
	{
		name:     "a query beyond its limits is refused",
		contract: "query.md: Filters have at most 1,000 conditions, 32 levels and 10,000 values in a list; projections, aggregations and sorts 400 entries.",
		run:      testTooLargeQueries,
	},
	{
		name:     "a walk through groups by their cursor shows each once",
		contract: "query.md: `total` counts all matching tasks, or all groups.",
		run:      testGroupPages,
	},
	{
		name:     "a rejected event has not arrived",
		contract: "stores.md: A rejected event did not arrive.",
		run:      testRejectedDidNotArrive,
	},
}

func testDefaultLimit(t *testing.T, f Factory) {
	s := f.New(t)
	var events []*task.Event
	for i := range 130 {
		events = append(events, finished(fmt.Sprint(i)))
	}
	write(t, s, events...)
	a := ask(t, s, `{}`)
	require.Len(t, a.Rows, 100)
	require.EqualValues(t, 130, a.Total)
	require.True(t, a.Truncated)
	b := ask(t, s, `{"cursor": %q}`, a.NextCursor)
	require.Len(t, b.Rows, 30)
	require.EqualValues(t, 130, b.Total)
	require.False(t, b.Truncated)
	require.Empty(t, b.NextCursor)
	ids := map[any]bool{}
	for _, r := range append(a.Rows, b.Rows...) {
		ids[r["id"]] = true
	}
	require.Len(t, ids, 130)
	require.Len(t, ask(t, s, `{"limit": 110}`).Rows, 110)
}

func testWholeRows(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", func(e *task.Event) {
		e.Used, e.Generated = map[string]any{"a": map[string]any{"b": 1.0}}, map[string]any{"l": []any{int64(1), nil}}
		e.Environment, e.Tags, e.Stdout = "digest", []string{"t"}, "out"
		e.Attributes = map[string]any{"host.name": "node-1", "mida.job.id": "7", "error.type": "E"}
		e.ObserverID = "o"
	})
	write(t, s, e, &task.Event{Name: task.EventEnvironment, Environment: "digest", Record: map[string]any{"user": "ada"}})
	rows := ask(t, s, `{}`).Rows
	require.Len(t, rows, 1)
	require.Equal(t, `{"activity_id":"train","attributes":{"error.type":"E","host.name":"node-1","mida.job.id":"7"},"campaign_id":"c",`+
		`"ended_at":3000,"environment":{"user":"ada"},"error":{"type":"E"},"generated":{"l":[1,null]},"host":"node-1","id":"`+e.ID()+
		`","job":{"id":"7"},"kind":"dask","observers":["o"],"scope":"S","started_at":1000,"status":"FINISHED","stdout":"out",`+
		`"tags":["t"],"task_id":"x","used":{"a":{"b":1.0}},"workflow_id":"w","workflow_name":"search"}`, task.JSON(rows[0]))
}

func testTies(t *testing.T, f Factory) {
	s := f.New(t)
	for i := range 12 {
		write(t, s, finished(fmt.Sprint(i), func(e *task.Event) { e.Used = map[string]any{"n": int64(i % 2)} }))
	}
	for _, direction := range []string{"ascending", "descending"} {
		for _, field := range []string{"used.n", "activity_id"} {
			rows := ask(t, s, `{"sort": [[%q, %q]], "projection": ["id", %q]}`, field, direction, field).Rows
			require.Len(t, rows, 12)
			for i, r := range rows[1:] {
				if r[field] == rows[i][field] {
					require.Greater(t, r["id"], rows[i]["id"], "%s %s", field, direction)
				}
			}
		}
	}
}

func testForeignCursor(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, finished("1"), finished("2"))
	cursor := ask(t, s, `{"limit": 1}`).NextCursor
	require.Len(t, ask(t, s, `{"limit": 5, "cursor": %q}`, cursor).Rows, 1, "the size of the page may differ")
	for _, other := range []string{`"filter": {"status": "FAILED"}`, `"sort": ["task_id"]`, `"projection": ["task_id"]`, `"aggregation": [["count", "id"]]`} {
		_, err := query.ParseJSON(fmt.Appendf(nil, `{%s, "cursor": %q}`, other, cursor))
		require.ErrorContains(t, err, "not the next_cursor of an answer to this query", other)
	}
}

// repeated joins n texts made by f.
func repeated(n int, f func(i int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = f(i)
	}
	return strings.Join(parts, ", ")
}

func testLargeQueries(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, finished("x", func(e *task.Event) { e.Used = map[string]any{"f399": int64(7), "n": int64(9_999)} }), finished("y"))
	fields := repeated(400, func(i int) string { return fmt.Sprintf(`"used.f%d"`, i) })
	rows := ask(t, s, `{"projection": [%s], "filter": {"task_id": "x"}}`, fields).Rows
	require.Equal(t, []map[string]any{{"used.f399": int64(7)}}, rows)
	a := ask(t, s, `{"sort": [%s], "projection": ["task_id"]}`, fields)
	require.Equal(t, []map[string]any{{"task_id": "x"}, {"task_id": "y"}}, a.Rows)
	row := ask(t, s, `{"aggregation": [%s]}`, repeated(400, func(i int) string { return fmt.Sprintf(`["max", "used.f%d"]`, i) })).Rows[0]
	require.Equal(t, map[string]any{"max(used.f399)": int64(7), "count": int64(2)}, row)
	values := repeated(10_000, func(i int) string { return fmt.Sprint(i) })
	require.EqualValues(t, 1, ask(t, s, `{"filter": {"used.n": {"$in": [%s]}}}`, values).Total)
	require.EqualValues(t, 1, ask(t, s, `{"filter": {"used.n": {"$nin": [%s]}}}`, values).Total)
	require.EqualValues(t, 1, ask(t, s, `{"filter": {"$or": [%s]}}`, repeated(498, func(i int) string {
		return fmt.Sprintf(`{"used.f%d": 7}`, i)
	})).Total)
	deep := `{"used.f399": 7}`
	for range 30 {
		deep = `{"$not": ` + deep + `}`
	}
	require.EqualValues(t, 1, ask(t, s, `{"filter": %s}`, deep).Total)
}

func testTooLargeQueries(t *testing.T, _ Factory) {
	deep := `{"used.n": 7}`
	for range 40 {
		deep = `{"$not": ` + deep + `}`
	}
	fields := repeated(401, func(i int) string { return fmt.Sprintf(`"used.f%d"`, i) })
	for body, want := range map[string]string{
		`{"filter": ` + deep + `}`: "nested deeper than 32",
		`{"filter": {"$or": [` + repeated(1_001, func(i int) string { return fmt.Sprintf(`{"used.f%d": 7}`, i) }) + `]}}`: "more than 1000 conditions",
		`{"filter": {"used.n": {"$in": [` + repeated(10_001, func(i int) string { return fmt.Sprint(i) }) + `]}}}`:        "10001 values; at most 10000",
		`{"projection": [` + fields + `]}`: "projection: 401 entries; want 400",
		`{"sort": [` + fields + `]}`:       "sort: 401 entries; want 400",
		`{"aggregation": [` + repeated(401, func(i int) string { return fmt.Sprintf(`["max", "used.f%d"]`, i) }) + `]}`: "aggregation: 401 entries; want 400",
	} {
		_, err := query.ParseJSON([]byte(body))
		require.ErrorContains(t, err, want)
	}
}

func testGroupPages(t *testing.T, f Factory) {
	s := f.New(t)
	for i := range 21 {
		write(t, s, finished(fmt.Sprint(i), func(e *task.Event) { e.Used = map[string]any{"g": int64(i % 7)} }))
	}
	seen, cursor := map[any]int64{}, "null"
	for {
		a := ask(t, s, `{"projection": ["used.g"], "aggregation": [["count", "id"]], "limit": 2, "cursor": %s}`, cursor)
		require.EqualValues(t, 7, a.Total)
		for _, r := range a.Rows {
			require.NotContains(t, seen, r["used.g"])
			seen[r["used.g"]] = r["count"].(int64)
		}
		if a.NextCursor == "" {
			break
		}
		require.True(t, a.Live, "groups are counted anew for each page")
		cursor = fmt.Sprintf("%q", a.NextCursor)
	}
	require.Len(t, seen, 7)
	for g, n := range seen {
		require.EqualValues(t, 3, n, g)
	}
}

func testRejectedDidNotArrive(t *testing.T, f Factory) {
	s := f.New(t)
	bad := finished("", func(e *task.Event) { e.ObserverID, e.Seq = "o", 2 })
	rejected, err := s.Write(t.Context(), []*task.Event{numbered("1", 1), bad, numbered("3", 3)})
	require.NoError(t, err)
	require.Len(t, rejected, 1)
	require.ErrorContains(t, rejected[0].Err, `key ""`)
	c := checkpointOf(t, s)
	require.EqualValues(t, 2, c.Arrived)
	require.Equal(t, [][2]int64{{2, 2}}, c.Gaps)
}
