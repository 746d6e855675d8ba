//go:build unix

package ownfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	f, err := Open(path, os.O_RDWR|os.O_CREATE)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	_, err = Open(filepath.Join(dir, "none"), os.O_RDWR)
	require.ErrorIs(t, err, os.ErrNotExist)
	link, dangling, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "dangling"), filepath.Join(dir, "pipe")
	require.NoError(t, os.Symlink(path, link))
	require.NoError(t, os.Symlink(filepath.Join(dir, "other"), dangling))
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for path, want := range map[string]string{link: "symbolic link", dangling: "symbolic link", pipe: "special file", dir: "directory"} {
		_, err = Open(path, os.O_RDWR|os.O_CREATE)
		require.ErrorContains(t, err, want)
	}
	require.NoFileExists(t, filepath.Join(dir, "other"))
}

func TestTighten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Chmod(path, 0o644))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for _, want := range []os.FileMode{0o644, 0} {
		had, err := Tighten(f)
		require.NoError(t, err)
		require.Equal(t, want, had)
		info, err := f.Stat()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

func TestDirectory(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	dir := filepath.Join(root, "a", "b")
	got, err := Directory(dir)
	require.NoError(t, err)
	require.Equal(t, dir, got)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	link := filepath.Join(root, "link")
	require.NoError(t, os.Symlink(dir, link))
	got, err = Directory(link)
	require.NoError(t, err)
	require.Equal(t, dir, got)
}

// What another user made is refused. Needs root to make it.
func TestForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := filepath.Join(t.TempDir(), "foreign")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, 65534, 65534))
	_, err := Directory(dir)
	require.ErrorContains(t, err, "belongs to user id 65534")
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o666))
	require.NoError(t, os.Chown(path, 65534, 65534))
	_, err = Open(path, os.O_RDWR|os.O_CREATE)
	require.ErrorContains(t, err, "belongs to user id 65534")
}
