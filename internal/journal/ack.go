package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ackVersion is the version of position files.
const ackVersion = 1

// position is the content of "<segment>.ack".
type position struct {
	Version int    `json:"version"`
	Offset  int64  `json:"offset"`          // all before it is accepted
	Final   bool   `json:"final,omitempty"` // the record before it is a final checkpoint
	Header  uint32 `json:"header"`          // CRC-32 of the segment's first record
}

// restore takes the position of an earlier run. A position that cannot be used means reading from the start: the events
// come again, and merging them again changes nothing. One of a newer version is an error: what a newer collector keeps
// there is not ours to write over.
func (s *segment) restore(root *os.Root, p *part) error {
	if s.restored {
		return nil
	}
	data, err := root.ReadFile(s.file + extAck)
	if errors.Is(err, fs.ErrNotExist) {
		s.restored = true
		return nil
	}
	var pos position
	if err == nil {
		// By itself: the other keys of a newer version may be of other types.
		var only struct {
			Version int `json:"version"`
		}
		if json.Unmarshal(data, &only) == nil && only.Version > ackVersion {
			return fmt.Errorf("%w: the position file is of version %d, this collector reads up to %d; the journal stays for a newer one",
				ErrNewerVersion, only.Version, ackVersion)
		}
		err = json.Unmarshal(data, &pos)
	}
	s.restored = true
	switch {
	case err != nil:
	case pos.Version != ackVersion:
		err = fmt.Errorf("version is %d, want %d", pos.Version, ackVersion)
	case pos.Header != s.headerSum:
		err = errors.New("it belongs to another file of this name")
	case pos.Offset < s.pos || pos.Offset > s.size:
		err = fmt.Errorf("offset %d is outside of the %d bytes of the file", pos.Offset, s.size)
	default:
		s.move(pos.Offset, pos.Final)
		return nil
	}
	p.fault(BadPosition, 1, fmt.Errorf("position file: %w; the segment is read from its start again", err))
	return nil
}

// commit moves the position past an accepted part: a new position file, or no segment any more.
func (p *part) commit(root *os.Root) (deleted bool, err error) {
	s := p.seg
	s.accepted, s.acceptedFinal = p.next, p.final
	if p.done {
		// Deleted only as it was read: a writer that appends after its final checkpoint is still heard.
		s.ended = false
		if info, err := root.Lstat(s.file); err == nil && info.Size() == p.next {
			if err := root.Remove(s.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
			if err := root.Remove(s.file + extAck); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return true, err
			}
			return true, nil
		}
	}
	if !p.moved() {
		return false, nil
	}
	data, err := json.Marshal(position{Version: ackVersion, Offset: p.next, Final: p.final, Header: s.headerSum})
	if err != nil {
		return false, err
	}
	temp := s.file + extAck + extTemp
	// A temporary file of a run that was killed is in the way.
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|openFlags, 0o600)
	if err != nil {
		return false, err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	return false, root.Rename(temp, s.file+extAck)
}
