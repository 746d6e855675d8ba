//go:build !unix

package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ModesMatter says whether file modes keep other users out; elsewhere the directory's access list does.
const ModesMatter = false

// CheckOwner relies on the access list of the directory where files have no owner id.
func CheckOwner(string, fs.FileInfo) error { return nil }

func ofRoot(fs.FileInfo) bool { return false }

func openNoFollow(path string, flag int) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%s is a symbolic link, which is not followed; remove it, or name the file itself", path)
	}
	return os.OpenFile(path, flag, 0o600)
}
