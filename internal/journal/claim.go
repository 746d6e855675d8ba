package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ClaimFile is locked by the one reader of a host's directory. It holds the reader's process id.
const ClaimFile = ".reader.lock"

// claim makes this the only reader of the directory, or says who else is. Where files cannot be locked, everyone reads.
func (r *Reader) claim(root *os.Root) error {
	if r.claimed != nil {
		here, err1 := root.Lstat(ClaimFile)
		mine, err2 := r.claimed.Stat()
		if err1 == nil && err2 == nil && os.SameFile(here, mine) {
			return nil
		}
		r.release() // the directory was made anew
	}
	f, err := root.OpenFile(ClaimFile, os.O_RDWR|os.O_CREATE|openFlags, 0o600)
	if err != nil {
		return fmt.Errorf("%s: %w", r.dir, err)
	}
	held, err := locked(f)
	if err == nil && !held {
		err = lock(f)
		held = err != nil && !errors.Is(err, errors.ErrUnsupported)
	}
	if held {
		other, _ := io.ReadAll(io.LimitReader(f, 64))
		f.Close()
		return fmt.Errorf("%s: another collector reads it (process %s); give each collector a journal directory of its own",
			r.dir, strings.TrimSpace(string(other)))
	}
	if err == nil {
		// For people and for the message above; nothing depends on it.
		_ = f.Truncate(0)
		_, _ = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	}
	r.claimed = f
	return nil
}

func (r *Reader) release() {
	if r.claimed != nil {
		r.claimed.Close()
		r.claimed = nil
	}
}
