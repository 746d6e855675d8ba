package journal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// quietAfter is how long a segment of a writer that cannot lock must not grow to count as finished.
const quietAfter = 10 * time.Minute

// checkInterval is how often a segment that does not grow is asked whether its writer lives, and a refused one is tried
// again.
const checkInterval = time.Second

// segment is a file on its way through the reader.
type segment struct {
	segmentName
	header    *Header
	keys      keys
	headerSum uint32 // tells this file from another one of the same name
	pos       int64
	final     bool // the record before pos is a final checkpoint
	ended     bool // all was read and its writer will not return; it goes once that was accepted
	// accepted and acceptedFinal are pos and final of what the pipeline accepted; they move only in commit.
	accepted      int64
	acceptedFinal bool
	restored      bool // the position of an earlier run was looked for
	size          int64
	grew          time.Time // when size last changed, in this process's clock
	quiet         bool      // nothing can be new before it grows or its writer ends
	nextCheck     time.Time // when to look again although it did not grow
	aside         bool      // refused, or finished but not removable: the observer's next segment is read meanwhile
}

// part is what one round read from one segment.
type part struct {
	seg     *segment
	later   bool // its observer has a newer segment
	events  []*task.Event
	from    int64
	next    int64
	wasLast bool // the record before from is a final checkpoint
	final   bool
	done    bool  // everything is read and its writer will not return
	more    bool  // its share ended before it did
	over    int64 // bytes that were read beyond its share; negative: that were missing, for the segment has no more
	records int64
	counts  map[Fault]int64
	faults  []error // one line each, for the log
}

// moved says whether the part is anything.
func (p *part) moved() bool { return p.next != p.from || p.final != p.wasLast }

func (p *part) fault(f Fault, n int64, err error) {
	if p.counts == nil {
		p.counts = map[Fault]int64{}
	}
	p.counts[f] += n
	if len(p.faults) < 10 {
		p.faults = append(p.faults, err)
	}
}

// open opens the file after it was checked, and checks that it is the same one.
func openSegment(root *os.Root, name string, foreign bool) (*os.File, fs.FileInfo, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("not a regular file (%s); symbolic links are not followed", before.Mode().Type())
	}
	if !foreign {
		if err := checkOwner(before); err != nil {
			return nil, nil, err
		}
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(before, info) {
		err = errors.New("replaced while it was opened")
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// alive says whether the writer may still append.
func (s *segment) alive(f *os.File, now time.Time) bool {
	held, err := locked(f)
	if held {
		return true
	}
	if s.header != nil && s.header.Lock && err == nil {
		return false
	}
	// It does not lock, this platform cannot ask, or the header is not there yet.
	return now.Sub(s.grew) < quietAfter
}

// read reads up to budget bytes, at least one record. later says that the observer has a newer segment.
func (s *segment) read(root *os.Root, later, foreign bool, budget int64, now time.Time) (*part, error) {
	f, info, err := openSegment(root, s.file, foreign)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s.grow(info.Size(), now)
	// Asked before the size is read: what a writer appended before it died is then within the size.
	alive := s.alive(f, now)
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	ended := later || !alive
	s.nextCheck = now.Add(checkInterval)
	s.grow(info.Size(), now)
	p := &part{seg: s, later: later}
	if s.pos > s.size {
		p.fault(BadPosition, 1, fmt.Errorf("became shorter than what was read of it: %d bytes, %d read; it is read from its start again", s.size, s.pos))
		s.move(0, false)
		s.header = nil
	}
	p.begin()
	w := &window{r: f, size: s.size}
	scan := scanner(binaryScanner{w})
	if s.text {
		scan = textScanner{w}
	}
	if err := s.start(root, scan, w, p, ended); err != nil {
		return nil, err
	}
	if s.header == nil {
		p.done = ended // nothing but a torn beginning
		if ended {
			p.next = s.size
			if s.size > 0 {
				p.fault(Torn, 1, errors.New("the file ends inside its header"))
			}
		}
		s.quiet = !ended
		p.end()
		return p, nil
	}
	if err := s.records(scan, p, ended, budget); err != nil {
		return nil, err
	}
	p.over = p.next - p.from - budget
	if p.next == s.size {
		p.done = ended || p.final
		s.quiet = !p.done
	}
	p.end()
	return p, nil
}

// begin makes the part one that begins where the segment was read to.
func (p *part) begin() {
	s := p.seg
	p.from, p.next, p.wasLast, p.final = s.pos, s.pos, s.final, s.final
}

// end makes the next part begin where this one ends.
func (p *part) end() {
	s := p.seg
	s.pos, s.final, s.ended = p.next, p.final, p.done
}

// move sets the position of a segment of which nothing is on its way.
func (s *segment) move(pos int64, final bool) {
	s.pos, s.final, s.accepted, s.acceptedFinal = pos, final, pos, final
}

// grow notes the size of the file.
func (s *segment) grow(size int64, now time.Time) {
	if size != s.size || s.grew.IsZero() {
		s.size, s.grew, s.quiet = size, now, false
	}
}

// start reads the header, once, and the position of an earlier run.
func (s *segment) start(root *os.Root, scan scanner, w *window, p *part, ended bool) error {
	if s.header != nil {
		return nil
	}
	var begin int64
	if !s.text {
		begin = int64(len(magic))
		head, err := w.bytes(0, len(magic))
		if err != nil {
			return err
		}
		if !bytes.HasPrefix([]byte(magic), head) {
			return fmt.Errorf("does not begin with %q: no journal", magic)
		}
		if len(head) < len(magic) {
			return nil
		}
	}
	st, err := scan.next(begin, ended)
	if err != nil {
		return err
	}
	switch st.outcome {
	case corrupt:
		if !s.text {
			return errors.New("the header is damaged; without it the records cannot be understood")
		}
	case waiting, torn:
		return nil
	}
	header, err := s.parseHeader(st.payload)
	if err != nil {
		return err
	}
	s.headerSum = crc32.ChecksumIEEE(st.payload)
	after := st.next
	if header == nil { // text without one
		header, after = &Header{}, 0
	}
	if header.Observer == "" {
		header.Observer = s.observer
	}
	s.move(max(s.pos, after), s.final)
	if err := s.restore(root, p); err != nil {
		return err
	}
	s.header = header
	p.begin()
	return nil
}

// parseHeader returns nil without an error for a text file that begins with an event.
func (s *segment) parseHeader(payload []byte) (*Header, error) {
	v, err := s.decode(payload)
	m, ok := v.(map[string]any)
	if s.text && (err != nil || !ok || !isHeader(m)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("the first record is a %T, want the header map", v)
	}
	return headerFromWire(m)
}

func (s *segment) decode(payload []byte) (any, error) {
	if s.text {
		return task.DecodeJSON(payload)
	}
	if s.keys == nil {
		s.keys = keys{}
	}
	return decodeMsgpack(payload, s.keys)
}

// records reads events until the file or the budget ends.
func (s *segment) records(scan scanner, p *part, ended bool, budget int64) error {
	limit := p.next + budget
	for p.next < limit {
		st, err := scan.next(p.next, ended)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("became shorter while it was read: %w", err)
			}
			return err
		}
		switch st.outcome {
		case waiting:
			s.quiet = true
			return nil
		case torn:
			p.fault(Torn, 1, fmt.Errorf("its writer ended inside a record: %d bytes at byte %d are lost", st.next-p.next, p.next))
		case corrupt:
			p.fault(Corrupt, 1, fmt.Errorf("%d bytes at byte %d are no record; reading goes on behind them", st.next-p.next, p.next))
		case found:
			s.events(st.payload, p)
		}
		p.next = st.next
	}
	p.more = p.next < s.size
	return nil
}

// events decodes one record. A bad event stops none of the others.
func (s *segment) events(payload []byte, p *part) {
	if s.text && len(bytes.TrimSpace(payload)) == 0 {
		return
	}
	p.records++
	p.final = false
	before := len(p.events)
	if err := s.each(payload, func(v any) { s.event(v, p) }); err != nil {
		p.events, p.final = p.events[:before], false // of a damaged record nothing is trusted
		p.fault(Corrupt, 1, fmt.Errorf("record at byte %d: %w", p.next, err))
	}
}

// each visits the events of a record.
func (s *segment) each(payload []byte, visit func(v any)) error {
	if !s.text {
		if s.keys == nil {
			s.keys = keys{}
		}
		return eachMsgpack(payload, s.keys, visit)
	}
	v, err := s.decode(payload)
	if err != nil {
		return err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, v := range list {
		visit(v)
	}
	return nil
}

func (s *segment) event(v any, p *part) {
	m, ok := v.(map[string]any)
	if !ok {
		p.fault(Invalid, 1, fmt.Errorf("record at byte %d: an event is a %T, want a map", p.next, v))
		return
	}
	if s.text && isHeader(m) {
		return // a file that two runs of a script wrote
	}
	e, err := s.header.event(m)
	if err != nil {
		p.fault(Invalid, 1, fmt.Errorf("record at byte %d: %w", p.next, err))
		return
	}
	p.events = append(p.events, e)
	p.final = isFinal(e)
}

// event makes an event of a decoded map and the header's defaults. What the events of a journal have in common they share:
// nobody changes the maps of an event.
func (h *Header) event(m map[string]any) (*task.Event, error) {
	for _, k := range []string{"attributes", "resource"} {
		own, ok1 := m[k].(map[string]any)
		shared, ok2 := h.Defaults[k].(map[string]any)
		if !ok1 || !ok2 {
			continue
		}
		for name, value := range shared {
			if _, ok := own[name]; !ok {
				own[name] = value
			}
		}
	}
	e, err := task.FromDecoded(m, h.Defaults)
	if err != nil {
		return nil, err
	}
	if e.ObserverID == "" {
		e.ObserverID = h.Observer
	}
	return e, nil
}

func isFinal(e *task.Event) bool {
	if !isCheckpoint(e) {
		return false
	}
	record, _ := e.Record.(map[string]any)
	final, _ := record["final"].(bool)
	return final
}
