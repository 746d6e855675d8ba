package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Tasks that were stored before leaves had the list of short names are read whole where it matters.
func TestScanOfTasksWithoutTheListOfShortNames(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db")})
	argument, own := event("argument"), event("own")
	argument.Used = map[string]any{"cfg": map[string]any{"layers": int64(2)}}
	own.Used = map[string]any{"cfg": map[string]any{"layers": int64(2)}, "layers": int64(2)}
	_, err := s.Write(t.Context(), []*task.Event{argument, own})
	require.NoError(t, err)
	changed, err := s.write.ExecContext(t.Context(), `UPDATE leaves SET main = jsonb_remove(main, '$."%short"') WHERE main <> jsonb_remove(main, '$."%short"')`)
	require.NoError(t, err)
	n, err := changed.RowsAffected()
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	found := map[any]any{}
	sc := &query.Scan{Fields: []query.Field{{Name: "task_id", Root: "task_id", Type: query.String}, {Name: "used", Root: "used", Type: query.Object}}}
	_, err = s.Scan(t.Context(), sc, func(row []any) error {
		found[row[0]] = row[1]
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, map[any]any{
		"argument": map[string]any{"cfg.layers": int64(2)},
		"own":      map[string]any{"cfg.layers": int64(2), "layers": int64(2)},
	}, found)
}

// A task whose state is damaged is scanned by its leaves.
func TestScanOfDamagedTasks(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db")})
	e := event("x")
	e.Used = map[string]any{"a": int64(1), "list": []any{int64(1), int64(2)}}
	_, err := s.Write(t.Context(), []*task.Event{e})
	require.NoError(t, err)
	_, err = s.write.ExecContext(t.Context(), `UPDATE states SET state = x'00'`)
	require.NoError(t, err)
	var rows [][]any
	sc := &query.Scan{}
	for _, name := range []string{"used.a", "used.list", "used"} {
		f, err := query.LookupField("", name)
		require.NoError(t, err)
		sc.Fields = append(sc.Fields, f)
	}
	_, err = s.Scan(t.Context(), sc, func(row []any) error {
		rows = append(rows, append([]any(nil), row...))
		return nil
	})
	require.NoError(t, err)
	list := []any{int64(1), int64(2)}
	require.Equal(t, [][]any{{int64(1), list, map[string]any{"a": int64(1), "list": list}}}, rows)
}
