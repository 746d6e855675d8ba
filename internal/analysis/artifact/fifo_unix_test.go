//go:build unix

package artifact

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAFifoIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plot.png")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	assert.Contains(t, why(t, reader(t, dir), named(t, path)), "no regular file")
}

func TestWhatTheCollectorMayNotRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "plot.png"), "x")
	require.NoError(t, os.Chmod(path, 0))
	assert.Contains(t, why(t, reader(t, dir), named(t, path)), "may not read it")
}
