package taskquery

import "net/http"

// document is an answer in a form of its own.
type document struct {
	contentType string
	header      map[string]string
	body        []byte
}

func (d document) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", d.contentType)
	for k, v := range d.header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(d.body) // a client that has gone is no fault
}
