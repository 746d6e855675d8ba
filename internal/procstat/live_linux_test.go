package procstat

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// identityOf is what a process says of itself.
func identityOf(t *testing.T, r *Reader, pid int) Identity {
	start, err := r.startOf(pid)
	require.NoError(t, err)
	return Identity{BootID: r.BootID(), Namespace: r.namespaceOf(strconv.Itoa(pid)), PID: pid, Start: start}
}

func TestALiveProcessAndItsChildren(t *testing.T) {
	r, err := Open("/proc")
	require.NoError(t, err)
	// A shell whose child uses half a second of CPU and is waited for, and which then waits for its input.
	cmd := exec.Command("sh", "-c", `sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo done; read x`)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p, err := r.Attach(identityOf(t, r, cmd.Process.Pid), cmd.Process.Pid)
	require.NoError(t, err)
	defer p.Close()
	require.Eventually(t, func() bool {
		v, _, err := p.Read(true)
		return err == nil && v[Processes] > 1
	}, time.Minute, time.Millisecond, "the child is seen while it runs")
	_, err = out.Read(make([]byte, 5))
	require.NoError(t, err)
	v, _, err := p.Read(true)
	require.NoError(t, err)
	assert.Greater(t, v[ChildCPU], 0.05, "what a child used stays when it is gone")
	assert.InDelta(t, 1, v[Processes], 0)
	assert.Positive(t, v[Memory])

	wrong := identityOf(t, r, cmd.Process.Pid)
	wrong.Start--
	_, err = r.Attach(wrong, 0)
	require.ErrorIs(t, err, ErrGone, "an earlier process of the same number")

	require.NoError(t, in.Close())
	_ = cmd.Wait()
	_, _, err = p.Read(true)
	require.ErrorIs(t, err, ErrGone)
}

func BenchmarkRead(b *testing.B) {
	r, err := Open("/proc")
	require.NoError(b, err)
	start, err := r.startOf(os.Getpid())
	require.NoError(b, err)
	for name, children := range map[string]bool{"process": false, "and children": true} {
		b.Run(name, func(b *testing.B) {
			p, err := r.Attach(Identity{BootID: r.BootID(), PID: os.Getpid(), Start: start}, os.Getpid())
			require.NoError(b, err)
			defer p.Close()
			for b.Loop() {
				if _, _, err := p.Read(children); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
