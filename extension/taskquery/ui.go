package taskquery

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/report"
)

// uiPath is where the web UI lies. Below it everything that is no file is a view of the UI, which reads the address.
const uiPath = "/ui/"

// uiPolicy lets a page run and load nothing but what this server gives, whatever the data holds. A report that it shows
// within itself inherits the policy, so that the report's style sheet is named.
var uiPolicy = sync.OnceValue(func() string {
	return "default-src 'self'; style-src 'self' " + report.StyleHash() + "; img-src 'self' data: blob:; object-src 'none'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
})

// notBuilt is the page of a collector that was compiled without the UI.
const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>otelcol-mida: no web UI</title></head>
<body><h1>This collector was built without the web UI</h1>
<p>The query API works: <code>mida status</code> asks it. To have the UI, install Node.js 20.19 or newer and build again:</p>
<pre>make build</pre>
<p>It runs <code>make ui</code> first, which builds the directory <code>web</code>; the binary then carries it.</p>
</body></html>
`

// ui serves the embedded files of the web UI. They hold no data and are open to everybody, as /healthz is: the page asks
// the API, which lets in who may ask.
type ui struct {
	files fs.FS
	built bool
	mu    sync.Mutex
	small map[string][]byte // compressed files by name
}

func isUI(r *http.Request) bool {
	return r.URL.Path == "/" || r.URL.Path == strings.TrimSuffix(uiPath, "/") || strings.HasPrefix(r.URL.Path, uiPath)
}

func (u *ui) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", uiPolicy())
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		writeError(w, &apiError{
			status: http.StatusMethodNotAllowed, Valid: []string{http.MethodGet, http.MethodHead},
			Message: r.Method + " is not possible on " + r.URL.Path + "; valid: GET, HEAD",
		})
		return
	}
	if !strings.HasPrefix(r.URL.Path, uiPath) {
		http.Redirect(w, r, uiPath, http.StatusFound) // the browser keeps the fragment
		return
	}
	if !u.built {
		h.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(notBuilt))
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), uiPath)
	data, err := fs.ReadFile(u.files, name)
	if err != nil {
		if strings.HasPrefix(name, "assets/") { // of another version
			writeError(w, &apiError{status: http.StatusNotFound, Message: "there is no " + r.URL.Path})
			return
		}
		name = "index.html"
		if data, err = fs.ReadFile(u.files, name); err != nil {
			writeError(w, &apiError{status: http.StatusInternalServerError, Message: err.Error()})
			return
		}
	}
	u.send(w, r, name, data)
}

func (u *ui) send(w http.ResponseWriter, r *http.Request, name string, data []byte) {
	h := w.Header()
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	if strings.HasPrefix(name, "assets/") { // their names hold a digest
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Add("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && len(data) > 1024 {
		data = u.compressed(name, data)
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(data) // a client that has gone is no fault
	}
}

func (u *ui) compressed(name string, data []byte) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	if small, ok := u.small[name]; ok {
		return small
	}
	var out bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = zip.Write(data) // a buffer takes everything
	_ = zip.Close()
	u.small[name] = out.Bytes()
	return u.small[name]
}
