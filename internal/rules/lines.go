package rules

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
)

// Encoding says how the bytes of a log become text.
type Encoding struct {
	dec  encoding.Encoding // nil: UTF-8
	unit int               // bytes of the smallest character
	nl   []byte
}

// NewEncoding finds an encoding by its IANA name.
func NewEncoding(name string) (Encoding, error) {
	utf8 := Encoding{unit: 1, nl: []byte{'\n'}}
	switch strings.ToLower(strings.ReplaceAll(name, "_", "-")) {
	case "", "utf-8", "utf8", "ascii", "us-ascii":
		return utf8, nil
	case "utf-16", "utf-16le", "utf16", "utf16le":
		return Encoding{dec: unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), unit: 2, nl: []byte{'\n', 0}}, nil
	case "utf-16be", "utf16be":
		return Encoding{dec: unicode.UTF16(unicode.BigEndian, unicode.UseBOM), unit: 2, nl: []byte{0, '\n'}}, nil
	}
	dec, err := ianaindex.IANA.Encoding(name)
	if err != nil || dec == nil {
		return utf8, fmt.Errorf("%q is not known; write an IANA name such as utf-8, iso-8859-1, windows-1252, utf-16le, shift_jis", name)
	}
	return Encoding{dec: dec, unit: 1, nl: []byte{'\n'}}, nil
}

// text decodes; a run of invalid bytes becomes one U+FFFD. It stays so: the text of a run's first line names the run.
func (e Encoding) text(raw []byte, first bool) string {
	var s string
	if e.dec == nil {
		s = strings.ToValidUTF8(string(raw), "\uFFFD")
	} else {
		b, err := e.dec.NewDecoder().Bytes(raw)
		if err != nil {
			b = raw
		}
		s = strings.ToValidUTF8(string(b), "\uFFFD")
	}
	if first {
		s = strings.TrimPrefix(s, "\uFEFF")
	}
	return strings.TrimSuffix(s, "\r")
}

// Line is one line of a log.
type Line struct {
	Offset, End int64 // place in the file; End is behind the line's end
	Text        string
	Cut         int64 // bytes left out of the text because the line was too long
	Torn        bool  // the file ends in it, without a line end
}

// Lines cuts the bytes of a log into lines.
type Lines struct {
	enc  Encoding
	max  int
	off  int64 // place of the present line in the file
	buf  []byte
	pos  int   // of the present line in buf
	cut  int64 // bytes of the present line that were dropped
	scan int   // how far buf is known to hold no more line end
}

// NewLines starts at a place in the file that begins a line. Of a line longer than max bytes the rest is left out, and
// its text says so.
func (s *Set) NewLines(offset int64, maxBytes int) *Lines {
	return &Lines{enc: s.encoding, max: maxBytes, off: offset}
}

// Add appends what follows in the file and returns the lines that are complete.
func (l *Lines) Add(data []byte) []Line {
	l.buf = append(l.buf, data...)
	var out []Line
	for {
		i := l.newline()
		if i < 0 {
			l.buf = append(l.buf[:0], l.buf[l.pos:]...)
			l.scan, l.pos = l.scan-l.pos, 0
			l.shrink()
			return out
		}
		out = append(out, l.take(i, i+len(l.enc.nl), false))
	}
}

// newline finds the next line end, on the boundary of a character.
func (l *Lines) newline() int {
	from := l.scan
	for {
		i := bytes.Index(l.buf[from:], l.enc.nl)
		if i < 0 {
			l.scan = max(l.pos, len(l.buf)-len(l.enc.nl)+1)
			l.scan -= (l.scan - l.pos) % l.enc.unit
			return -1
		}
		if at := from + i; (at-l.pos)%l.enc.unit == 0 {
			return at
		}
		from += i + 1
	}
}

func (l *Lines) take(end, next int, torn bool) Line {
	text := l.buf[l.pos:end]
	line := Line{Offset: l.off, Cut: l.cut, Torn: torn}
	if len(text) > l.max {
		keep := l.max - l.max%l.enc.unit
		line.Cut += int64(len(text) - keep)
		text = text[:keep]
	}
	line.Text = l.enc.text(text, l.off == 0)
	if line.Cut > 0 {
		line.Text += fmt.Sprintf("… [%d bytes cut]", line.Cut)
	}
	l.off += int64(next-l.pos) + l.cut
	line.End = l.off
	l.pos, l.scan, l.cut = next, next, 0
	return line
}

// shrink drops what an overlong line holds beyond the limit.
func (l *Lines) shrink() {
	keep := l.max - l.max%l.enc.unit
	tail := len(l.enc.nl) + l.enc.unit
	if over := len(l.buf) - keep - tail; over > l.max {
		over -= over % l.enc.unit
		l.buf = append(l.buf[:keep], l.buf[keep+over:]...)
		l.cut += int64(over)
		l.scan = max(0, min(l.scan-over, len(l.buf)))
		l.scan -= l.scan % l.enc.unit
	}
}

// Rest is the number of bytes behind the last line end.
func (l *Lines) Rest() int64 { return int64(len(l.buf)-l.pos) + l.cut }

// Last returns what is behind the last line end, when nothing will follow.
func (l *Lines) Last() (Line, bool) {
	if l.Rest() == 0 {
		return Line{}, false
	}
	return l.take(len(l.buf), len(l.buf), true), true
}

// Record is one entry of a log: one line, or several that belong together.
type Record struct {
	Offset, End int64
	Text        string
	Lines       int
	Cut         int64
	Torn        bool
}

// maxRecord bounds the text of a record of several lines.
const maxRecord = 1 << 20

// Grouper joins lines that belong together.
type Grouper struct {
	set     *Set
	pending Record
	open    bool
}

// NewGrouper makes a grouper that starts with a new record.
func (s *Set) NewGrouper() *Grouper { return &Grouper{set: s} }

// Add takes a line and returns the record that is complete by it.
func (g *Grouper) Add(l Line) (Record, bool) {
	if g.open && g.set.continues(l.Text) {
		p := &g.pending
		p.End, p.Lines, p.Torn = l.End, p.Lines+1, l.Torn
		p.Cut += l.Cut
		if len(p.Text)+len(l.Text) < maxRecord {
			p.Text += "\n" + l.Text
		} else {
			p.Cut += int64(len(l.Text))
		}
		return Record{}, false
	}
	next := Record{Offset: l.Offset, End: l.End, Text: l.Text, Lines: 1, Cut: l.Cut, Torn: l.Torn}
	if g.set.singleLine() {
		return next, true
	}
	done, ok := g.Last()
	g.pending, g.open = next, true
	return done, ok
}

// Pending returns the record that may still grow.
func (g *Grouper) Pending() (Record, bool) { return g.pending, g.open }

// Last returns the record that is complete because nothing follows.
func (g *Grouper) Last() (Record, bool) {
	done, ok := g.pending, g.open
	g.open = false
	return done, ok
}

func (s *Set) singleLine() bool { return s.starts == nil && s.line == nil }

// continues says that a line belongs to the record before it.
func (s *Set) continues(text string) bool {
	switch {
	case s.starts != nil:
		return !s.starts.MatchString(text)
	case s.line != nil:
		return !s.line.re.MatchString(text)
	}
	return false
}
