//go:build unix

package upcmd

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/otelcol-mida/otelcol-mida/internal/ownfile"
)

// whileLocked ends this process, as a signal would, once no process holds a shared lock on the file. The kernel takes
// the locks of processes that were killed, so no collector is left behind; and it keeps this one until it has ended, so
// that whoever comes meanwhile waits, and starts another.
func whileLocked(path string) error {
	f, err := ownfile.Open(path, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("--while-locked: %w", err)
	}
	go func() {
		for {
			err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "otelcol-mida up: --while-locked: %s cannot be locked, so this ends now: %v\n", path, err)
			}
			_ = unix.Kill(os.Getpid(), unix.SIGTERM)
			return
		}
	}()
	return nil
}
