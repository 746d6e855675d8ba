package taskquery

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestStateIsPrivate(t *testing.T) {
	a := start(t)
	assert.Equal(t, os.FileMode(0o700), mode(t, a.dir))
	assert.Equal(t, os.FileMode(0o600), mode(t, filepath.Join(a.dir, "token")))
	assert.Equal(t, os.FileMode(0o600), mode(t, filepath.Join(a.dir, "endpoint.json")))
	assert.GreaterOrEqual(t, len(a.token), 43)
	require.NoError(t, a.server.Shutdown(context.Background()))
	assert.NoFileExists(t, filepath.Join(a.dir, "endpoint.json"))
	assert.FileExists(t, filepath.Join(a.dir, "token"))
	entries, err := os.ReadDir(a.dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

func TestTokenIsKept(t *testing.T) {
	d, err := openStateDirectory(filepath.Join(t.TempDir(), "state"))
	require.NoError(t, err)
	first, err := d.token()
	require.NoError(t, err)
	second, err := d.token()
	require.NoError(t, err)
	assert.Equal(t, first, second)
	other, err := openStateDirectory(filepath.Join(t.TempDir(), "state"))
	require.NoError(t, err)
	third, err := other.token()
	require.NoError(t, err)
	assert.NotEqual(t, first, third)
}

func TestOpenDirectoryBecomesPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.Mkdir(dir, 0o755))
	_, err := openStateDirectory(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), mode(t, dir))
}

func TestUnsafeStateIsRefused(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.Mkdir(target, 0o700))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(target, link))
	_, err := openStateDirectory(link)
	assert.ErrorContains(t, err, "symbolic link")

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = openStateDirectory(file)
	assert.Error(t, err)

	d, err := openStateDirectory(target)
	require.NoError(t, err)
	token := d.file("token")
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("somebody else's file, long enough for a token"), 0o600))
	require.NoError(t, os.Symlink(secret, token))
	_, err = d.token()
	assert.ErrorContains(t, err, "symbolic link, which is not followed")

	require.NoError(t, os.Remove(token))
	require.NoError(t, os.WriteFile(token, []byte("short"), 0o600))
	_, err = d.token()
	assert.ErrorContains(t, err, "too few for a token")

	require.NoError(t, os.WriteFile(token, []byte("0123456789012345678901234567890123456789"), 0o600))
	require.NoError(t, os.Chmod(token, 0o644))
	_, err = d.token()
	assert.ErrorContains(t, err, "can be read by others")

	// endpoint.json is replaced, and the file that a link of its name leads to is left alone.
	require.NoError(t, os.Symlink(secret, d.file("endpoint.json")))
	require.NoError(t, d.announce("http://127.0.0.1:1", true))
	data, err := os.ReadFile(secret)
	require.NoError(t, err)
	assert.Contains(t, string(data), "somebody else's file")
	assert.Equal(t, os.FileMode(0o600), mode(t, d.file("endpoint.json")))
}

func TestForeignAnnouncementStays(t *testing.T) {
	d, err := openStateDirectory(filepath.Join(t.TempDir(), "state"))
	require.NoError(t, err)
	require.NoError(t, d.write("endpoint.json", []byte(`{"url": "http://127.0.0.1:1", "pid": 1}`)))
	require.NoError(t, d.retract())
	assert.FileExists(t, d.file("endpoint.json"))
}
