package correlation

import (
	"context"
	"math"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// Reader is what is needed of a store.
type Reader interface {
	Scan(ctx context.Context, s *query.Scan, each func(row []any) error) (matching int64, err error)
}

// Summing is a Reader that may know the sums of fields without reading the tasks. Without a matrix it does not.
type Summing interface {
	Matrix(ctx context.Context, req *query.MatrixRequest) (*query.Matrix, error)
}

// Result is the answer to a request: one Cell for each field of X with each of Y, in the order of X and, within, of Y.
type Result struct {
	Tasks    int64 // that the filter selects
	Read     int64 // of these; fewer than Tasks where Sampled
	Sampled  bool
	Tests    int // p-values that were corrected together
	X, Y     []Field
	Cells    []Cell
	Warnings []string
}

// Kind is what a field is taken for.
type Kind string

// The kinds of fields. In numbers, false and true count as 0 and 1.
const (
	Number   Kind = "number"
	Boolean  Kind = "boolean"
	Category Kind = "category"
	Unusable Kind = "none"
)

// Field says what the tasks have of a field, and what of it does not count.
type Field struct {
	Name       string
	Kind       Kind
	N          int64 // values that count
	Missing    int64 // tasks that lack the field
	Null       int64
	NotFinite  int64
	Other      int64 // lists, maps, bytes, values that were cut
	Texts      int64 // left out, of a field that mostly holds numbers
	Numbers    int64 // left out, of a field that mostly holds text
	Booleans   int64 // of N, counted as 0 and 1
	Categories int   // different ones; MaxCategories stands for more
	Constant   bool
	// Of numbers:
	Low, High, Mean float64
	Stddev          float64 // of the sample; 0 for one value
}

// Statistic says what a cell's value is.
type Statistic string

// The statistics.
const (
	StatisticPearson  Statistic = "pearson"
	StatisticSpearman Statistic = "spearman"
	StatisticEta      Statistic = "eta" // the correlation ratio, of a category and a number: 0 to 1, without direction
)

// Cell is one pair of fields. Without a Value, Reason says why.
type Cell struct {
	X, Y      string
	Statistic Statistic // "" where the fields allow none
	N         int64     // tasks that have both
	Value     *float64
	P, Q      *float64 // Q is P corrected for the number of tests
	Reason    string
}

// Correlate reads the tasks in one pass. An error about the request is a *query.Error.
func Correlate(ctx context.Context, st Reader, req *Request) (*Result, error) {
	scan := &query.Scan{Filter: req.Filter, Fields: projection(req)}
	t := &table{x: newSide("x", req.X, scan.Fields), y: newSide("y", req.Y, scan.Fields), ranked: req.Method == Spearman}
	if nx, ny := len(t.x.columns), len(t.y.columns); nx*ny > MaxCells {
		return nil, tooManyCells(nx, ny)
	}
	if t.ranked {
		scan.First = MaxRanked
	}
	res := &Result{}
	known, err := t.addSums(ctx, st, req)
	if err != nil {
		return nil, err
	}
	if known {
		res.Tasks = int64(t.rows)
	} else if res.Tasks, err = st.Scan(ctx, scan, t.add); err != nil {
		return nil, err
	}
	res.Read = int64(t.rows)
	res.Sampled = res.Read < res.Tasks
	f := finisher{request: req, table: t, ranker: newRanker(t.rows)}
	if err := f.cells(ctx, res); err != nil {
		return nil, err
	}
	adjust(res, req.Correction)
	return res, nil
}

func projection(req *Request) []query.Field {
	var out []query.Field
	for _, s := range slices.Concat(req.X, req.Y) {
		if !slices.Contains(out, s.Field) {
			out = append(out, s.Field)
		}
	}
	return out
}

// adjust corrects the p-values. A pair that stands in the matrix twice, as (a, b) and (b, a), is one test.
func adjust(res *Result, c Correction) {
	type unordered [2]string
	index, p := map[unordered]int{}, []float64{}
	at := make([]int, len(res.Cells))
	for i, cell := range res.Cells {
		if cell.P == nil {
			continue
		}
		key := unordered{min(cell.X, cell.Y), max(cell.X, cell.Y)}
		n, ok := index[key]
		if !ok {
			n = len(p)
			index[key] = n
			p = append(p, *cell.P)
		}
		at[i] = n
	}
	res.Tests = len(p)
	q := correct(p, c)
	for i := range res.Cells {
		if res.Cells[i].P != nil {
			res.Cells[i].Q = &q[at[i]]
		}
	}
}

func usable(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
