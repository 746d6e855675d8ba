// Package ownfile opens files and directories that must be this user's own. No symbolic link is followed to a file, and
// what belongs to somebody else is refused: on a machine that many share, a name in a known place may have been made by
// another user to have us write over something, or to read along.
package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Open opens a regular file of this user. With os.O_CREATE it is made, for this user alone, if missing.
func Open(path string, flag int) (*os.File, error) {
	f, err := openNoFollow(path, flag)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is a %s; want a file", path, Kind(info))
	}
	if err == nil {
		err = CheckOwner(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Tighten takes a file's permissions from everybody but its owner. It returns those that it had, 0 if nothing had to change.
func Tighten(f *os.File) (had fs.FileMode, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if mode := info.Mode().Perm(); ModesMatter && mode&0o077 != 0 {
		return mode, f.Chmod(mode &^ 0o077)
	}
	return 0, nil
}

// Directory makes a directory, for this user alone, if it is missing, and returns its path without symbolic links. One
// that is there must be this user's, or root's and not writable for all.
func Directory(path string) (string, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return "", err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if owned := CheckOwner(abs, info); owned != nil && (!ofRoot(info) || info.Mode().Perm()&0o002 != 0) {
		return "", owned
	}
	return abs, nil
}

// Kind says in words what a path leads to.
func Kind(info fs.FileInfo) string {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "symbolic link"
	case info.Mode().IsRegular():
		return "file"
	case info.IsDir():
		return "directory"
	default:
		return "special file"
	}
}
