//go:build unix

package taskquery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// modesMatter says whether file modes keep other users out.
const modesMatter = true

func checkOwner(path string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user id %d, this collector runs as %d; want a directory of its own user", path, st.Uid, os.Geteuid())
	}
	return nil
}

func openNoFollow(path string) (*os.File, error) {
	// O_NONBLOCK so that a pipe of this name cannot hold the start.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) {
		return nil, fmt.Errorf("%s is a symbolic link, which is not followed; remove it", path)
	}
	return f, err
}
