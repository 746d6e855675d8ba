package querytest

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Queries asked of each random view: making a view is what costs a store's time.
const queriesPerView = 25

// RunRandom asks random queries of random tasks; target and reference must give the same answers. One view is made per
// run of newTarget.
func RunRandom(t *testing.T, views int, newTarget func(t *testing.T) Target) {
	ctx := context.Background()
	for v := range views {
		t.Run(fmt.Sprintf("view %d", v), func(t *testing.T) {
			events := rapid.Custom(randomEvents).Example(v + 1)
			target, reference := newTarget(t), Reference()
			require.NoError(t, target.Load(ctx, events))
			require.NoError(t, reference.Load(ctx, events))
			for i := range queriesPerView {
				body := rapid.Custom(randomQuery).Example(v*queriesPerView + i + 1)
				compare(ctx, t, body, target, reference)
				if t.Failed() {
					return
				}
			}
		})
	}
}

func compare(ctx context.Context, t *testing.T, body map[string]any, target, reference Target) {
	text := task.JSON(body)
	q, err := query.ParseJSON([]byte(text))
	require.NoError(t, err, text)
	want, wantErr := reference.Query(ctx, q)
	got, gotErr := target.Query(ctx, q)
	if wantErr != nil {
		assert.EqualError(t, gotErr, wantErr.Error(), text)
		return
	}
	if !assert.NoError(t, gotErr, text) {
		return
	}
	assert.Equal(t, lines(q, want.Rows, false), lines(q, got.Rows, false), text)
	assert.Equal(t, want.Total, got.Total, text)
	assert.Equal(t, want.Truncated, got.Truncated, text)
	assert.Equal(t, want.Live, got.Live, text)
	assert.Equal(t, want.Warnings, got.Warnings, text)
	if !t.Failed() && want.Total <= 200 {
		assert.Equal(t, lines(q, pages(ctx, t, reference, q, 7), false), lines(q, pages(ctx, t, target, q, 7), false), "in pages: %s", text)
		if target, ok := target.(scanner); ok && len(q.Aggregation) == 0 {
			compareScan(ctx, t, target, q)
		}
	}
}

var (
	randomFields = []string{
		"used.a", "used.b", "used.cfg.a", "used.cfg.x", "used.x", "generated.v", "generated.m.v", "status", "host", "attempt",
		"task_id", "activity_id", "started_at", "ended_at", "elapsed", "tags", "job.id", "environment.python", "custom.note",
	}
	randomValues = rapid.OneOf(
		rapid.Map(rapid.Int64Range(-2, 3), func(i int64) any { return i }),
		rapid.Map(rapid.SampledFrom([]float64{-1.5, 0, 1, 2, 2.5, 1e9, math.Copysign(0, -1)}), func(f float64) any { return f }),
		rapid.Map(rapid.SampledFrom([]string{"", "a", "A", "1", "abc", "ä", "z%_\\'\""}), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil),
		rapid.SampledFrom([]any{
			math.NaN(), math.Inf(1), math.Inf(-1), int64(1<<53 + 1), float64(1 << 53), // no great negative ones: sums would cancel
			map[string]any{"$int": "18446744073709551616"}, []byte{0, 1},
		}),
	)
)

func randomTaskValue(t *rapid.T) any {
	switch rapid.IntRange(0, 9).Draw(t, "shape") {
	case 0:
		return rapid.SliceOfN(randomValues, 0, 3).Draw(t, "list")
	case 1:
		return map[string]any{"$cut": map[string]any{"type": "str"}}
	case 2:
		return map[string]any{"v": randomValues.Draw(t, "value"), "a": randomValues.Draw(t, "value")}
	case 3:
		return []any{map[string]any{"v": randomValues.Draw(t, "value")}, map[string]any{"v": randomValues.Draw(t, "value")}}
	default:
		return randomValues.Draw(t, "value")
	}
}

func randomMap(t *rapid.T, keys ...string) map[string]any {
	m := map[string]any{}
	for _, k := range keys {
		if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
			m[k] = randomTaskValue(t)
		}
	}
	return m
}

func randomEvents(t *rapid.T) []*task.Event {
	var events []*task.Event
	n := rapid.IntRange(0, 60).Draw(t, "tasks")
	for i := range n {
		doc := map[string]any{"task_id": fmt.Sprint("t", i), "used": randomMap(t, "a", "b", "cfg")}
		if rapid.Bool().Draw(t, "cfg is a map") {
			doc["used"].(map[string]any)["cfg"] = randomMap(t, "a", "x")
		}
		if rapid.Bool().Draw(t, "generated") {
			doc["generated"] = randomMap(t, "v", "m")
		}
		for key, values := range map[string][]any{
			"status": {"SUBMITTED", "RUNNING", "FINISHED", "FAILED"}, "host": {"n1", "n2"}, "activity_id": {"train", "test"},
			"started_at": {int64(100), int64(200), 200.25}, "ended_at": {int64(300), 300.5}, "attempt": {int64(3)},
			"tags": {[]any{"x"}, []any{"x", "y"}}, "job": {map[string]any{"id": "1"}},
			"environment": {map[string]any{"python": "3.11"}, map[string]any{"python": "3.9", "n": int64(1)}},
			"custom":      {map[string]any{"note": "abc"}},
		} {
			if rapid.IntRange(0, 2).Draw(t, key) > 0 {
				doc[key] = rapid.SampledFrom(values).Draw(t, key)
			}
		}
		list, err := eventsOf(doc, i+1)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, list...)
	}
	return events
}

func randomQuery(t *rapid.T) map[string]any {
	q := map[string]any{}
	if rapid.IntRange(0, 4).Draw(t, "filtered") > 0 {
		q["filter"] = randomFilter(t, 0)
	}
	fields := rapid.SampledFrom(randomFields)
	if rapid.Bool().Draw(t, "aggregated") {
		groups := rapid.SliceOfNDistinct(fields, 0, 2, rapid.ID).Draw(t, "groups")
		q["projection"] = toAny(groups)
		numeric := rapid.SampledFrom([]string{"used.a", "used.b", "generated.v", "elapsed", "attempt", "started_at", "used.x"})
		var aggregates []any
		aggregated := map[string]bool{}
		for range rapid.IntRange(1, 3).Draw(t, "aggregates") {
			field := numeric.Draw(t, "field")
			ops := []string{"min", "max", "avg", "count", "median", "p95", "sum", "stddev"}
			if field == "started_at" {
				ops = ops[:6]
			}
			aggregated[field] = true
			aggregates = append(aggregates, []any{rapid.SampledFrom(ops).Draw(t, "op"), field})
		}
		q["aggregation"] = aggregates
		sorts := []string{"count", "ended_at", "host"}
		for _, g := range groups {
			if !aggregated[g] { // its name would stand for several columns
				sorts = append(sorts, g)
			}
		}
		q["sort"] = randomSort(t, sorts)
		return q
	}
	projection := rapid.SliceOfNDistinct(fields, 1, 4, rapid.ID).Draw(t, "projection")
	q["projection"] = toAny(append(projection, "id"))
	q["sort"] = randomSort(t, randomFields)
	return q
}

func randomSort(t *rapid.T, fields []string) []any {
	var out []any
	for range rapid.IntRange(0, 2).Draw(t, "sorts") {
		out = append(out, []any{rapid.SampledFrom(fields).Draw(t, "by"), rapid.SampledFrom([]any{int64(1), int64(-1)}).Draw(t, "direction")})
	}
	return out
}

func toAny(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func randomFilter(t *rapid.T, depth int) map[string]any {
	if depth < 3 {
		switch op := rapid.SampledFrom([]string{"", "", "", "$and", "$or", "$nor", "$not"}).Draw(t, "operator"); op {
		case "":
		case "$not":
			return map[string]any{op: randomFilter(t, depth+1)}
		default:
			var parts []any
			for range rapid.IntRange(1, 3).Draw(t, "parts") {
				parts = append(parts, randomFilter(t, depth+1))
			}
			return map[string]any{op: parts}
		}
	}
	field := rapid.SampledFrom(randomFields).Draw(t, "field")
	return map[string]any{field: randomCondition(t, field)}
}

func randomCondition(t *rapid.T, field string) any {
	value, ordered, text := randomValues, true, true
	switch field {
	case "status":
		value = rapid.SampledFrom([]any{"FINISHED", "FAILED", "RUNNING"})
		ordered = false
	case "host", "task_id", "activity_id", "tags":
		value = rapid.SampledFrom([]any{"n1", "t1", "t2", "train", "x", "y", "zz"})
	case "attempt", "elapsed":
		value, text = rapid.SampledFrom([]any{int64(1), 100.0, 100.5, 200.25}), false
	case "started_at", "ended_at":
		value, text = rapid.SampledFrom([]any{int64(200), 200.25, int64(300)}), false
	}
	ops := []string{"$eq", "$ne", "$in", "$nin", "$exists"}
	if text {
		ops = append(ops, "$regex")
	}
	if ordered {
		ops = append(ops, "$lt", "$lte", "$gt", "$gte")
	}
	op := rapid.SampledFrom(ops).Draw(t, "op")
	switch op {
	case "$exists":
		return map[string]any{op: rapid.Bool().Draw(t, "exists")}
	case "$regex":
		return map[string]any{op: rapid.SampledFrom([]string{"a", "^[A-Z]", "1$", "(?i)Ä", "", "n|t"}).Draw(t, "pattern")}
	case "$in", "$nin":
		return map[string]any{op: rapid.SliceOfN(value, 0, 3).Draw(t, "values")}
	case "$lt", "$lte", "$gt", "$gte":
		value = value.Filter(func(v any) bool {
			switch v := v.(type) {
			case int64, string:
				return true
			case float64:
				return !math.IsNaN(v)
			default:
				return false
			}
		})
	}
	return map[string]any{op: value.Draw(t, "value")}
}
