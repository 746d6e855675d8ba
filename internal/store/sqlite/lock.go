package sqlite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/ownfile"
)

// errLocked says that another process holds the lock; errNoLocks that the file system has none.
var (
	errLocked  = errors.New("locked")
	errNoLocks = errors.New("the file system has no locks")
)

// owner is what the lock file says about who holds it.
type owner struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

// lockFile keeps a second collector away from a database. The operating system's lock decides and ends with its process,
// so that the file of a killed collector blocks nobody; its content only tells who it is.
type lockFile struct {
	file *os.File
	path string
}

func acquireLock(path string) (*lockFile, error) {
	f, err := ownfile.Open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	host, _ := os.Hostname()
	switch err := lockExclusive(f); {
	case err == nil:
	case errors.Is(err, errLocked):
		o := readOwner(f)
		f.Close()
		return nil, fmt.Errorf("%s is in use by %s; stop that collector, or give this one another path", path, o)
	case errors.Is(err, errNoLocks):
		o := readOwner(f)
		if o.PID != 0 && (o.Host != host || processAlive(o.PID)) && o.PID != os.Getpid() {
			f.Close()
			return nil, fmt.Errorf("%s says that %s uses this database, and its file system has no locks to prove it; "+
				"if that collector has ended, remove the file", path, o)
		}
	default:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	l := &lockFile{file: f, path: path}
	if err := l.write(owner{PID: os.Getpid(), Host: host, Started: time.Now().UTC()}); err != nil {
		l.release()
		return nil, fmt.Errorf("lock file: %w", err)
	}
	return l, nil
}

func (o owner) String() string {
	if o.PID == 0 {
		return "another collector"
	}
	return fmt.Sprintf("the collector with pid %d on host %s (since %s)", o.PID, o.Host, o.Started.Format(time.RFC3339))
}

func readOwner(f *os.File) owner {
	var o owner
	data, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f, 0, 1<<16), 1<<16))
	if err != nil || json.Unmarshal(data, &o) != nil {
		return owner{}
	}
	return o
}

func (l *lockFile) write(o owner) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(append(data, '\n'), 0)
	return err
}

// release empties the file and gives the lock up. The file stays: to remove it would let two others lock two files.
func (l *lockFile) release() {
	if err := l.file.Truncate(0); err != nil {
		l.file.Close()
		return
	}
	l.file.Close()
}
