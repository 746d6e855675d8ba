package task

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"sort"
	"strconv"
	"unicode/utf8"
)

// Normalize turns any value that a decoder or a caller hands over into the package's set of values. It never fails:
// what has no place in the set becomes {"$object":{"type":…}}, what is nested too deeply {"$cut":{…}}.
func Normalize(v any) any { return normalize(v, 0) }

func normalize(v any, depth int) any {
	if depth > valueDepth && nested(v) {
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
		return ValidText(v)
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
		if !nested(v) {
			depth = 0
		}
		return normalizeMap(v, depth)
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[ValidText(k)] = normalize(e, depth+1)
		}
		return out
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			name, ok := k.(string)
			if !ok {
				name = JSON(normalize(k, depth+1))
			}
			out[ValidText(name)] = normalize(e, depth+1)
		}
		return out
	default:
		return map[string]any{"$object": map[string]any{"type": fmt.Sprintf("%T", v)}}
	}
}

// nested says whether a value holds others, flat markers such as {"$int":…} and {"$cut":{…}} apart: normalising makes
// those itself, and to normalise again must change nothing.
func nested(v any) bool {
	switch v := v.(type) {
	case []any, []string, map[string]string, map[any]any:
		return true
	case map[string]any:
		if !IsMarker(v) {
			return true
		}
		for _, inner := range v {
			if m, ok := inner.(map[string]any); ok {
				return !flat(m)
			}
			return nested(inner)
		}
	}
	return false
}

func flat(m map[string]any) bool {
	for _, v := range m {
		if _, ok := v.(map[string]any); ok || nested(v) {
			return false
		}
	}
	return true
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
		m[ValidText(k)] = normalize(e, depth+1)
	}
	return m
}

func uintValue(u uint64) any {
	if u <= math.MaxInt64 {
		return int64(u)
	}
	return map[string]any{keyInt: strconv.FormatUint(u, 10)}
}
