package taskstore

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/ownfile"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// deadLetters is a file of JSON lines: {"time", "store", "reason", "record"}. When it is full it is renamed to <path>.1,
// over the one before, so that it never takes more than twice its size.
type deadLetters struct {
	path     string
	maxBytes int64

	mu   sync.Mutex
	file *os.File
	size int64
}

// write appends the letters and returns after the disk has them. lost counts the letters that a rotation removed.
func (d *deadLetters) write(name string, letters []store.Letter) (lost int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	var buf []byte
	for _, l := range letters {
		buf = task.AppendJSON(buf, map[string]any{
			"time": now, "store": name, "reason": l.Reason, "record": task.Normalize(l.Record),
		})
		buf = append(buf, '\n')
	}
	if err := d.open(); err != nil {
		return 0, err
	}
	limit := d.maxBytes
	if limit == 0 {
		limit = defaultDeadLetterBytes
	}
	if d.size > 0 && d.size+int64(len(buf)) > limit {
		if lost, err = d.rotate(); err != nil {
			return lost, err
		}
	}
	if _, err := d.file.Write(buf); err != nil {
		return lost, errors.Join(err, d.reset())
	}
	d.size += int64(len(buf))
	return lost, d.file.Sync()
}

func (d *deadLetters) open() error {
	if d.file != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return err
	}
	f, err := ownfile.Open(d.path, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return err
	}
	_, err = ownfile.Tighten(f)
	info, serr := f.Stat()
	if err = errors.Join(err, serr); err != nil {
		return errors.Join(err, f.Close())
	}
	d.file, d.size = f, info.Size()
	return d.endLine()
}

// endLine ends a line that a killed process left half-written, so that it spoils none but itself.
func (d *deadLetters) endLine() error {
	if d.size == 0 {
		return nil
	}
	var last [1]byte
	if _, err := d.file.ReadAt(last[:], d.size-1); err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	n, err := d.file.WriteString("\n")
	d.size += int64(n)
	return err
}

// reset cuts off what a failed write left behind.
func (d *deadLetters) reset() error { return d.file.Truncate(d.size) }

func (d *deadLetters) rotate() (lost int64, err error) {
	if err := d.closeFile(); err != nil {
		return 0, err
	}
	old := d.path + ".1"
	lost, err = countLines(old)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	if err := os.Rename(d.path, old); err != nil {
		return 0, err
	}
	return lost, d.open()
}

func countLines(path string) (n int64, err error) {
	f, err := ownfile.Open(path, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	for {
		m, err := f.Read(buf)
		n += int64(bytes.Count(buf[:m], []byte{'\n'}))
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func (d *deadLetters) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closeFile()
}

func (d *deadLetters) closeFile() error {
	if d.file == nil {
		return nil
	}
	err := d.file.Close()
	d.file = nil
	return err
}
