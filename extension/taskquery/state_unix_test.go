//go:build unix

package taskquery

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Another Unix user sees neither the token nor the address, and its directory is not used. Needs root to be that user.
func TestTwoUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as a second user")
	}
	const nobody = 65534
	dir := t.TempDir()
	for _, open := range []string{dir, filepath.Dir(dir)} { // so that only the state directory keeps the user out
		require.NoError(t, os.Chmod(open, 0o755))
	}
	d, err := openStateDirectory(filepath.Join(dir, "state"))
	require.NoError(t, err)
	_, err = d.token()
	require.NoError(t, err)
	require.NoError(t, d.announce("http://127.0.0.1:1", true))
	for _, name := range []string{"token", "endpoint.json"} {
		cat := exec.Command("cat", d.file(name))
		cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cat.CombinedOutput()
		assert.Error(t, err, name)
		assert.Contains(t, string(out), "Permission denied", name)
	}

	foreign := filepath.Join(dir, "foreign")
	require.NoError(t, os.Mkdir(foreign, 0o700))
	require.NoError(t, os.Chown(foreign, nobody, nobody))
	_, err = openStateDirectory(foreign)
	assert.ErrorContains(t, err, "belongs to user id 65534")

	require.NoError(t, os.Remove(d.file("token")))
	require.NoError(t, os.WriteFile(d.file("token"), []byte("0123456789012345678901234567890123456789"), 0o600))
	require.NoError(t, os.Chown(d.file("token"), nobody, nobody))
	_, err = d.token()
	assert.ErrorContains(t, err, "belongs to user id 65534")
}
