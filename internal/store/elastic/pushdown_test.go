package elastic

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// families are values that one leaf has in the tasks of one view. Most leaves of real campaigns are of one type; the last
// ones are what the server cannot tell.
var families = [][]any{
	{int64(0), int64(1), int64(2), int64(-3), int64(40)},
	{0.25, 1.5, -2.75, 1e-7, 1e21, 123456.789},
	{1.0, 2.0, -3.0, 0.0},
	{"sgd", "adam", "", "ä", "A b"},
	{true, false},
	{int64(1), 2.5, "x", true},
	{[]any{int64(1), int64(2)}, []any{0.5, 0.25}, 1.5},
	{int64(1), 1.0, int64(2), 2.5},
	{0.0, math.Copysign(0, -1), 1.0},
	{"1", int64(1), "true", true, "1.0"},
	{[]any{int64(1)}, int64(1), []any{int64(2), int64(2)}},
	{int64(1<<53 + 1), int64(1 << 53), float64(1 << 53)},
	{1.5, math.NaN(), math.Inf(1), nil},
	{1.5, map[string]any{"v": int64(1)}, []any{}},
	{2.5, "bad", []any{int64(1), "bad"}},
}

func randomView(rng *rand.Rand, n, view int) []*task.Event {
	of := make([][]any, 4)
	for i := range of {
		of[i] = families[(view+i*rng.IntN(len(families)))%len(families)]
	}
	events := make([]*task.Event, n)
	for i := range events {
		leaves := func(keys ...string) map[string]any {
			m := map[string]any{}
			for _, k := range keys {
				if family := of[int(k[0]-'a')]; rng.IntN(8) > 0 {
					m[k] = family[rng.IntN(len(family))]
				}
			}
			return m
		}
		events[i] = event(fmt.Sprintf("%d-%d", view, i), func(e *task.Event) {
			e.Campaign = fmt.Sprint("v", view)
			e.Used, e.Generated = leaves("a", "b"), leaves("c", "d")
			e.Activity, e.Attempt = []string{"train", "test", ""}[rng.IntN(3)], int64(rng.IntN(3))
			e.EndedAt = 2 + rng.Int64N(1e10)
			e.Status = []task.Status{task.StatusFinished, task.StatusFailed}[rng.IntN(2)]
		})
	}
	return events
}

var pushdownFilters = []string{
	`{}`, `{"activity_id": "train"}`, `{"used.a": {"$gt": 0}}`, `{"used.a": {"$lte": 1.5}}`, `{"used.b": {"$ne": 1}}`, `{"used.a": 0}`,
	`{"used.b": {"$in": [1, "sgd", 2.5]}}`, `{"used.b": "adam"}`, `{"generated.c": {"$lt": 0}}`, `{"generated.d": {"$gte": 0}}`,
	`{"$nor": [{"used.a": {"$lt": 2}}, {"used.b": "sgd"}]}`, `{"used.a": {"$exists": true}}`, `{"used.b": {"$nin": [2, -3]}}`,
	`{"used.a": "1"}`, `{"used.a": true}`, `{"used.a": {"$gt": 9007199254740992}}`,
}

var pushdownQueries = []string{
	`"projection": ["used.a", "generated.c"], "aggregation": [["min", "generated.c"]]`,
	`"projection": ["used.a", "used.b"], "aggregation": [["max", "generated.d"], ["count", "generated.c"], ["min", "generated.d"]]`,
	`"projection": ["used.b"], "aggregation": [["sum", "used.a"], ["avg", "used.a"], ["min", "used.a"]], "sort": [["count", "descending"]]`,
	`"projection": ["activity_id"], "aggregation": [["avg", "generated.c"], ["count", "used.b"]]`,
	`"aggregation": [["min", "used.a"], ["max", "used.a"], ["sum", "attempt"], ["max", "attempt"]]`,
	`"projection": ["status", "used.a"], "aggregation": [["avg", "attempt"], ["max", "ended_at"], ["min", "elapsed"]], "sort": [["used.a", "descending"]]`,
	`"projection": ["used.nothing"], "aggregation": [["min", "generated.nothing"], ["count", "used.a"]]`,
	`"projection": ["task_id"], "sort": [["ended_at", "descending"]], "limit": 7`,
	`"projection": ["task_id"], "sort": [["used.a", "descending"]], "limit": 7`,
	`"projection": ["task_id", "used.b"], "sort": [["generated.c", "ascending"], ["ended_at", "descending"]]`,
	`"projection": ["activity_id"], "aggregation": [["median", "used.a"], ["p95", "used.a"], ["count", "used.b"]]`,
	`"projection": ["used.b"], "aggregation": [["median", "generated.c"], ["min", "generated.c"], ["median", "attempt"]]`,
	`"aggregation": [["p95", "elapsed"], ["median", "elapsed"], ["max", "elapsed"], ["median", "generated.nothing"]]`,
	`"aggregation": [["stddev", "used.a"], ["median", "generated.c"]]`, // never
}

// Whatever the server computes is what the tasks themselves say, types included.
func TestWhatTheServerComputesEqualsAStreamOfTheTasks(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		rngs := make([]*rand.Rand, len(families))
		for view := range families {
			rngs[view] = rand.New(rand.NewPCG(uint64(view), 1))
			write(t, s, randomView(rngs[view], 40, view)...)
		}
		p, err := s.snapshot(t.Context(), tasks)
		require.NoError(t, err)
		defer p.close()
		pushed := map[string]int{}
		for view, rng := range rngs {
			for i, rest := range pushdownQueries {
				for _, filter := range []string{`{}`, pushdownFilters[rng.IntN(len(pushdownFilters))], pushdownFilters[(view+i)%len(pushdownFilters)]} {
					if bothWays(t, p, fmt.Sprintf(`{"filter": {"$and": [{"campaign_id": "v%d"}, %s]}, %s}`, view, filter, rest)) {
						pushed[rest]++
					}
				}
			}
		}
		for _, rest := range pushdownQueries[:len(pushdownQueries)-1] {
			require.Greater(t, pushed[rest], 5, "the server computed too few of %s", rest)
		}
		require.Zero(t, pushed[pushdownQueries[len(pushdownQueries)-1]])
	})
}

// bothWays compares what the server computes with a stream, and says whether it computed anything.
func bothWays(t *testing.T, p *snapshot, text string) (pushed bool) {
	t.Helper()
	q, err := query.ParseJSON([]byte(text))
	require.NoError(t, err)
	r, server := readerOf(t, p, q)
	for _, way := range []func(context.Context, *query.Stream) (bool, error){r.addPage, r.addGroups} {
		pushed, err = way(t.Context(), server)
		require.NoError(t, err, text)
		if pushed {
			break
		}
	}
	if !pushed {
		return false
	}
	_, stream := readerOf(t, p, q)
	require.NoError(t, r.addFlat(t.Context(), stream))
	require.Equal(t, answerText(t, stream), answerText(t, server), text)
	return true
}

func readerOf(t *testing.T, p *snapshot, q *query.Query) (*reader, *query.Stream) {
	c := &compiler{}
	stream, err := query.NewStream(q)
	require.NoError(t, err)
	return &reader{snapshot: p, q: q, compiler: c, where: c.filter(q.Filter)}, stream
}

func answerText(t *testing.T, s *query.Stream) string {
	a, err := s.Answer()
	require.NoError(t, err)
	rows := make([]any, len(a.Rows))
	for i, r := range a.Rows {
		rows[i] = r
	}
	return fmt.Sprintf("%d tasks or groups, cursor %q, warnings %q\n%s\n%v", a.Total, a.NextCursor, a.Warnings, task.JSON(rows), s.IDs())
}

// An index that an older collector made does not tell which values are vague, so that leaves are not grouped there.
func TestAnIndexOfAnOlderCollectorIsReadAsItIs(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		body := s.template(tasks)["template"].(object)
		body["mappings"] = mappings(tasks, 1000, 0)
		body["mappings"].(object)["_meta"].(object)["schema_version"] = 2
		require.NoError(t, s.client.do(t.Context(), request{method: http.MethodPut, path: "/" + s.index(tasks), body: body}, nil))
		list := []any{"1", int64(1), []any{int64(1)}, 1.0}
		for i, v := range list {
			write(t, s, event(fmt.Sprint(i), func(e *task.Event) { e.Used = map[string]any{"a": v} }))
		}
		const text = `{"projection": ["used.a"], "aggregation": [["count", "id"]]}`
		p, err := s.snapshot(t.Context(), tasks)
		require.NoError(t, err)
		defer p.close()
		require.False(t, bothWays(t, p, text))
		q, err := query.ParseJSON([]byte(text))
		require.NoError(t, err)
		a, err := s.Query(t.Context(), q)
		require.NoError(t, err)
		require.Len(t, a.Rows, 3)
		require.EqualValues(t, 2, a.Rows[0]["count"], "1 and 1.0")
	})
}

// TestSumsOfManyTasksAreRounded: the server computes them, and means and deviations, and they differ from those of the tasks in
// the last digits at most.
func TestSumsOfManyTasksAreRounded(t *testing.T) {
	defer func(before int64) { roundedFrom = before }(roundedFrom)
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		rng := rand.New(rand.NewPCG(1, 1))
		events := make([]*task.Event, 300)
		for i := range events {
			events[i] = event(fmt.Sprint(i), func(e *task.Event) {
				e.Activity = []string{"train", "test"}[i%2]
				e.StartedAt, e.EndedAt = 1e9, 1e9+rng.Int64N(1e12)
				e.Used = map[string]any{"a": rng.NormFloat64(), "n": int64(i), "mixed": []any{int64(i), 0.5 * float64(i)}[i/2%2], "text": []any{1.5, "x"}[i%2]}
				e.Used["same"], e.Used["bytes"] = 0.5, 1e9+rng.Float64()
				e.Used["either"] = []any{int64(i), 0.5 + float64(i)}[i%2] // integers in one group, floats in the other
				e.Used["alike"] = []any{int64(1), 1.0}[i%2]               // one group
				e.Used["list"] = []any{0.5, []any{0.5, 1.5}}[i%2]
				if i%5 == 0 {
					delete(e.Used, "a")
				}
			})
		}
		write(t, s, events...)
		p, err := s.snapshot(t.Context(), tasks)
		require.NoError(t, err)
		defer p.close()
		const groups = `"projection": ["activity_id"], "aggregation": `
		for _, c := range []struct {
			text   string
			pushed bool
		}{
			{`{` + groups + `[["avg", "elapsed"]]}`, true},
			{`{` + groups + `[["avg", "used.a"], ["count", "used.a"], ["avg", "elapsed"], ["max", "used.n"], ["sum", "used.n"]]}`, true},
			{`{"aggregation": [["avg", "used.mixed"], ["avg", "used.mixed"]]}`, true},
			{`{"filter": {"used.a": {"$gt": 0}}, ` + groups + `[["avg", "used.a"]]}`, true},
			{`{` + groups + `[["avg", "elapsed"], ["max", "elapsed"]]}`, true},
			{`{` + groups + `[["min", "elapsed"], ["avg", "elapsed"], ["max", "elapsed"], ["count", "elapsed"]]}`, true},
			{`{` + groups + `[["avg", "used.a"], ["min", "used.a"]]}`, true},
			{`{"filter": {"used.n": {"$lt": 2}}, ` + groups + `[["avg", "elapsed"], ["min", "elapsed"], ["max", "used.a"], ["avg", "used.a"]]}`, true}, // one or two each
			{`{` + groups + `[["avg", "used.mixed"], ["max", "used.mixed"]]}`, false},                                                                  // 2 or 2.0
			{`{` + groups + `[["avg", "elapsed"], ["median", "elapsed"]]}`, true},
			{`{` + groups + `[["sum", "used.a"], ["stddev", "used.a"], ["p95", "used.a"], ["max", "used.a"], ["sum", "used.n"]]}`, true},
			{`{` + groups + `[["sum", "elapsed"], ["stddev", "elapsed"], ["avg", "elapsed"]], "sort": [["stddev(elapsed)", "descending"]]}`, true},
			{`{` + groups + `[["sum", "used.either"], ["stddev", "used.either"]]}`, true},
			{`{"filter": {"used.n": {"$lt": 2}}, ` + groups + `[["stddev", "elapsed"], ["sum", "used.mixed"], ["sum", "used.a"]]}`, true}, // of one there is none
			{`{"aggregation": [["stddev", "used.same"], ["stddev", "used.nothing"]]}`, true},
			{`{"aggregation": [["avg", "used.bytes"], ["stddev", "used.bytes"]]}`, false}, // too few of its digits are right
			{`{"projection": ["used.alike"], "aggregation": [["avg", "used.a"]]}`, false},
			{`{"projection": ["used.alike"], "aggregation": [["stddev", "elapsed"]]}`, false},
			{`{"aggregation": [["avg", "used.list"], ["stddev", "used.list"]]}`, true},
			{`{` + groups + `[["stddev", "elapsed"], ["avg", "ended_at"]]}`, false},
			{`{` + groups + `[["avg", "used.text"]]}`, false}, // not all are numbers
			{`{` + groups + `[["stddev", "used.text"], ["stddev", "used.a"]]}`, false},
		} {
			for roundedFrom = int64(len(events) + 1); ; roundedFrom = 1 {
				q, err := query.ParseJSON([]byte(c.text))
				require.NoError(t, err, c.text)
				r, server := readerOf(t, p, q)
				pushed, err := r.addGroups(t.Context(), server)
				require.NoError(t, err)
				require.Equal(t, c.pushed && roundedFrom == 1, pushed, "%s from %d tasks on", c.text, roundedFrom)
				if pushed {
					_, stream := readerOf(t, p, q)
					require.NoError(t, r.addFlat(t.Context(), stream))
					require.Equal(t, roundedText(t, stream), roundedText(t, server), c.text)
				}
				if roundedFrom == 1 {
					break
				}
			}
		}
	})
}

// roundedText is an answer with floats of twelve digits.
func roundedText(t *testing.T, s *query.Stream) string {
	return floatText.ReplaceAllStringFunc(answerText(t, s), func(digits string) string {
		f, err := strconv.ParseFloat(digits, 64)
		require.NoError(t, err)
		return strconv.FormatFloat(f, 'g', 12, 64)
	})
}

var floatText = regexp.MustCompile(`-?\d+\.\d+(e[-+]?\d+)?`)
