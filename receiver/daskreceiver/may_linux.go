package daskreceiver

import (
	"io/fs"
	"syscall"
)

// mayWrite asks whether files may be made in a directory.
func mayWrite(dir string) error {
	const writable = 2
	if err := syscall.Access(dir, writable); err != nil {
		return &fs.PathError{Op: "write", Path: dir, Err: err}
	}
	return nil
}
