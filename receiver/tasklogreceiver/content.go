package tasklogreceiver

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// fileID is what the file system calls a file.
type fileID struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
}

// markSize is how many bytes at the start of a log, and before the accepted position, say that it is still the same log.
const markSize = 1024

// marks say what the accepted part of a log looks like: its beginning, and what stands right before the position. A log
// that was overwritten, also with an equal beginning, does not have both.
type marks struct {
	Head    string `json:"head,omitempty"`
	HeadLen int64  `json:"head_len,omitempty"`
	Tail    string `json:"tail,omitempty"`
}

func digestAt(r io.ReaderAt, from, n int64) (string, error) {
	buf := make([]byte, n)
	if _, err := r.ReadAt(buf, from); err != nil {
		return "", err
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16]), nil
}

// marksOf makes the marks for the accepted part [0, end).
func marksOf(r io.ReaderAt, end int64) (marks, error) {
	m := marks{HeadLen: min(end, markSize)}
	var err error
	if m.Head, err = digestAt(r, 0, m.HeadLen); err != nil {
		return marks{}, err
	}
	m.Tail, err = digestAt(r, max(0, end-markSize), min(end, markSize))
	return m, err
}

// fit says that a file of that size has the accepted part.
func (m marks) fit(r io.ReaderAt, size, end int64) bool {
	if size < end {
		return false
	}
	if end == 0 {
		return true
	}
	head, err := digestAt(r, 0, m.HeadLen)
	if err != nil || head != m.Head {
		return false
	}
	tail, err := digestAt(r, max(0, end-markSize), min(end, markSize))
	return err == nil && tail == m.Tail
}
