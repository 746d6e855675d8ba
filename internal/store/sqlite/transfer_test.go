package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// A reader sees one moment, while the collector that owns the database goes on writing and deletes.
func TestReaderBesideTheCollector(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	s := mustOpen(t, Options{Path: path})
	_, err := s.Write(t.Context(), []*task.Event{event("1"), event("2")})
	require.NoError(t, err)
	r, err := OpenReader(t.Context(), path)
	require.NoError(t, err)
	read := func(p store.Snapshot) (tasks int) {
		require.NoError(t, p.Parts(t.Context(), "", func(store.Part) error {
			tasks++
			return nil
		}))
		return tasks
	}
	before, err := r.Snapshot(t.Context())
	require.NoError(t, err)
	_, err = s.Write(t.Context(), []*task.Event{event("3")})
	require.NoError(t, err)
	require.Equal(t, 2, read(before))
	_, err = s.DeleteCampaign(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, 2, read(before))
	require.NoError(t, before.Close())
	after, err := r.Snapshot(t.Context())
	require.NoError(t, err)
	require.Zero(t, read(after))
	require.NoError(t, after.Close())
	require.NoError(t, r.Close())
}
