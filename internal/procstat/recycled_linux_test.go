package procstat

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const lastPID = "/proc/sys/kernel/ns_last_pid"

// startAs begins a process that has a certain number, which the kernel gives to the next one if it is free.
func startAs(t *testing.T, pid int) *exec.Cmd {
	for range 1000 {
		if err := os.WriteFile(lastPID, []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Skipf("the next number of a process cannot be set here: %v", err)
		}
		cmd := exec.Command("sleep", "600")
		require.NoError(t, cmd.Start())
		if cmd.Process.Pid == pid {
			return cmd
		}
		_ = cmd.Process.Kill() // others began something meanwhile
		_ = cmd.Wait()
	}
	t.Skip("others take all numbers of processes")
	return nil
}

// A number that is given again within a second is not taken for the process that had it before.
func TestARecycledNumberIsAnotherProcess(t *testing.T) {
	r, err := Open("/proc")
	require.NoError(t, err)
	cmd := exec.Command("sleep", "600")
	require.NoError(t, cmd.Start())
	pid := cmd.Process.Pid
	first := identityOf(t, r, pid)
	p, err := r.Attach(first, pid)
	require.NoError(t, err)
	defer p.Close()
	_, _, err = p.Read(true)
	require.NoError(t, err)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	time.Sleep(20 * time.Millisecond) // the clock of start times has steps of 10 ms
	again := startAs(t, pid)
	defer func() {
		_ = again.Process.Kill()
		_ = again.Wait()
	}()
	_, _, err = p.Read(true)
	require.ErrorIs(t, err, ErrGone, "the files that are open are those of the first process")
	_, err = r.Attach(first, pid)
	require.ErrorIs(t, err, ErrGone)
	second, err := r.Attach(identityOf(t, r, pid), pid)
	require.NoError(t, err)
	second.Close()
}
