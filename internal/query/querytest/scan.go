package querytest

import (
	"context"
	"maps"
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// scanner is a target that can be asked for a few fields of many tasks.
type scanner interface {
	Target
	Scan(ctx context.Context, s *query.Scan, each func(row []any) error) (int64, error)
}

// compareScan asks for every field that any matching task has, in a scan and as whole tasks: both must say the same.
func compareScan(ctx context.Context, t require.TestingT, target scanner, q *query.Query) {
	docs := pages(ctx, t, target, &query.Query{Filter: q.Filter}, query.MaxLimit)
	s := &query.Scan{Filter: q.Filter, Fields: fieldsOf(t, docs)}
	var want, got []string
	for _, doc := range docs {
		row := make([]any, len(s.Fields))
		s.Row(doc, row)
		want = append(want, shown(row))
	}
	matching, err := target.Scan(ctx, s, func(row []any) error {
		got = append(got, shown(row))
		return nil
	})
	require.NoError(t, err)
	slices.Sort(want)
	slices.Sort(got)
	assert.Equal(t, want, got, "by a scan")
	assert.EqualValues(t, len(want), matching, "by a scan")
}

func shown(row []any) string {
	out := make([]any, len(row))
	for i, v := range row {
		if out[i] = v; v == query.Absent {
			out[i] = "(absent)"
		}
	}
	return task.JSON(out)
}

// fieldsOf are the fields of all documents: those of every task, the maps, and all leaves and short names below these but
// the ambiguous ones.
func fieldsOf(t require.TestingT, docs []map[string]any) []query.Field {
	names, unclear := map[string]bool{}, map[string]bool{}
	for _, name := range query.Fields() {
		names[name] = true
	}
	for _, doc := range docs {
		for _, root := range query.Roots() {
			m, _ := doc[root].(map[string]any)
			leaves, ambiguous := query.Leaves(root, m)
			for path := range leaves {
				names[root+"."+path] = true
			}
			for path := range ambiguous {
				unclear[root+"."+path] = true
			}
		}
	}
	var out []query.Field
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if f, err := query.LookupField("", name); err == nil && !unclear[name] { // a leaf may have an empty name
			out = append(out, f)
		}
	}
	return out
}
