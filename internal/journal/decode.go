package journal

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Decoded is what a segment holds.
type Decoded struct {
	Events []*task.Event
	Counts map[Fault]int64
	Faults []error // one line each, the first of them
}

// Decode reads a segment that is finished, from memory. Its file name says the format, and the observer where the header
// does not. An error says that it is no segment; single records that are damaged are faults.
func Decode(file string, data []byte) (*Decoded, error) {
	name, ok := parseSegmentName(file)
	if !ok {
		return nil, fmt.Errorf("%q is no name of a segment; want <observer>-<n>.mj or .jsonl, n from 1", file)
	}
	s := &segment{segmentName: name, size: int64(len(data)), restored: true}
	p := &part{seg: s}
	w := &window{r: bytes.NewReader(data), size: s.size}
	scan := scanner(binaryScanner{w})
	if s.text {
		scan = textScanner{w}
	}
	if err := s.start(nil, scan, w, p, true); err != nil {
		return nil, err
	}
	if s.header == nil {
		return nil, errors.New("the segment ends inside its header")
	}
	if err := s.records(scan, p, true, s.size+1); err != nil {
		return nil, err
	}
	return &Decoded{Events: p.events, Counts: p.counts, Faults: p.faults}, nil
}
