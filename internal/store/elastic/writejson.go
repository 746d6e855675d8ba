package elastic

import (
	"slices"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// objectWriter writes a JSON object.
type objectWriter struct{ buf []byte }

// written returns what write made of an object.
func written(write func(*objectWriter)) []byte {
	return task.Scratched(func(buf []byte) []byte {
		w := &objectWriter{buf}
		write(w)
		w.close()
		return w.buf
	})
}

func (w *objectWriter) comma() {
	switch {
	case len(w.buf) == 0:
		w.buf = append(w.buf, '{')
	case w.buf[len(w.buf)-1] != '{':
		w.buf = append(w.buf, ',')
	}
}

func (w *objectWriter) key(name string) {
	w.comma()
	w.buf = append(appendText(w.buf, name), ':')
}

func (w *objectWriter) value(name string, v any) {
	w.key(name)
	w.buf = task.AppendJSON(w.buf, v)
}

func (w *objectWriter) text(name, v string) {
	w.key(name)
	w.buf = appendText(w.buf, v)
}

func (w *objectWriter) integer(name string, v int64) {
	w.key(name)
	w.buf = strconv.AppendInt(w.buf, v, 10)
}

func (w *objectWriter) open(name string) {
	w.key(name)
	w.buf = append(w.buf, '{')
}

func (w *objectWriter) close() { w.buf = append(w.buf, '}') }

// names writes a list of names, each once and none longer than an index takes; an empty list not at all.
func (w *objectWriter) names(field string, names []string) {
	if len(names) == 0 {
		return
	}
	w.key(field)
	w.buf = append(w.buf, '[')
	var seen map[string]bool
	if !slices.IsSorted(names) {
		seen = make(map[string]bool, len(names))
	}
	last, first := "", true
	for _, n := range names {
		n = term(n)
		if seen[n] || !first && n == last {
			continue
		}
		if !first {
			w.buf = append(w.buf, ',')
		}
		if seen != nil {
			seen[n] = true
		}
		w.buf = appendText(w.buf, n)
		last, first = n, false
	}
	w.buf = append(w.buf, ']')
}

// appendText writes a JSON string. Most have nothing to escape.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return task.AppendJSON(dst, s)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
