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

// markSize is how many bytes at the start of a log, and at the end of what was read of it, say that it is the same log.
const markSize = 1024

// marks say what the part of a log that was read looks like: its beginning, and its end. A log that was overwritten, also
// with an equal beginning, does not have both.
type marks struct {
	End     int64  `json:"end,omitempty"`
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

// marksOf makes the marks for the part [0, end).
func marksOf(r io.ReaderAt, end int64) (marks, error) {
	m := marks{End: end, HeadLen: min(end, markSize)}
	var err error
	if m.Head, err = digestAt(r, 0, m.HeadLen); err != nil {
		return marks{}, err
	}
	m.Tail, err = digestAt(r, max(0, end-markSize), min(end, markSize))
	return m, err
}

// fit says that a file of that size has that part.
func (m marks) fit(r io.ReaderAt, size int64) bool {
	if size < m.End {
		return false
	}
	if m.End == 0 {
		return true
	}
	head, err := digestAt(r, 0, m.HeadLen)
	if err != nil || head != m.Head {
		return false
	}
	tail, err := digestAt(r, max(0, m.End-markSize), min(m.End, markSize))
	return err == nil && tail == m.Tail
}
