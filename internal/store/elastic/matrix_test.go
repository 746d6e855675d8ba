package elastic

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/correlation"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// onlyScans is a store that knows no sums.
type onlyScans struct{ *Store }

func (onlyScans) Matrix(context.Context, *query.MatrixRequest) (*query.Matrix, error) {
	return nil, nil
}

// TestCorrelationsOfManyTasksAreSummedByTheServer: and are those of the tasks, to ten digits, where it is known that they are.
func TestCorrelationsOfManyTasksAreSummedByTheServer(t *testing.T) {
	defer func(before int64) { roundedFrom = before }(roundedFrom)
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		sharded(t, s)
		rng := rand.New(rand.NewPCG(1, 1))
		events := make([]*task.Event, 1200)
		for i := range events {
			events[i] = event(fmt.Sprint(i), func(e *task.Event) {
				e.Activity = []string{"train", "test"}[i%2]
				e.StartedAt, e.EndedAt = 1e9, 1e9+rng.Int64N(1e12)
				x := rng.NormFloat64()
				e.Used = map[string]any{
					"layers": rng.Int64N(8), "x": x, "rate": math.Exp(rng.NormFloat64()), "half": rng.Float64(), "same": 2.5,
					"bytes": 1e9 + rng.Float64(), "sign": float64(2*(i%2) - 1), "text": 0.5, "yes": 0.5, "null": 0.5, "nan": 0.5, "list": 0.5, "map": 0.5,
					"optimizer": []string{"sgd", "adam", "rms"}[rng.IntN(3)], "one": "a",
					"flag": rng.IntN(3) == 0, "always": true, "mostly": i != 5, "path": fmt.Sprint("/models/", i), "group": fmt.Sprint("g", i%700), "odd": []any{"a", 0.5}[i%2],
				}
				if i%11 == 0 {
					delete(e.Used, "optimizer")
				}
				if i%13 == 0 {
					delete(e.Used, "flag")
				}
				e.Generated = map[string]any{"loss": 3 - x + rng.NormFloat64(), "accuracy": rng.Float64(), "zero": -float64(2*(i/2%2) - 1), "converged": x > 0}
				e.TelemetryPeak = map[string]any{"process.cpu": rng.Float64(), "process.memory": rng.Int64N(1e6), "host.name": "a"}
				e.TelemetryEnd = map[string]any{"a": float64(i) + 0.5, "b": "x"}
				if i%3 == 0 {
					delete(e.Used, "half")
				}
				if i%5 == 0 {
					delete(e.Generated, "loss")
				}
				if i == 7 {
					e.EndedAt = 0
				}
				if i == 9 {
					for name, v := range map[string]any{"text": "1.5", "yes": true, "null": nil, "nan": math.NaN(), "list": []any{0.5, 1.5}, "map": map[string]any{"a": int64(1)}} {
						e.Used[name] = v
					}
				}
			})
		}
		write(t, s, events...)
		numbers := "used.layers,used.x,used.rate,used.half,used.same,attempt,used.nothing"
		results := "generated.loss,generated.accuracy,elapsed,used.x,used.half"
		for _, c := range []struct {
			x, y, filter string
			method       correlation.Method
			known        bool
		}{
			{numbers, results, `{}`, correlation.Pearson, true},
			{numbers, results, `{"activity_id": "train", "used.layers": {"$gt": 2}}`, correlation.Pearson, true},
			{numbers, results, `{"activity_id": "nothing"}`, correlation.Pearson, false}, // of no tasks
			{"used.sign", "generated.loss", `{}`, correlation.Pearson, true},             // the one that can be a weight
			{"used.sign", "generated.zero", `{}`, correlation.Pearson, false},            // both of a mean of 0
			{"used.bytes", results, `{}`, correlation.Pearson, false},                    // too few of its digits are right
			{numbers, results, `{}`, correlation.Spearman, false},
			{"used.x,used.optimizer,used.one,used.group", results, `{}`, correlation.Pearson, true},
			{"used.flag,used.always,used.mostly,used.optimizer,used.x,used.same", "generated.converged,used.flag,generated.loss,used.optimizer,used.one", `{}`, correlation.Pearson, true},
			{"used.path", "generated.loss,generated.converged,used.optimizer", `{}`, correlation.Pearson, true}, // too many categories
			{"used.path", "generated.loss", `{"activity_id": "train"}`, correlation.Pearson, true},              // names rather than groups
			{"used.optimizer", "used.bytes", `{}`, correlation.Pearson, false},
			{"used.odd", results, `{}`, correlation.Pearson, false}, // numbers and texts
			{"telemetry_peak.*,generated.*", "telemetry_peak.process.*,generated.loss,telemetry_end.*", `{"activity_id": "test"}`, correlation.Pearson, true},
			{"generated.loss,generated.*", "generated.*", `{"activity_id": "train"}`, correlation.Pearson, true},
			{"used.*", "generated.*", `{}`, correlation.Pearson, false},
			{"used.x", "generated.loss", `{"used.nan": 0.5}`, correlation.Pearson, false}, // the server cannot tell whether it matches
			{"started_at", results, `{}`, correlation.Pearson, false},
			{"telemetry_end.none.*", results, `{}`, correlation.Pearson, true},                       // there is nothing
			{"used.*", "generated.loss", `{"task_id": {"$nin": ["9"]}}`, correlation.Pearson, false}, // used.odd is of two kinds
			{"used.map.*", "generated.loss", `{}`, correlation.Pearson, false},                       // used.a is the short name of a leaf
			{"used.text", results, `{}`, correlation.Pearson, false},
			{"used.yes", results, `{}`, correlation.Pearson, false},
			{"used.null", results, `{}`, correlation.Pearson, false},
			{"used.nan", results, `{}`, correlation.Pearson, false},
			{"used.list", results, `{}`, correlation.Pearson, false},
			{"used.map", results, `{}`, correlation.Pearson, false},
			{"used.text,used.yes,used.null,used.nan,used.list,used.map", results, `{"task_id": {"$ne": "9"}}`, correlation.Pearson, true},
		} {
			q, err := query.ParseJSON([]byte(`{"filter": ` + c.filter + `}`))
			require.NoError(t, err)
			req := &correlation.Request{Filter: q.Filter, Method: c.method, Correction: correlation.Holm, MinN: correlation.LeastN}
			req.X, err = correlation.ParseSelectors("x", strings.Split(c.x, ","))
			require.NoError(t, err)
			req.Y, err = correlation.ParseSelectors("y", strings.Split(c.y, ","))
			require.NoError(t, err)
			streamed, err := correlation.Correlate(t.Context(), onlyScans{s}, req)
			require.NoError(t, err)
			for _, roundedFrom = range []int64{int64(len(events) + 1), 1} {
				counting := &countsMatrices{Store: s}
				summed, err := correlation.Correlate(t.Context(), counting, req)
				require.NoError(t, err)
				require.Equal(t, c.known && roundedFrom == 1, counting.known, "%s with %s of %s", c.x, c.y, c.filter)
				requireNearlyEqual(t, streamed, summed)
			}
		}
	})
}

// countsMatrices notes whether the server knew the sums.
type countsMatrices struct {
	*Store
	known bool
}

func (c *countsMatrices) Matrix(ctx context.Context, req *query.MatrixRequest) (*query.Matrix, error) {
	m, err := c.Store.Matrix(ctx, req)
	c.known = m != nil
	return m, err
}

// requireNearlyEqual compares coefficients and moments within 1e-9, and all else exactly.
func requireNearlyEqual(t *testing.T, want, got *correlation.Result) {
	t.Helper()
	near := func(a, b float64, of string) { require.InDelta(t, a, b, 1e-9*max(1, math.Abs(a)), of) }
	for i, list := range [][2][]correlation.Field{{want.X, got.X}, {want.Y, got.Y}} {
		require.Len(t, list[1], len(list[0]))
		for j := range list[0] {
			a, b := &list[0][j], &list[1][j]
			near(a.Mean, b.Mean, a.Name)
			near(a.Stddev, b.Stddev, a.Name)
			a, b = &[]correlation.Field{*a}[0], &[]correlation.Field{*b}[0]
			b.Mean, b.Stddev = a.Mean, a.Stddev
			require.Equal(t, *a, *b, "side %d", i)
		}
	}
	require.Len(t, got.Cells, len(want.Cells))
	for i, a := range want.Cells {
		b := got.Cells[i]
		for _, v := range [][2]*float64{{a.Value, b.Value}, {a.P, b.P}, {a.Q, b.Q}} {
			require.Equal(t, v[0] == nil, v[1] == nil, "%s with %s: %s, %s", a.X, a.Y, a.Reason, b.Reason)
			if v[0] != nil {
				near(*v[0], *v[1], a.X+" with "+a.Y)
			}
		}
		b.Value, b.P, b.Q = a.Value, a.P, a.Q
		require.Equal(t, a, b)
	}
	require.Equal(t, []int64{want.Tasks, want.Read, int64(want.Tests)}, []int64{got.Tasks, got.Read, int64(got.Tests)})
	require.Equal(t, want.Warnings, got.Warnings)
}
