package sqlite

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// The leaves that random documents have and random queries ask for: few names and few values, so that they meet.
var (
	leafNames = []string{"a", "b", "cfg", "a.b", `q"uote`, `back\slash`, "ünïcode", "per%cent", "empty", "x", "new\nline"}
	scalarGen = rapid.SampledFrom([]any{
		nil, true, false, int64(0), int64(1), int64(2), int64(-1), int64(math.MaxInt64), int64(math.MinInt64), int64(1 << 53),
		0.0, 1.0, 0.5, -2.5, 1e300, 9.3e18, float64(1 << 63), math.NaN(), math.Inf(1), math.Inf(-1),
		"", "a", "b", "ab", "1", "true", `"`, `\`, "ü", "a\nb", "[1]", "s", "t",
		[]byte("a"), map[string]any{"$int": "9223372036854775808"}, map[string]any{"$int": "-99999999999999999999999"},
		map[string]any{"$cut": map[string]any{"len": int64(3)}}, map[string]any{},
	})
)

func valueGen(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch n := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case n < 7 || depth == 0:
			return scalarGen.Draw(t, "scalar")
		case n == 7:
			return rapid.SliceOfN(valueGen(depth-1), 0, 3).Draw(t, "list")
		default:
			return mapGen(depth-1).Draw(t, "map")
		}
	})
}

func mapGen(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		m := map[string]any{}
		for _, k := range rapid.SliceOfN(rapid.SampledFrom(leafNames), 0, 3).Draw(t, "keys") {
			m[k] = valueGen(depth).Draw(t, k)
		}
		return m
	})
}

func eventGen(i int) *rapid.Generator[*task.Event] {
	return rapid.Custom(func(t *rapid.T) *task.Event {
		e := &task.Event{
			Name: task.EventFinished, Time: int64(i + 1), Kind: "k", Scope: "s", Key: fmt.Sprint(i), Attempt: task.NoAttempt,
			Status:   rapid.SampledFrom([]task.Status{task.StatusRunning, task.StatusFinished, task.StatusFailed}).Draw(t, "status"),
			Campaign: rapid.SampledFrom([]string{"", "c1", "c2"}).Draw(t, "campaign"),
			Used:     mapGen(2).Draw(t, "used"),
		}
		if rapid.Bool().Draw(t, "has generated") {
			e.Generated = mapGen(1).Draw(t, "generated")
		}
		if rapid.Bool().Draw(t, "has tags") {
			e.Tags = rapid.SliceOfN(rapid.SampledFrom([]string{"t1", "t2"}), 0, 2).Draw(t, "tags")
		}
		e.StartedAt = rapid.Int64Range(0, 3).Draw(t, "started") * 1_500_000_000
		e.EndedAt = rapid.Int64Range(0, 3).Draw(t, "ended") * 1_700_000_000
		e.Environment = rapid.SampledFrom([]string{"", "env1", "env2"}).Draw(t, "environment")
		e.Stdout = rapid.SampledFrom([]string{"", "out", "out2"}).Draw(t, "stdout")
		if rapid.Bool().Draw(t, "has error") {
			e.Attributes = map[string]any{"exception.type": "E", "exception.message": "m", "host.name": "h"}
		}
		return e
	})
}

var fieldGen = rapid.Custom(func(t *rapid.T) string {
	switch rapid.IntRange(0, 3).Draw(t, "field") {
	case 0:
		return rapid.SampledFrom([]string{
			"campaign_id", "status", "started_at", "ended_at", "elapsed", "tags", "host", "stdout", "error.type",
			"environment.py", "attributes.host.name", "id", "kind", "attempt",
		}).Draw(t, "name")
	case 1:
		return "generated." + rapid.SampledFrom(leafNames).Draw(t, "leaf")
	case 2:
		return "used." + rapid.SampledFrom(leafNames).Draw(t, "outer") + "." + rapid.SampledFrom(leafNames).Draw(t, "inner")
	default:
		return "used." + rapid.SampledFrom(leafNames).Draw(t, "leaf")
	}
})

func filterGen(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		if depth > 0 {
			sub := func(n int) []any {
				var l []any
				for range n {
					l = append(l, filterGen(depth-1).Draw(t, "part"))
				}
				return l
			}
			switch rapid.IntRange(0, 6).Draw(t, "node") {
			case 0:
				return map[string]any{"$and": sub(2)}
			case 1:
				return map[string]any{"$or": sub(2)}
			case 2:
				return map[string]any{"$nor": sub(2)}
			case 3:
				return map[string]any{"$not": filterGen(depth-1).Draw(t, "part")}
			}
		}
		op := rapid.SampledFrom([]string{"$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$nin", "$exists", "$regex"}).Draw(t, "op")
		var v any
		switch op {
		case "$in", "$nin":
			v = rapid.SliceOfN(scalarGen, 0, 3).Draw(t, "values")
		case "$exists":
			v = rapid.Bool().Draw(t, "exists")
		case "$regex":
			v = rapid.SampledFrom([]string{"a", "^a$", ".", "", "1|b", `\\`, "FIN"}).Draw(t, "pattern")
		default:
			v = scalarGen.Draw(t, "value")
		}
		return map[string]any{fieldGen.Draw(t, "field"): map[string]any{op: v}}
	})
}

func queryGen() *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		m := map[string]any{"limit": rapid.Int64Range(1, 5).Draw(t, "limit")}
		if rapid.Bool().Draw(t, "filtered") {
			m["filter"] = filterGen(2).Draw(t, "filter")
		}
		if rapid.Bool().Draw(t, "projected") {
			var l []any
			for _, f := range rapid.SliceOfN(fieldGen, 1, 2).Draw(t, "projection") {
				l = append(l, f)
			}
			m["projection"] = l
		}
		if rapid.Bool().Draw(t, "aggregated") {
			var l []any
			for range rapid.IntRange(1, 3).Draw(t, "aggregates") {
				l = append(l, []any{
					rapid.SampledFrom([]string{"min", "max", "avg", "sum", "count", "stddev", "median", "p95"}).Draw(t, "op"),
					fieldGen.Draw(t, "of"),
				})
			}
			m["aggregation"] = l
		}
		if rapid.Bool().Draw(t, "sorted") {
			m["sort"] = []any{[]any{
				fieldGen.Draw(t, "key"), rapid.SampledFrom([]string{"ascending", "descending"}).Draw(t, "direction"),
			}}
		}
		return m
	})
}

// model is the reference: the states of all tasks.
type model struct {
	states map[string]*task.State
	order  []string
	record map[string]any // of env1
}

func (v *model) apply(events []*task.Event) {
	for _, e := range events {
		if v.states[e.ID()] == nil {
			v.states[e.ID()] = &task.State{}
			v.order = append(v.order, e.ID())
		}
		v.states[e.ID()].Apply(e)
	}
}

func (v *model) docs(t require.TestingT) []map[string]any {
	docs := make([]map[string]any, len(v.order))
	for i, id := range v.order {
		decoded, err := task.DecodeState(v.states[id].Encode())
		require.NoError(t, err)
		docs[i] = task.Project(decoded).Map()
		if docs[i]["environment"] == "env1" {
			docs[i]["environment"] = v.record
		}
	}
	return docs
}

// Every answer, and every page of it, is that of the reference evaluator over the same documents.
func TestQueryEqualsReference(t *testing.T) { equalsReference(t, columnsFrom, maxCandidates) }

// The same from vectors, which follow the writes between the queries.
func TestColumnsEqualReference(t *testing.T) { equalsReference(t, 0, maxCandidates) }

// The same where lists have more than they may read the ids of.
func TestLongListsEqualReference(t *testing.T) { equalsReference(t, 0, 2) }

func equalsReference(t *testing.T, columnsFrom int64, candidates int) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		s, err := Open(t.Context(), Options{Path: filepath.Join(dir, fmt.Sprintf("%d.db", run)), Synchronous: Normal})
		require.NoError(rt, err)
		defer s.Close(t.Context())
		s.columns.from, s.columns.candidates = columnsFrom, candidates
		v := &model{states: map[string]*task.State{}, record: map[string]any{"py": "3.11", "n": int64(3)}}
		_, err = s.Write(t.Context(), []*task.Event{{Name: task.EventEnvironment, Environment: "env1", Record: v.record}})
		require.NoError(rt, err)
		for round := range 3 {
			var events []*task.Event
			for range rapid.IntRange(0, 6).Draw(rt, "tasks") {
				e := eventGen(rapid.IntRange(0, 9).Draw(rt, "key")).Draw(rt, "event")
				e.Time = int64(100*round + len(events))
				events = append(events, e)
			}
			_, err = s.Write(t.Context(), events)
			require.NoError(rt, err)
			v.apply(events)
			docs := v.docs(rt)
			for range 4 {
				compareAnswers(t, rt, s, docs)
			}
		}
	})
}

func compareAnswers(t *testing.T, rt *rapid.T, s *Store, docs []map[string]any) {
	m := queryGen().Draw(rt, "query")
	q, err := query.Parse(m)
	if err != nil {
		return
	}
	for range 4 {
		want, wantErr := query.Evaluate(docs, q)
		got, gotErr := s.Query(t.Context(), q)
		if wantErr != nil {
			require.Error(rt, gotErr, task.JSON(m))
			require.Equal(rt, wantErr.Error(), gotErr.Error())
			return
		}
		require.NoError(rt, gotErr, task.JSON(m))
		require.Equal(rt, comparable(want), comparable(got), task.JSON(m))
		if want.NextCursor == "" {
			return
		}
		q.Cursor = want.NextCursor
	}
}

// comparable is an answer as text, with floats short of their last digits: the sum of floats depends on their order.
func comparable(a *query.Answer) string {
	rows := make([]any, len(a.Rows))
	for i, r := range a.Rows {
		rows[i] = rounded(r)
	}
	return fmt.Sprintf("total %d truncated %v live %v next %v\nwarnings %v\n%s", a.Total, a.Truncated, a.Live, a.NextCursor, a.Warnings,
		task.JSON(rows))
}

func rounded(v any) any {
	switch v := v.(type) {
	case float64:
		var f float64
		_, _ = fmt.Sscan(fmt.Sprintf("%.9g", v), &f)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return v
		}
		return f
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = rounded(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = rounded(e)
		}
		return out
	default:
		return v
	}
}
