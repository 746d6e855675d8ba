package task

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The canonical value encoding is JSON with these rules, the same in every language and store
// (testdata/encoding_golden.json):
//
//   - integers have no "." or "e"; floats always have one, in the shortest form that reads back equal, as Python's repr
//   - NaN and ±Inf: {"$float":"NaN"}, {"$float":"Infinity"}, {"$float":"-Infinity"}
//   - integers outside int64: {"$int":"…"}; bytes: {"$bytes":"<base64>"}
//   - what an observer cut or only described: {"$cut":{…}}, {"$array":{…}}, {"$object":{…}}, {"$ref":{…}}, {"$redacted":true}
//   - a user's own map whose only key starts with "$" is escaped by the observer: {"$map":{…}}
//   - map keys sorted by code point; no white space; strings escape only ", \ and control characters
//   - each invalid byte of UTF-8 becomes U+FFFD
const (
	keyFloat = "$float"
	keyInt   = "$int"
	keyBytes = "$bytes"
	// KeyCut marks a value that an observer shortened.
	KeyCut = "$cut"
	// KeyRef marks an argument that is another task's result and was not small enough to copy.
	KeyRef = "$ref"
	// KeyMap escapes a user's map whose only key starts with "$".
	KeyMap = "$map"
)

// MaxDepth bounds the nesting of values that are read from outside.
const MaxDepth = 128

// What we store wraps a value (attempt, facet, event, field) and adds the marks of what was cut. So values are cut a
// little earlier than readers refuse, and our own data is read with a little more room: what was accepted once can
// always be read again.
const (
	valueDepth  = MaxDepth - 16
	storedDepth = MaxDepth + 16
)

// AppendJSON appends the canonical encoding of v. Values outside the package's set are written as their %T in a
// {"$object":…}, so that encoding never fails.
func AppendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case float64:
		return appendFloat(dst, v)
	case string:
		return AppendText(dst, v)
	case []byte:
		dst = append(dst, `{"$bytes":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, v)
		return append(dst, `"}`...)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, e)
		}
		return append(dst, ']')
	case []string:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendText(dst, e)
		}
		return append(dst, ']')
	case map[string]any:
		var few [24]string // spares most maps a slice of their own
		keys := few[:0]
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		dst = append(dst, '{')
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendText(dst, k)
			dst = append(dst, ':')
			dst = AppendJSON(dst, v[k])
		}
		return append(dst, '}')
	default:
		return AppendJSON(dst, Normalize(v))
	}
}

// JSON is AppendJSON into a new string.
func JSON(v any) string { return string(AppendJSON(nil, v)) }

func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `{"$float":"NaN"}`...)
	case math.IsInf(f, 1):
		return append(dst, `{"$float":"Infinity"}`...)
	case math.IsInf(f, -1):
		return append(dst, `{"$float":"-Infinity"}`...)
	}
	// Python's repr: fixed notation for exponents from -4 to 15.
	if a := math.Abs(f); a == 0 || (a >= 1e-4 && a < 1e16) {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		if bytes.IndexByte(dst[start:], '.') < 0 {
			dst = append(dst, ".0"...)
		}
		return dst
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
}

const hexDigits = "0123456789abcdef"

// AppendText writes a JSON string. What is not UTF-8 in it becomes U+FFFD.
func AppendText[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= 0x20 && b != '"' && b != '\\' && b < utf8.RuneSelf {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				i++
				start = i
				continue
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// DecodeJSON reads one value in the canonical encoding, and any other JSON.
func DecodeJSON(data []byte) (any, error) { return decodeJSON(data, MaxDepth) }

// DecodeStored reads what this program wrote itself, which may be nested a little deeper than what comes from outside.
func DecodeStored(data []byte) (any, error) { return decodeJSON(data, storedDepth) }

func decodeJSON(data []byte, depth int) (any, error) {
	if v, ok := readCanonical(string(data), depth); ok {
		return v, nil
	}
	return decodeGeneral(data, depth)
}

func decodeGeneral(data []byte, depth int) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("value is not JSON: %w", err)
	}
	if dec.More() {
		return nil, fmt.Errorf("value is followed by more data at byte %d", dec.InputOffset())
	}
	v, err := fromJSON(v, depth)
	if errors.Is(err, errTooDeep) {
		return nil, fmt.Errorf("value is nested deeper than %d", depth)
	}
	return v, err
}

var errTooDeep = errors.New("value is nested too deeply")

// fromJSON turns what encoding/json made into the package's set of values; depth is how much deeper it may go.
func fromJSON(v any, depth int) (any, error) {
	if depth < 0 {
		return nil, errTooDeep
	}
	switch v := v.(type) {
	case json.Number:
		return numberFromJSON(string(v))
	case []any:
		for i, e := range v {
			x, err := fromJSON(e, depth-1)
			if err != nil {
				return nil, err
			}
			v[i] = x
		}
		return v, nil
	case map[string]any:
		if x, ok := fromMarker(v); ok {
			return x, nil
		}
		for k, e := range v {
			x, err := fromJSON(e, depth-1)
			if err != nil {
				return nil, err
			}
			v[k] = x
		}
		return v, nil
	default:
		return v, nil
	}
}

// fromMarker is the value that a marker stands for, where it has one of its own in the package's set.
func fromMarker(m map[string]any) (any, bool) {
	if len(m) != 1 {
		return nil, false
	}
	if s, ok := m[keyFloat].(string); ok {
		if f, ok := floatNames[s]; ok {
			return f, true
		}
	}
	if s, ok := m[keyBytes].(string); ok {
		// Text that encodes otherwise (a line break, bits to spare) is a user's map, and stays as it is.
		if b, err := base64.StdEncoding.DecodeString(s); err == nil && base64.StdEncoding.EncodeToString(b) == s {
			return b, true
		}
	}
	return nil, false
}

var floatNames = map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}

func numberFromJSON(s string) (any, error) {
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return i, nil
		}
		return map[string]any{keyInt: s}, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && math.IsInf(f, 0) {
		return f, nil // beyond the range of a float64
	}
	return f, err
}
