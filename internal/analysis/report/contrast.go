package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/correlation"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Contrast tells the tasks of one group from those of the other: column by column, as a correlation with the group, which
// counts as 1 for Filter and 0 for Against (docs/correlation.md).
type Contrast struct {
	Method     correlation.Method
	Correction correlation.Correction
	Tests      int
	Columns    []Difference // the clearest first; those without a value last
}

// Difference is one column.
type Difference struct {
	correlation.Cell
	Filter, Against Range // the values of each group
}

const belowColumns = "used" // where the columns lie in the rows that are correlated

// contrast compares the groups. A column counts once a task: of several raw files the mean, where they are numbers.
func contrast(ctx context.Context, o *Origins) (*Contrast, error) {
	tasks, columns := perTask(o)
	x, err := correlation.ParseSelectors("x", columns)
	if err != nil || len(tasks) == 0 || len(columns) == 0 {
		return &Contrast{Columns: []Difference{}}, nil //nolint:nilerr // there is nothing to compare
	}
	y, err := correlation.ParseSelectors("y", []string{"generated.group"})
	if err != nil {
		return nil, err
	}
	req := &correlation.Request{X: x, Y: y, Method: correlation.Spearman, Correction: correlation.BenjaminiHochberg, MinN: correlation.LeastN}
	res, err := correlation.Correlate(ctx, tasks, req)
	if err != nil {
		return nil, err
	}
	out := &Contrast{Method: req.Method, Correction: req.Correction, Tests: res.Tests}
	for _, c := range res.Cells {
		d := Difference{Cell: c, Filter: tasks.values(c.X, true), Against: tasks.values(c.X, false)}
		d.X = strings.TrimPrefix(c.X, belowColumns+".")
		d.Reason = strings.ReplaceAll(strings.ReplaceAll(c.Reason, c.X, d.X), c.Y, "the group")
		out.Columns = append(out.Columns, d)
	}
	slices.SortStableFunc(out.Columns, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(strength(b), strength(a)), cmp.Compare(a.X, b.X))
	})
	return out, nil
}

func strength(d Difference) float64 {
	if d.Value == nil {
		return -1
	}
	return math.Abs(*d.Value)
}

// groupedTasks are rows for a correlation.
type groupedTasks []map[string]any

// Scan gives all rows; what is asked for is in each of them, or absent.
func (g groupedTasks) Scan(_ context.Context, s *query.Scan, each func(row []any) error) (int64, error) {
	values := make([]any, len(s.Fields))
	for i, row := range g {
		if s.First > 0 && i == s.First {
			break
		}
		for k, f := range s.Fields {
			values[k] = query.Absent
			if v, ok := row[f.Name]; ok {
				values[k] = v
			}
		}
		if err := each(values); err != nil {
			return 0, err
		}
	}
	return int64(len(g)), nil
}

func (g groupedTasks) values(column string, group bool) Range {
	values := map[string]any{}
	r := Range{Name: column}
	for _, row := range g {
		if v, ok := row[column]; ok && row["generated.group"] == group {
			r.Tasks++
			values[task.JSON(v)] = v
		}
	}
	r.Distinct = len(values)
	return rangeOf(r, values)
}

// perTask has a row for each task, under names that the query language knows.
func perTask(o *Origins) (groupedTasks, []string) {
	several := map[string]map[string][]any{} // task → column → different values
	groups := map[string]bool{}
	var order []string
	for _, row := range o.Rows {
		id, _ := row["id"].(string)
		if several[id] == nil {
			several[id], groups[id] = map[string][]any{}, row["group"] == GroupFilter
			order = append(order, id)
		}
		for column, v := range row {
			have := several[id][column]
			if !slices.ContainsFunc(have, func(h any) bool { return task.JSON(h) == task.JSON(v) }) {
				several[id][column] = append(have, v)
			}
		}
	}
	var columns []string
	for _, c := range o.Columns {
		if !compared(c) {
			continue
		}
		if len(columns) == correlation.MaxFields {
			o.Warnings = append(o.Warnings, fmt.Sprintf("the contrast is of the first %d columns", len(columns)))
			break
		}
		columns = append(columns, belowColumns+"."+c)
	}
	out := make(groupedTasks, 0, len(order))
	for _, id := range order {
		row := map[string]any{"generated.group": groups[id]}
		for column, values := range several[id] {
			if v, ok := together(values); ok && compared(column) {
				row[belowColumns+"."+column] = v
			}
		}
		out = append(out, row)
	}
	return out, columns
}

// compared says whether a column may tell tasks apart: what names a task, or says how it ended, does so by itself.
func compared(column string) bool {
	switch column {
	case "group", "id", "task_id", "status", "raw.id", "raw.task_id":
		return false
	}
	return !strings.HasPrefix(column, "error.")
}

// together is the one value of a task, or the mean of several numbers.
func together(values []any) (any, bool) {
	if len(values) == 1 {
		return values[0], true
	}
	sum := 0.0
	for _, v := range values {
		n, ok := number(v)
		if !ok {
			return nil, false
		}
		sum += n
	}
	return sum / float64(len(values)), true
}
