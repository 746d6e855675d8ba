package correlation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// rows is a Reader of as many rows as one likes; those of a map hold its leaves.
type rows struct {
	n   int
	row func(i int) map[string]any
}

func (r *rows) Scan(ctx context.Context, s *query.Scan, each func(row []any) error) (int64, error) {
	values := make([]any, len(s.Fields))
	for i := range r.n {
		if s.First > 0 && i == s.First {
			break
		}
		row := r.row(i)
		for k, f := range s.Fields {
			v, ok := row[f.Name]
			if !ok {
				v = query.Absent
			}
			values[k] = v
		}
		if err := errors.Join(ctx.Err(), each(values)); err != nil {
			return 0, err
		}
	}
	return int64(r.n), nil
}

func request(t *testing.T, x, y string, m Method) *Request {
	t.Helper()
	req := &Request{Method: m, Correction: BenjaminiHochberg, MinN: LeastN}
	var err error
	req.X, err = ParseSelectors("x", strings.Split(x, ","))
	require.NoError(t, err)
	req.Y, err = ParseSelectors("y", strings.Split(y, ","))
	require.NoError(t, err)
	return req
}

func correlated(t *testing.T, r Reader, req *Request) *Result {
	t.Helper()
	res, err := Correlate(t.Context(), r, req)
	require.NoError(t, err)
	return res
}

func used(v any) map[string]any { return map[string]any{"used": map[string]any{"v": v}} }

func TestAllTasksAreRead(t *testing.T) {
	r := &rows{n: 25_000, row: func(i int) map[string]any {
		return map[string]any{"used.a": int64(i), "elapsed": float64(25_000 - i)}
	}}
	res := correlated(t, r, request(t, "used.a", "elapsed", Pearson))
	assert.Equal(t, []any{int64(25_000), int64(25_000), false}, []any{res.Tasks, res.Read, res.Sampled})
	assert.Equal(t, int64(25_000), res.Cells[0].N)
	assert.InDelta(t, -1, *res.Cells[0].Value, 1e-12)
}

// Ranks of more tasks than MaxRanked are made of the first, and that is said; sums are over all.
func TestRanksAreBounded(t *testing.T) {
	r := &rows{n: MaxRanked + 5_000, row: func(i int) map[string]any {
		return map[string]any{"used.a": int64(i), "elapsed": math.Sqrt(float64(i))}
	}}
	res := correlated(t, r, request(t, "used.a", "elapsed", Spearman))
	assert.Equal(t, []any{int64(MaxRanked + 5_000), int64(MaxRanked), true}, []any{res.Tasks, res.Read, res.Sampled})
	assert.Equal(t, int64(MaxRanked), res.Cells[0].N)
	assert.InDelta(t, 1, *res.Cells[0].Value, 1e-12)
	res = correlated(t, r, request(t, "used.a", "elapsed", Pearson))
	assert.Equal(t, []any{int64(MaxRanked + 5_000), false}, []any{res.Cells[0].N, res.Sampled})
	r.n = MaxRanked
	assert.False(t, correlated(t, r, request(t, "used.a", "elapsed", Spearman)).Sampled)
}

// The sums lose nothing where values are large beside their spread: such as seconds since 1970. Both shifts are exact here.
func TestLargeOffsets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	whole := func() float64 { return math.Round(random.NormFloat64() * 1024) }
	plain, shifted := make([]map[string]any, 1_000), make([]map[string]any, 1_000)
	for i := range plain {
		x, opt := whole()/1024, []any{"a", "b", "c"}[i%3]
		y := x + whole()/1024
		plain[i] = map[string]any{"used.a": x, "used.b": opt, "elapsed": y}
		shifted[i] = map[string]any{"used.a": x + 1.7e9, "used.b": opt, "elapsed": math.Ldexp(y-1.7e9, -400)}
	}
	for _, m := range Methods {
		req := request(t, "used.a,used.b", "elapsed", m)
		a := correlated(t, &rows{n: 1_000, row: func(i int) map[string]any { return plain[i] }}, req)
		b := correlated(t, &rows{n: 1_000, row: func(i int) map[string]any { return shifted[i] }}, req)
		for i := range a.Cells {
			assert.InEpsilon(t, *a.Cells[i].Value, *b.Cells[i].Value, 1e-12, "%s %s", m, a.Cells[i].X)
			assert.InEpsilon(t, *a.Cells[i].P, *b.Cells[i].P, 1e-10, "%s %s", m, a.Cells[i].X)
		}
	}
}

func TestFieldsThatAreNoNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		value  func(i int) any
		kind   Kind
		reason string
	}{
		"huge integers":   {func(i int) any { return map[string]any{"$int": fmt.Sprint(i+1, strings.Repeat("0", 30))} }, Number, ""},
		"beyond floats":   {func(i int) any { return map[string]any{"$int": fmt.Sprint(i+1, strings.Repeat("0", 400))} }, Unusable, "used.v has neither numbers nor text"},
		"what was cut":    {func(int) any { return map[string]any{"$cut": map[string]any{}} }, Unusable, "used.v has neither numbers nor text"},
		"infinite":        {func(int) any { return math.Inf(1) }, Unusable, "used.v has neither numbers nor text"},
		"mostly text":     {func(i int) any { return []any{"a", "b", int64(1)}[i%3] }, Category, ""},
		"too many texts":  {func(i int) any { return fmt.Sprint("t", i%(MaxCategories+1)) }, Category, "used.v has more than 1000 categories"},
		"as many as may":  {func(i int) any { return strings.Repeat("t", 1+i%MaxCategories) }, Category, ""},
		"one text":        {func(int) any { return "a" }, Category, "used.v is constant among these tasks"},
		"sums overflow":   {func(i int) any { return []any{1e300, -1e300}[i%2] }, Number, "the numbers are beyond the range of floating point"},
		"sums vanish":     {func(i int) any { return []any{1e-170, -1e-170}[i%2] }, Number, "the numbers are beyond the range of floating point"},
		"true and false":  {func(i int) any { return i%3 == 0 }, Boolean, ""},
		"only some tasks": {func(i int) any { return []any{nil, int64(1), int64(i)}[min(i, 2)] }, Number, ""},
	} {
		res := correlated(t, &rows{n: 3_000, row: func(i int) map[string]any {
			row := used(c.value(i))
			row["elapsed"] = float64(i % 7)
			return row
		}}, request(t, "used.*", "elapsed", Pearson))
		assert.Equal(t, c.kind, res.X[0].Kind, name)
		assert.Equal(t, c.reason, res.Cells[0].Reason, name)
		assert.Equal(t, c.reason == "", res.Cells[0].Value != nil, name)
	}
}

// A field is a number or a category by what most of its values are, however they come; the others are counted.
func TestMixedFields(t *testing.T) {
	for _, reversed := range []bool{false, true} {
		r := &rows{n: 10, row: func(i int) map[string]any {
			if reversed {
				i = 9 - i
			}
			row := map[string]any{"used.a": any(int64(i)), "used.b": any("x"), "elapsed": float64(i)}
			if i < 3 {
				row["used.a"], row["used.b"] = "auto", int64(i)
			} else if i < 6 {
				row["used.b"] = "y"
			}
			return row
		}}
		res := correlated(t, r, request(t, "used.a,used.b", "elapsed", Pearson))
		assert.Equal(t, []any{Number, int64(7), int64(3)}, []any{res.X[0].Kind, res.X[0].N, res.X[0].Texts})
		assert.Equal(t, []any{Category, int64(7), int64(3)}, []any{res.X[1].Kind, res.X[1].N, res.X[1].Numbers})
		assert.Equal(t, []any{StatisticPearson, int64(7)}, []any{res.Cells[0].Statistic, res.Cells[0].N})
		assert.Equal(t, []any{StatisticEta, int64(7)}, []any{res.Cells[1].Statistic, res.Cells[1].N})
	}
}

// Pairs have their own tasks: the same field may be constant among some.
func TestPairwise(t *testing.T) {
	r := &rows{n: 20, row: func(i int) map[string]any {
		row := map[string]any{"used.a": int64(i / 10), "elapsed": float64(i)}
		if i < 10 {
			row["used.b"] = int64(i * i)
		}
		return row
	}}
	for _, m := range Methods {
		res := correlated(t, r, request(t, "used.a,used.b", "elapsed,used.a", m))
		assert.Equal(t, []int64{20, 20, 10, 10}, []int64{res.Cells[0].N, res.Cells[1].N, res.Cells[2].N, res.Cells[3].N})
		assert.Equal(t, "used.a is constant among these tasks", res.Cells[3].Reason)
		assert.Equal(t, int64(10), res.X[1].Missing)
		req := request(t, "used.b", "elapsed", m)
		req.MinN = 11
		assert.Equal(t, "10 tasks have both, fewer than 11", correlated(t, r, req).Cells[0].Reason)
	}
}

// The examples are those of R's p.adjust. In the second, a smaller p may not end with a greater q.
func TestCorrections(t *testing.T) {
	first, second := []float64{0.01, 0.04, 0.03, 0.005, 0.9}, []float64{0.021, 0.01, 0.02}
	for c, want := range map[Correction][2][]float64{
		BenjaminiHochberg: {{0.025, 0.05, 0.05, 0.025, 0.9}, {0.021, 0.021, 0.021}},
		Holm:              {{0.04, 0.09, 0.09, 0.025, 0.9}, {0.04, 0.03, 0.04}},
		Bonferroni:        {{0.05, 0.2, 0.15, 0.025, 1}, {0.063, 0.03, 0.06}},
		Uncorrected:       {first, second},
	} {
		assert.InDeltaSlice(t, want[0], correct(first, c), 1e-15, c)
		assert.InDeltaSlice(t, want[1], correct(second, c), 1e-15, c)
	}
	assert.Empty(t, correct(nil, Holm))
}

func TestTiesShareTheirRank(t *testing.T) {
	x := []int64{1, 2, 2, 3}
	r := &rows{n: 4, row: func(i int) map[string]any { return map[string]any{"used.a": x[i], "elapsed": float64(i)} }}
	assert.InDelta(t, 3/math.Sqrt(10), *correlated(t, r, request(t, "used.a", "elapsed", Spearman)).Cells[0].Value, 1e-15)
}

func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := &rows{n: 30_000, row: func(int) map[string]any { cancel(); return used(int64(1)) }}
	_, err := Correlate(ctx, r, request(t, "used.*", "elapsed", Pearson))
	require.ErrorIs(t, err, context.Canceled)
}
