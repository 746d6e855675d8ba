package taskquery

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// number reads a whole number of the URL's query within bounds.
func number(r *http.Request, name string, normal, least, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return normal, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, &query.Error{Field: name, Problem: fmt.Sprintf("%q; want a whole number from %d to %d", text, least, most)}
	}
	return n, nil
}

// instantOf reads a moment of the URL's query, seconds since 1970, as unix nanoseconds; 0 when it is not given.
func instantOf(r *http.Request, name string) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0 && seconds < 9e9) {
		return 0, &query.Error{Field: name, Problem: fmt.Sprintf("%q is no time; want seconds since 1970", text)}
	}
	return int64(seconds * 1e9), nil
}

// and joins filters; nil ones are no conditions.
func and(filters ...query.Filter) query.Filter {
	var parts []query.Filter
	for _, f := range filters {
		if f != nil {
			parts = append(parts, f)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return query.And{Parts: parts}
}
