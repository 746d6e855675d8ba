//go:build unix

package tasklogreceiver

import (
	"os"
	"strconv"
	"syscall"
)

// keepOpen says that an open log can be renamed and removed.
const keepOpen = true

// idOf tells files apart on this machine, whatever they are called. On some systems the fields have other sizes.
func idOf(_ string, fi os.FileInfo) fileID {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return fileID{Dev: uint64(st.Dev), Ino: uint64(st.Ino)} //nolint:unconvert // the sizes differ between systems
	}
	return fileID{}
}

// deleted says that no name leads to an open file any more.
func deleted(f *os.File) bool {
	fi, err := f.Stat()
	if err != nil {
		return true
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// uidOf says whose a file is.
func uidOf(fi os.FileInfo) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return strconv.FormatUint(uint64(st.Uid), 10)
}
