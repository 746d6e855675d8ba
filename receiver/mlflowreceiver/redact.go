package mlflowreceiver

import "github.com/otelcol-mida/otelcol-mida/internal/capture"

// redactor replaces secrets in the values of one run and counts them.
type redactor struct {
	names []string // globs of the configuration
	count int
}

// value is v unless its name or its text say that it is a secret.
func (r *redactor) value(name string, v any) any {
	if anyMatch(r.names, name) {
		r.count++
		return map[string]any{capture.KeyRedacted: true}
	}
	v, n := capture.Value(name, v)
	r.count += n
	return capText(v)
}

func (r *redactor) text(s string) string {
	s, n := capture.Text(s)
	r.count += n
	return s
}

// redactText takes secrets out of a text.
func redactText(s string) string {
	s, _ = capture.Text(s)
	return s
}
