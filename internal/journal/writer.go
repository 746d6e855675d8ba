package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// ErrFull is the error of a write that would pass the size limit. The caller counts the events in the dropped ranges of
// its checkpoints.
var ErrFull = errors.New("journal is full")

// WriterOptions describe a Writer.
type WriterOptions struct {
	Directory string
	// Host replaces the name of this host.
	Host string
	// Observer is unique to one process: letters, digits, "_", "." and "-".
	Observer string
	Program  string // name and version, for the header
	Defaults map[string]any
	// Text writes .jsonl instead of .mj.
	Text bool
	// NoLock leaves the lock out, as a writer that cannot lock.
	NoLock bool
	// SegmentSize is where the next segment begins; zero is DefaultSegmentSize.
	SegmentSize int64
	// Limit is the size of the host's directory at which Write answers ErrFull; zero is none.
	Limit int64
}

// Writer appends events to the segments of one observer. It is not safe for concurrent use.
type Writer struct {
	opt     WriterOptions
	dir     string
	f       *os.File
	size    int64
	n       int64
	created int64
}

// NewWriter makes the directories. The first write makes the first segment.
func NewWriter(opt WriterOptions) (*Writer, error) {
	if !observerName.MatchString(opt.Observer) {
		return nil, fmt.Errorf("journal: observer %q: want letters, digits, _, . and -", opt.Observer)
	}
	if opt.Host == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
		opt.Host = host
	}
	if opt.SegmentSize == 0 {
		opt.SegmentSize = DefaultSegmentSize
	}
	w := &Writer{opt: opt, dir: filepath.Join(opt.Directory, HostDirectory(opt.Host)), created: time.Now().UnixNano()}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return w, nil
}

// Write appends events in the form of docs/journal.md: one record, or one line each.
func (w *Writer) Write(events ...map[string]any) error {
	if len(events) == 0 {
		return nil
	}
	var data []byte
	for _, e := range events {
		if w.opt.Text {
			data = append(task.AppendJSON(data, e), '\n')
		}
	}
	if !w.opt.Text {
		var v any = events
		if len(events) == 1 {
			v = events[0]
		}
		var err error
		if data, err = record(v); err != nil {
			return err
		}
	}
	if err := w.room(len(data)); err != nil {
		return err
	}
	if w.f == nil || w.size >= w.opt.SegmentSize {
		if err := w.next(); err != nil {
			return err
		}
	}
	return w.append(data)
}

// Close ends the current segment. A final checkpoint is the caller's to write before.
func (w *Writer) Close() error {
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	return err
}

// Path is the segment that is being written.
func (w *Writer) Path() string {
	ext := extBinary
	if w.opt.Text {
		ext = extText
	}
	return filepath.Join(w.dir, fmt.Sprintf("%s-%d%s", w.opt.Observer, w.n, ext))
}

func (w *Writer) room(n int) error {
	if w.opt.Limit == 0 {
		return nil
	}
	total := int64(n)
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		total += info.Size()
	}
	if total > w.opt.Limit {
		return fmt.Errorf("%w: %s would hold %d bytes of at most %d", ErrFull, w.dir, total, w.opt.Limit)
	}
	return nil
}

// next begins the next segment; where that fails, neither it nor the one before is written to again.
func (w *Writer) next() error {
	w.n++
	f, err := os.OpenFile(w.Path(), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		w.n--
		return fmt.Errorf("journal: %w", err)
	}
	// A reader that saw the new segment takes the older one for ended, whatever becomes of the new one.
	err = w.Close()
	w.f, w.size = f, 0
	if err = errors.Join(err, w.header()); err != nil {
		// Without a header nobody could read what follows.
		return errors.Join(err, w.Close(), os.Remove(w.Path()))
	}
	return nil
}

func (w *Writer) header() error {
	h := Header{
		Observer: w.opt.Observer, Host: w.opt.Host, PID: int64(os.Getpid()), Created: w.created, Segment: w.n,
		Writer: w.opt.Program, Defaults: w.opt.Defaults,
	}
	if !w.opt.NoLock {
		h.Lock = lock(w.f) == nil
	}
	data := append(task.AppendJSON(nil, h.wire()), '\n')
	if !w.opt.Text {
		var err error
		if data, err = record(h.wire()); err != nil {
			return err
		}
		data = append([]byte(magic), data...)
	}
	return w.append(data)
}

// append writes all of data, or leaves the segment as it was.
func (w *Writer) append(data []byte) error {
	n, err := w.f.Write(data)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, w.f.Truncate(w.size))
		}
		return fmt.Errorf("journal: %w", err)
	}
	w.size += int64(n)
	return nil
}

// record frames one payload.
func record(v any) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, frameSize))
	enc := msgpack.NewEncoder(&b)
	enc.SetSortMapKeys(true)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("journal: event cannot be encoded: %w", err)
	}
	data := b.Bytes()
	payload := data[frameSize:]
	if len(payload) > MaxRecord {
		return nil, fmt.Errorf("journal: a record of %d bytes is larger than %d", len(payload), MaxRecord)
	}
	binary.LittleEndian.PutUint32(data, uint32(len(payload)))
	binary.LittleEndian.PutUint32(data[4:], crc32.ChecksumIEEE(payload))
	return data, nil
}
