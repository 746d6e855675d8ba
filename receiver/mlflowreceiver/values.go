package mlflowreceiver

import (
	"strconv"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

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
