package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// locked says whether some process, this one included, holds a write lock on the file. An OFD query sees the POSIX
// locks of every process, and asking cannot release one of ours.
func locked(f *os.File) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lk); err != nil {
		return false, err
	}
	return lk.Type != unix.F_UNLCK, nil
}

// lock takes the writer's lock on the open file. It lives as long as this open file, whatever else the process opens.
func lock(f *os.File) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk)
}
