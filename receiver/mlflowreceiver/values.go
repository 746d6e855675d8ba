package mlflowreceiver

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// whole is a column of whole numbers. Clients put fractions there, too (timestamp=time.time()*1000, step=epoch+0.5): MLflow
// lets them and SQLite keeps what it is given.
type whole struct {
	n    int64
	part float64 // of one, from 0
}

// Scan implements sql.Scanner; NULL is 0.
func (w *whole) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*w = whole{}
	case int64:
		*w = whole{n: v}
	case float64:
		switch floor := math.Floor(v); {
		case floor >= math.MaxInt64:
			*w = whole{n: math.MaxInt64}
		case floor <= math.MinInt64:
			*w = whole{n: math.MinInt64}
		default:
			*w = whole{int64(floor), v - floor}
		}
	default:
		return fmt.Errorf("%T %q is no number", v, v)
	}
	return nil
}

func (w whole) less(o whole) bool { return w.n < o.n || w.n == o.n && w.part < o.part }

func (w whole) value() any {
	if w.part == 0 {
		return w.n
	}
	return float64(w.n) + w.part
}

// paramValue gives a param its type. MLflow stores str(value): a text becomes the number or boolean that it was when, and
// only when, that prints as the same text, so nothing is lost: "1.10" (a version), "007", "1e3", "nan" and "None" stay
// texts.
func paramValue(s string) any {
	switch s {
	case "True":
		return true
	case "False":
		return false
	case "":
		return s
	}
	if c := s[len(s)-1]; c < '0' || c > '9' || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return s
	}
	if !strings.ContainsAny(s, ".e") {
		digits := strings.TrimPrefix(s, "-")
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			if strconv.FormatInt(i, 10) == s {
				return i
			}
			return s
		}
		if len(digits) <= 1000 && strings.Trim(digits, "0123456789") == "" && digits[0] != '0' {
			return map[string]any{"$int": s}
		}
		return s
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && task.JSON(f) == s {
		return f
	}
	return s
}
