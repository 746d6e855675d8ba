package task

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"sort"
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
//   - invalid UTF-8 becomes U+FFFD
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
		return appendString(dst, v)
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
			dst = appendString(dst, e)
		}
		return append(dst, ']')
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		dst = append(dst, '{')
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, k)
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

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= 0x20 && b != '"' && b != '\\' && b < utf8.RuneSelf {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
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
func DecodeJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("value is not JSON: %w", err)
	}
	if dec.More() {
		return nil, fmt.Errorf("value is followed by more data at byte %d", dec.InputOffset())
	}
	return fromJSON(v, 0)
}

func fromJSON(v any, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("value is nested deeper than %d", MaxDepth)
	}
	switch v := v.(type) {
	case json.Number:
		return numberFromJSON(string(v))
	case []any:
		for i, e := range v {
			x, err := fromJSON(e, depth+1)
			if err != nil {
				return nil, err
			}
			v[i] = x
		}
		return v, nil
	case map[string]any:
		if len(v) == 1 {
			if s, ok := v[keyFloat].(string); ok {
				if f, ok := floatNames[s]; ok {
					return f, nil
				}
			}
			if s, ok := v[keyBytes].(string); ok {
				if b, err := base64.StdEncoding.DecodeString(s); err == nil {
					return b, nil
				}
			}
		}
		for k, e := range v {
			x, err := fromJSON(e, depth+1)
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

// Normalize turns any value that a decoder or a caller hands over into the package's set of values. It never fails:
// what has no place in the set becomes {"$object":{"type":…}}, what is nested too deeply {"$cut":{…}}.
func Normalize(v any) any { return normalize(v, 0) }

func normalize(v any, depth int) any {
	if depth > MaxDepth {
		return map[string]any{KeyCut: map[string]any{"type": fmt.Sprintf("%T", v), "reason": "depth"}}
	}
	switch v := v.(type) {
	case nil, bool, int64, float64:
		return v
	case []byte:
		if v == nil {
			return []byte{}
		}
		return v
	case string:
		if !utf8.ValidString(v) {
			return strings.ToValidUTF8(v, "\uFFFD")
		}
		return v
	case int:
		return int64(v)
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint64:
		return uintValue(v)
	case uint:
		return uintValue(uint64(v))
	case float32:
		return float64(v)
	case json.Number:
		n, err := numberFromJSON(string(v))
		if err != nil {
			return string(v)
		}
		return n
	case *big.Int:
		if v.IsInt64() {
			return v.Int64()
		}
		return map[string]any{keyInt: v.String()}
	case []any:
		for i, e := range v {
			v[i] = normalize(e, depth+1)
		}
		return v
	case []string:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = normalize(e, depth+1)
		}
		return out
	case map[string]any:
		return normalizeMap(v, depth)
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[strings.ToValidUTF8(k, "\uFFFD")] = normalize(e, depth+1)
		}
		return out
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			name, ok := k.(string)
			if !ok {
				name = JSON(normalize(k, depth+1))
			}
			out[strings.ToValidUTF8(name, "\uFFFD")] = normalize(e, depth+1)
		}
		return out
	default:
		return map[string]any{"$object": map[string]any{"type": fmt.Sprintf("%T", v)}}
	}
}

func normalizeMap(m map[string]any, depth int) map[string]any {
	var bad []string
	for k, e := range m {
		if !utf8.ValidString(k) {
			bad = append(bad, k)
			continue
		}
		m[k] = normalize(e, depth+1)
	}
	sort.Strings(bad)
	for _, k := range bad {
		e := m[k]
		delete(m, k)
		m[strings.ToValidUTF8(k, "\uFFFD")] = normalize(e, depth+1)
	}
	return m
}

func uintValue(u uint64) any {
	if u <= math.MaxInt64 {
		return int64(u)
	}
	return map[string]any{keyInt: strconv.FormatUint(u, 10)}
}
