//go:build unix && !linux

package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// locked says whether another process holds a write lock on the file.
func locked(f *os.File) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lk); err != nil {
		return false, err
	}
	return lk.Type != unix.F_UNLCK, nil
}

// lock takes the writer's lock. The process loses it when it closes any other descriptor of the file.
func lock(f *os.File) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lk)
}
