package journal

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	// Version is the newest format that this package reads, and the one it writes.
	Version = 1
	// MaxRecord is the largest payload of a record.
	MaxRecord = 64 << 20
	// DefaultSegmentSize is where a writer starts its next segment.
	DefaultSegmentSize = 8 << 20

	magic      = "MIDAJRN1"
	formatName = "mida.journal"
	frameSize  = 8 // length and checksum before a payload

	extBinary = ".mj"
	extText   = ".jsonl"
	extAck    = ".ack"
	extTemp   = ".tmp"
)

// ErrNewerVersion is the error of a segment that a newer writer wrote; the reader leaves it where it is.
var ErrNewerVersion = errors.New("newer journal version")

// Header is the first record of a segment.
type Header struct {
	Observer string
	Host     string
	PID      int64
	BootID   string
	Created  int64 // unix ns
	Lock     bool  // the writer holds a lock while it may still append
	Segment  int64
	Writer   string
	Defaults map[string]any // an event: its keys hold for every record that lacks them
}

func (h *Header) wire() map[string]any {
	m := map[string]any{"format": formatName, "version": int64(Version), "observer": h.Observer, "segment": h.Segment}
	for k, v := range map[string]string{"host": h.Host, "boot_id": h.BootID, "writer": h.Writer} {
		if v != "" {
			m[k] = v
		}
	}
	if h.PID != 0 {
		m["pid"] = h.PID
	}
	if h.Created != 0 {
		m["created"] = h.Created
	}
	if h.Lock {
		m["lock"] = true
	}
	if h.Defaults != nil {
		m["defaults"] = h.Defaults
	}
	return m
}

// isHeader says whether a decoded map is a header rather than an event.
func isHeader(m map[string]any) bool { return m["format"] == formatName }

func headerFromWire(m map[string]any) (*Header, error) {
	if !isHeader(m) {
		return nil, fmt.Errorf("the first record is no header: format is %v, want %q", m["format"], formatName)
	}
	version, ok := m["version"].(int64)
	switch {
	case !ok || version < 1:
		return nil, fmt.Errorf("header: version is %v, want %d", m["version"], Version)
	case version > Version:
		return nil, fmt.Errorf("%w: %d, this collector reads up to %d; the file stays for a newer one",
			ErrNewerVersion, version, Version)
	}
	h := &Header{}
	for key, dst := range map[string]*string{"observer": &h.Observer, "host": &h.Host, "boot_id": &h.BootID, "writer": &h.Writer} {
		*dst, _ = m[key].(string)
	}
	for key, dst := range map[string]*int64{"pid": &h.PID, "created": &h.Created, "segment": &h.Segment} {
		*dst, _ = m[key].(int64)
	}
	h.Lock, _ = m["lock"].(bool)
	if d, ok := m["defaults"]; ok && d != nil {
		if h.Defaults, ok = d.(map[string]any); !ok {
			return nil, fmt.Errorf("header: defaults is a %T, want a map", d)
		}
	}
	h.addHost()
	return h, nil
}

// addHost makes the host a default of the events' resources.
func (h *Header) addHost() {
	if h.Host == "" {
		return
	}
	if h.Defaults == nil {
		h.Defaults = map[string]any{}
	}
	resource, ok := h.Defaults["resource"].(map[string]any)
	if !ok {
		if h.Defaults["resource"] != nil {
			return // each event will say what is wrong with it
		}
		resource = map[string]any{}
		h.Defaults["resource"] = resource
	}
	if _, ok := resource["host.name"]; !ok {
		resource["host.name"] = h.Host
	}
}

var observerName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// segmentName is a parsed file name.
type segmentName struct {
	file     string
	observer string
	n        int64
	text     bool
}

// parseSegmentName reads "<observer>-<n>.mj" or ".jsonl". The second result is false for files that are no segments.
func parseSegmentName(file string) (segmentName, bool) {
	s := segmentName{file: file}
	stem, ok := strings.CutSuffix(file, extBinary)
	if !ok {
		if stem, ok = strings.CutSuffix(file, extText); !ok {
			return s, false
		}
		s.text = true
	}
	i := strings.LastIndexByte(stem, '-')
	if i <= 0 {
		return s, false
	}
	n, err := strconv.ParseInt(stem[i+1:], 10, 64)
	if err != nil || n < 1 || !observerName.MatchString(stem[:i]) {
		return s, false
	}
	s.observer, s.n = stem[:i], n
	return s, true
}

func isSegmentFile(file string) bool {
	return strings.HasSuffix(file, extBinary) || strings.HasSuffix(file, extText)
}
