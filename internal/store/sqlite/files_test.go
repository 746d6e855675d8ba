//go:build unix

package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Whoever can place a link where we write must not make us write over what it leads to.
func TestLinksAreNotFollowed(t *testing.T) {
	for _, suffix := range []string{"", ".lock", "-wal", "-shm", "-journal"} {
		dir := t.TempDir()
		victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "mida.db")
		require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
		require.NoError(t, os.Symlink(victim, path+suffix))
		_, err := Open(t.Context(), Options{Path: path})
		require.ErrorContains(t, err, path+suffix+" is a symbolic link")
		content, err := os.ReadFile(victim)
		require.NoError(t, err)
		require.Equal(t, "precious", string(content))
		// The refusal leaves nothing locked.
		require.NoError(t, os.Remove(path+suffix))
		mustOpen(t, Options{Path: path})
	}
}

func TestTwoWaysToOneDirectoryMeetOneLock(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	require.NoError(t, os.Mkdir(real, 0o700))
	mustOpen(t, Options{Path: filepath.Join(real, "mida.db")})
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(real, link))
	_, err := Open(t.Context(), Options{Path: filepath.Join(link, "mida.db")})
	require.ErrorContains(t, err, "is in use by the collector")
}

func TestFilesOpenToOthersBecomePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	s, err := Open(t.Context(), Options{Path: path})
	require.NoError(t, err)
	_, err = s.Write(t.Context(), []*task.Event{event("1")})
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, os.Chmod(path, 0o644))
	core, logs := observer.New(zap.WarnLevel)
	s = mustOpen(t, Options{Path: path, Logger: zap.New(core)})
	require.Equal(t, 1, logs.FilterMessageSnippet("open to other users").FilterField(zap.String("path", s.path)).Len())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.EqualValues(t, 1, total(t, s))
}

// Needs root to give files away.
func TestForeignFilesAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const nobody = 65534
	dir := t.TempDir()
	path := filepath.Join(dir, "mida.db")
	for _, suffix := range []string{"", ".lock", "-wal"} {
		require.NoError(t, os.WriteFile(path+suffix, nil, 0o666))
		require.NoError(t, os.Chown(path+suffix, nobody, nobody))
		_, err := Open(t.Context(), Options{Path: path})
		require.ErrorContains(t, err, path+suffix+" belongs to user id 65534")
		require.NoError(t, os.Remove(path+suffix))
	}
	require.NoError(t, os.Chown(dir, nobody, nobody))
	_, err := Open(t.Context(), Options{Path: path})
	require.ErrorContains(t, err, dir+" belongs to user id 65534")
}
