package correlation

import (
	"crypto/sha256"
	"math"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// class says what a value is good for.
type class uint8

const (
	isNumber class = iota // numbers, and false and true as 0 and 1
	isText                // a category
	isNull
	isNotFinite
	isOther // lists, maps, bytes, what was cut
)

// value is a value of a field, as far as it correlates.
type value struct {
	class   class
	boolean bool
	number  float64
	text    string
}

func valueOf(f query.Field, v any) value {
	switch v := v.(type) {
	case nil:
		return value{class: isNull}
	case bool:
		if v {
			return value{boolean: true, number: 1}
		}
		return value{boolean: true}
	case int64:
		if f.Type == query.Time { // seconds, as the API shows times
			return value{number: float64(v/1e9) + float64(v%1e9)/1e9}
		}
		return value{number: float64(v)}
	case float64:
		return finite(v)
	case string:
		return value{class: isText, text: v}
	case map[string]any:
		if digits, ok := v["$int"].(string); ok && len(v) == 1 {
			n, _ := strconv.ParseFloat(digits, 64) // infinite where it is beyond a float's range
			return finite(n)
		}
	}
	return value{class: isOther}
}

func finite(v float64) value {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return value{class: isNotFinite}
	}
	return value{number: v}
}

// longText is the length from which a category is known by its digest: texts may be large, and there may be many.
const longText = 128

func categoryKey(text string) string {
	if len(text) <= longText {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return string(sum[:])
}
