package elastic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// TestQuantilesOfManyValuesAreThoseOfTheTasks: of groups too large for all of their values to be shown, to the last digit.
func TestQuantilesOfManyValuesAreThoseOfTheTasks(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		defer func(before []float64) { margins = before }(margins)
		s, _ := fresh(t, o)
		rng := rand.New(rand.NewPCG(1, 1))
		events := make([]*task.Event, 6*allShown)
		for i := range events {
			events[i] = event(fmt.Sprint(i), func(e *task.Event) {
				e.Activity = []string{"train", "test", "train"}[i%3]
				e.StartedAt, e.EndedAt = 1e9, 1e9+rng.Int64N(1e12)
				e.Used = map[string]any{
					"normal": rng.NormFloat64(), "wide": math.Exp(20 * rng.NormFloat64()), "near": 1e9 + rng.Float64(),
					"few": rng.Int64N(4), "two": float64(i % 2), "same": 0.1, "integer": rng.Int64(), "mixed": []any{int64(i), 0.5 * float64(i)}[i%2],
					"optimizer": []string{"sgd", "adam"}[i/3%2], "list": 0.5, "text": 0.5, "minus": 0.5,
				}
				if i%7 == 0 {
					e.Used = map[string]any{"list": []any{0.5, 1.5}, "text": "2.5", "minus": math.Copysign(0, -1)}
				}
			})
		}
		write(t, s, events...)
		p, err := s.snapshot(t.Context(), tasks)
		require.NoError(t, err)
		defer p.close()
		ask := func(rest, field string) bool {
			return bothWays(t, p, fmt.Sprintf(`{%s "aggregation": [["median", %q], ["p95", %q], ["count", %q]]}`, rest, field, field, field))
		}
		for _, field := range []string{
			"elapsed", "attempt", "used.normal", "used.wide", "used.near", "used.few", "used.two", "used.same", "used.integer", "used.mixed",
		} {
			require.True(t, ask(``, field), field)
			require.True(t, ask(`"projection": ["activity_id", "used.optimizer"],`, field), field)
		}
		require.True(t, ask(`"filter": {"used.normal": {"$gt": 0}}, "projection": ["used.few"],`, "used.wide"))
		for _, field := range []string{"used.list", "used.text", "used.minus", "ended_at"} {
			require.False(t, ask(``, field), field)
		}
		require.False(t, ask(`"projection": ["used.integer"],`, "used.normal"), "thousands of groups")
		require.False(t, ask(`"projection": ["task_id"],`, "used.normal"), "thousands of groups")

		// The estimate is a bad one, once and always.
		margins = []float64{1e-6, 1e-5, 0.03}
		require.True(t, ask(``, "used.normal"))
		margins = []float64{1e-6, 1e-5, 2e-5}
		require.False(t, ask(``, "used.normal"))
	})
}

func TestAQuantileIsAnsweredWithoutAWarning(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		events := make([]*task.Event, 1001)
		for i := range events {
			events[i] = event(fmt.Sprint(i), func(e *task.Event) { e.Used = map[string]any{"a": float64(i) / 1000} })
		}
		write(t, s, events...)
		q, err := query.ParseJSON([]byte(`{"aggregation": [["median", "used.a"], ["p95", "used.a"]]}`))
		require.NoError(t, err)
		a, err := s.Query(t.Context(), q)
		require.NoError(t, err)
		require.Empty(t, a.Warnings)
		require.Equal(t, []map[string]any{{"count": int64(1001), "median(used.a)": 0.5, "p95(used.a)": 0.95}}, a.Rows)
	})
}
