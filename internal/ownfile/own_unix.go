//go:build unix

package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ModesMatter says whether file modes keep other users out.
const ModesMatter = true

// CheckOwner refuses what belongs to another user.
func CheckOwner(path string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		what := "a file"
		if info.IsDir() {
			what = "a directory"
		}
		return fmt.Errorf("%s belongs to user id %d, this collector runs as %d; want %s of its own user", path, st.Uid, os.Geteuid(), what)
	}
	return nil
}

func ofRoot(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}

func openNoFollow(path string, flag int) (*os.File, error) {
	// O_NONBLOCK so that a pipe of this name cannot hold the start.
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) {
		return nil, fmt.Errorf("%s is a symbolic link, which is not followed; remove it, or name the file itself", path)
	}
	return f, err
}
