package mlflowreceiver

import (
	"io/fs"
	"syscall"
)

// mayRead asks whether a file may be read, without opening it.
func mayRead(path string) error {
	const readable = 4
	if err := syscall.Faccessat(-0x64, path, readable, 0); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}
