package taskquery

import (
	"fmt"
	"net/http"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// clock writes times, unix nanoseconds inside, as clients want them.
type clock bool

const (
	asSeconds clock = false // seconds since 1970, a float
	asISO     clock = true  // RFC 3339 in UTC
)

func (c clock) show(ns int64) any {
	if c == asISO {
		return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
	}
	return float64(ns/1e9) + float64(ns%1e9)/1e9
}

// timeForm reads ?time=.
func timeForm(r *http.Request) (clock, error) {
	switch v := r.URL.Query().Get("time"); v {
	case "", "seconds":
		return asSeconds, nil
	case "iso":
		return asISO, nil
	default:
		return asSeconds, &query.Error{
			Field: "time", Problem: fmt.Sprintf("%q is no form of times", v), Valid: []string{"seconds", "iso"},
		}
	}
}

// instant puts a time into an answer; 0 is unknown and left out.
func (c clock) instant(m map[string]any, key string, ns int64) {
	if ns != 0 {
		m[key] = c.show(ns)
	}
}

// row shows a row of an answer: the columns that are times.
func (c clock) row(row map[string]any, times []string) map[string]any {
	out := make(map[string]any, len(row))
	for k, v := range row {
		out[k] = v
	}
	for _, k := range times {
		if ns, ok := out[k].(int64); ok {
			out[k] = c.show(ns)
		}
	}
	return out
}

// timeColumns are the columns of a query's rows that are times.
func timeColumns(q *query.Query) []string {
	var out []string
	for _, f := range q.Projection {
		if f.Type == query.Time {
			out = append(out, f.Name)
		}
	}
	for _, a := range q.Aggregation {
		if a.Field.Type == query.Time && a.Op != query.Count {
			out = append(out, a.Column())
		}
	}
	return out
}

// document shows a whole task document: times, elapsed, and the environment's record in place of its digest,
// which stands there until the record has arrived.
func (c clock) document(doc map[string]any, environments map[string]map[string]any) map[string]any {
	out := c.row(doc, []string{"submitted_at", "started_at", "ended_at"})
	if seconds, ok := query.Elapsed(doc); ok {
		out["elapsed"] = seconds
	}
	if digest, ok := doc["environment"].(string); ok {
		out["environment"] = map[string]any{"digest": digest}
		if record, known := environments[digest]; known {
			out["environment"] = record
		}
	}
	if attempts, ok := doc["attempts"].([]any); ok {
		list := make([]any, len(attempts))
		for i, a := range attempts {
			list[i] = a
			if m, ok := a.(map[string]any); ok {
				list[i] = c.row(m, []string{"started_at", "ended_at"})
			}
		}
		out["attempts"] = list
	}
	return out
}
