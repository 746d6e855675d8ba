package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// outcome of looking for the next record.
type outcome uint8

const (
	found   outcome = iota // a whole record
	waiting                // the file ends, or ends inside a record that its writer may still finish
	torn                   // the file ends inside a record that nobody will finish
	corrupt                // bytes that are no record were passed over
)

// step is one move through a segment. The position after it is next.
type step struct {
	outcome outcome
	payload []byte // valid until the next step
	next    int64
}

// window reads a file of a known size through one buffer.
type window struct {
	r    io.ReaderAt
	size int64
	at   int64
	buf  []byte
}

const readAhead = 256 << 10

// bytes returns n bytes at off, fewer only at the end of the file. They are valid until the next call.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-off))
	if n <= 0 {
		return nil, nil
	}
	if off < w.at || off+int64(n) > w.at+int64(len(w.buf)) {
		want := int(min(int64(max(n, readAhead)), w.size-off))
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		w.at, w.buf = off, w.buf[:want]
		got, err := w.r.ReadAt(w.buf, off)
		w.buf = w.buf[:got]
		if got < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the file became shorter
			}
			return nil, err
		}
	}
	i := int(off - w.at)
	return w.buf[i : i+n], nil
}

// scanner walks the records of one segment.
type scanner interface {
	// next looks at off. ended says that the file will not grow any more.
	next(off int64, ended bool) (step, error)
}

// binaryScanner reads length, checksum, payload.
type binaryScanner struct{ w *window }

// frame reads the head of a record. ok is false when no record can have this length.
func (s binaryScanner) frame(off int64) (length int64, sum uint32, ok bool, err error) {
	head, err := s.w.bytes(off, frameSize)
	if err != nil || len(head) < frameSize {
		return 0, 0, false, err
	}
	length = int64(binary.LittleEndian.Uint32(head))
	return length, binary.LittleEndian.Uint32(head[4:]), length > 0 && length <= MaxRecord, nil
}

func (s binaryScanner) next(off int64, ended bool) (step, error) {
	rest := s.w.size - off
	if rest < frameSize {
		return s.tail(off, ended)
	}
	length, sum, ok, err := s.frame(off)
	if err != nil {
		return step{}, err
	}
	after := off + frameSize + length
	switch {
	case !ok:
		return s.resume(off, ended)
	case after > s.w.size:
		if !ended {
			return step{outcome: waiting, next: off}, nil
		}
		return s.resume(off, ended)
	}
	payload, err := s.w.bytes(off+frameSize, int(length))
	if err != nil {
		return step{}, err
	}
	if crc32.ChecksumIEEE(payload) == sum {
		return step{outcome: found, payload: payload, next: after}, nil
	}
	if after == s.w.size {
		if !ended {
			return step{outcome: waiting, next: off}, nil // the page may not be whole yet
		}
		return s.resume(off, ended)
	}
	if good, err := s.valid(after); err != nil || good {
		return step{outcome: corrupt, next: after}, err
	}
	return s.resume(off, ended) // the length is wrong too, as after a write that stopped half-way
}

// tail ends a walk with too few bytes for a record.
func (s binaryScanner) tail(off int64, ended bool) (step, error) {
	if off == s.w.size || !ended {
		return step{outcome: waiting, next: off}, nil
	}
	return step{outcome: torn, next: s.w.size}, nil
}

// valid says whether a whole record with the right checksum stands at off.
func (s binaryScanner) valid(off int64) (bool, error) {
	length, sum, ok, err := s.frame(off)
	if err != nil || !ok || off+frameSize+length > s.w.size {
		return false, err
	}
	payload, err := s.w.bytes(off+frameSize, int(length))
	return err == nil && crc32.ChecksumIEEE(payload) == sum, err
}

// maxSearch bounds the bytes that one search for the next record puts through the checksum.
const maxSearch = 1 << 30

// resume looks for the next good record behind a damaged one at off, byte by byte: a writer whose write stopped
// half-way (disk full) may have gone on. Without one it waits for the writer, or gives up the rest of the file.
func (s binaryScanner) resume(off int64, ended bool) (step, error) {
	const chunk = 1 << 20
	candidates := binaryScanner{&window{r: s.w.r, size: s.w.size}}
	budget := int64(maxSearch)
	for at := off + 1; at+frameSize < s.w.size && budget > 0; {
		b, err := s.w.bytes(at, chunk)
		if err != nil {
			return step{}, err
		}
		i := 0
		for ; i+frameSize < len(b) && budget > 0; i++ {
			length := int64(binary.LittleEndian.Uint32(b[i:]))
			if length == 0 || length > MaxRecord || at+int64(i)+frameSize+length > s.w.size || !startsMessage(b[i+frameSize]) {
				continue
			}
			budget -= length
			good, err := candidates.valid(at + int64(i))
			if err != nil {
				return step{}, err
			}
			if good {
				return step{outcome: corrupt, next: at + int64(i)}, nil
			}
		}
		if i == 0 {
			break
		}
		at += int64(i)
	}
	if !ended {
		return step{outcome: waiting, next: off}, nil
	}
	return step{outcome: torn, next: s.w.size}, nil
}

// startsMessage says whether a payload may begin with this byte: a map or an array of msgpack.
func startsMessage(b byte) bool {
	return b >= 0x80 && b <= 0x9f || b >= 0xdc && b <= 0xdf
}

// textScanner reads lines.
type textScanner struct{ w *window }

func (s textScanner) next(off int64, ended bool) (step, error) {
	rest := s.w.size - off
	if rest == 0 {
		return step{outcome: waiting, next: off}, nil
	}
	for n := 64 << 10; ; n *= 4 {
		line, err := s.w.bytes(off, min(n, MaxRecord+1))
		if err != nil {
			return step{}, err
		}
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			return step{outcome: found, payload: line[:i], next: off + int64(i) + 1}, nil
		}
		switch {
		case len(line) > MaxRecord: // longer than any record: pass over it, piece by piece
			return step{outcome: corrupt, next: off + int64(len(line))}, nil
		case int64(len(line)) == rest && ended:
			return step{outcome: torn, next: s.w.size}, nil
		case int64(len(line)) == rest:
			return step{outcome: waiting, next: off}, nil
		}
	}
}
