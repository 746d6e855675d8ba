package sqlite

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// The leaves of a task are stored as one flat JSONB object. It is written here, byte by byte, rather than by SQLite's
// jsonb(): that would parse text which we have just made. The format is SQLite's documented one: a header (type in the
// low nibble, size in the high one or in the bytes that follow) and a payload.
//
// json_extract loses the type of what it extracts (true becomes 1, null is like a missing key), so every leaf is stored
// as a number or as a text that starts with a letter for its kind. One extraction then tells the value and its type,
// numbers order as numbers, and texts of one kind as their contents:
//
//	number             itself (±Inf as ±9e999, which SQLite reads as infinite)
//	string             "s" + the string
//	false, true        "b0", "b1"
//	null, NaN          "n", "fNaN"
//	integer > 64 bits  "i" + its digits
//	bytes              "x" + base64
//	any marker or {}   "m" + its canonical JSON
//	list               array of the above; an inner list is an array again
const (
	jsonbInt     = 3
	jsonbFloat   = 5
	jsonbText    = 7
	jsonbTextRaw = 10
	jsonbArray   = 11
	jsonbObject  = 12
)

const (
	kindString = 's'
	kindBool   = 'b'
	kindNull   = 'n'
	kindFloat  = 'f'
	kindBytes  = 'x'
	kindBigInt = 'i'
	kindMarker = 'm'
)

// openContainer writes a header with a size of four bytes, to be filled in by closeContainer.
func openContainer(dst []byte, kind byte) ([]byte, int) {
	dst = append(dst, 0xe0|kind, 0, 0, 0, 0)
	return dst, len(dst)
}

func closeContainer(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at-4:at], uint32(len(dst)-at))
	return dst
}

func appendHeader(dst []byte, kind byte, size int) []byte {
	switch {
	case size <= 11:
		return append(dst, byte(size)<<4|kind)
	case size <= math.MaxUint8:
		return append(dst, 0xc0|kind, byte(size))
	case size <= math.MaxUint16:
		return append(dst, 0xd0|kind, byte(size>>8), byte(size))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xe0|kind), uint32(size))
	}
}

func appendJSONBText(dst []byte, s string) []byte {
	return append(appendHeader(dst, textKind(s), len(s)), s...)
}

// textKind is TEXTRAW for what must be escaped when it becomes JSON text.
func textKind(s string) byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			return jsonbTextRaw
		}
	}
	return jsonbText
}

func appendLeaf(dst []byte, v any) []byte {
	if list, ok := v.([]any); ok {
		dst, at := openContainer(dst, jsonbArray)
		for _, e := range list {
			dst = appendLeaf(dst, e)
		}
		return closeContainer(dst, at)
	}
	if s, ok := v.(string); ok {
		return appendString(dst, task.ValidText(s))
	}
	var scratch [32]byte
	switch e := encodeLeaf(v).(type) {
	case int64:
		text := strconv.AppendInt(scratch[:0], e, 10)
		return append(appendHeader(dst, jsonbInt, len(text)), text...)
	case float64:
		text := appendFloat(scratch[:0], e)
		return append(appendHeader(dst, jsonbFloat, len(text)), text...)
	case string:
		return appendJSONBText(dst, e)
	default:
		return appendJSONBText(dst, string(kindNull))
	}
}

// appendString is appendJSONBText of what encodeLeaf makes of a text.
func appendString(dst []byte, s string) []byte {
	dst = appendHeader(dst, textKind(s), len(s)+1)
	return append(append(dst, kindString), s...)
}

func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "9e999"...)
	case math.IsInf(f, -1):
		return append(dst, "-9e999"...)
	}
	return task.AppendJSON(dst, f)
}

// encodeLeaf is the stored form of a scalar: int64, float64 other than NaN, or string.
func encodeLeaf(v any) any {
	switch v := v.(type) {
	case nil:
		return string(kindNull)
	case bool:
		if v {
			return "b1"
		}
		return "b0"
	case int64:
		return v
	case float64:
		if math.IsNaN(v) {
			return "fNaN"
		}
		return v
	case string:
		return string(kindString) + task.ValidText(v)
	case []byte:
		return string(kindBytes) + base64.StdEncoding.EncodeToString(v)
	case map[string]any:
		if len(v) == 0 {
			return "m{}"
		}
		if digits, ok := v["$int"].(string); ok && len(v) == 1 {
			if _, ok := new(big.Int).SetString(digits, 10); ok {
				return string(kindBigInt) + digits
			}
		}
		return string(kindMarker) + task.JSON(v)
	default:
		n := task.Normalize(v)
		switch n.(type) {
		case nil, bool, int64, float64, string, []byte, map[string]any:
			return encodeLeaf(n)
		}
		return string(kindMarker) + task.JSON(n)
	}
}

// decodeLeaf is the inverse of encodeLeaf for what SQLite returns: int64, float64, text (of a scalar or of an array), nil
// for a missing leaf.
func decodeLeaf(v any) (value any, exists bool) {
	var s string
	switch v := v.(type) {
	case nil:
		return nil, false
	case string:
		s = v
	case []byte:
		s = string(v)
	default:
		return v, true
	}
	if s == "" {
		return nil, true
	}
	switch rest := s[1:]; s[0] {
	case kindString:
		return rest, true
	case kindBool:
		return rest == "1", true
	case kindFloat:
		return math.NaN(), true
	case kindBigInt:
		return map[string]any{"$int": rest}, true
	case kindBytes:
		b, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return rest, true
		}
		return b, true
	case kindMarker:
		m, err := task.DecodeStored([]byte(rest))
		if err != nil {
			return rest, true
		}
		return m, true
	case '[':
		list, err := task.DecodeStored([]byte(s))
		if err != nil {
			return s, true
		}
		return decodeElements(list), true
	default:
		return nil, true
	}
}

func decodeElements(v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = decodeElements(e)
		}
		return v
	default:
		d, _ := decodeLeaf(v)
		return d
	}
}

// leafKey makes a leaf's name fit for a quoted label of a JSON path: %, ", \ and control characters become %XX.
func leafKey(name string) string {
	clean := true
	for i := 0; i < len(name) && clean; i++ {
		c := name[i]
		clean = c >= 0x20 && c != '"' && c != '\\' && c != '%' && c < utf8.RuneSelf
	}
	if clean {
		return name
	}
	name = task.ValidText(name)
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < 0x20 || c == '"' || c == '\\' || c == '%' {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			continue
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// leafName is the inverse of leafKey.
func leafName(key string) string {
	if strings.IndexByte(key, '%') < 0 {
		return key
	}
	if name, err := url.PathUnescape(key); err == nil {
		return name
	}
	return key
}

// leafPath is the JSON path of a leaf.
func leafPath(name string) string { return `$."` + leafKey(name) + `"` }
