package taskquery

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func uiGet(t *testing.T, u *ui, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	u.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(data)
}

func built() *ui {
	long := make([]byte, 5000)
	for i := range long {
		long[i] = 'x'
	}
	return &ui{built: true, small: map[string][]byte{}, files: fstest.MapFS{
		"index.html":         {Data: []byte("<!doctype html>the page")},
		"icon.svg":           {Data: []byte("<svg/>")},
		"assets/index-1a.js": {Data: long},
	}}
}

func TestUIServesViewsAndFiles(t *testing.T) {
	u := built()
	for _, path := range []string{"/ui/", "/ui/tasks", "/ui/task/a%2Fb", "/ui/../etc/passwd"} {
		resp := uiGet(t, u, path)
		if path == "/ui/../etc/passwd" {
			assert.NotContains(t, body(t, resp.Body), "root:", path)
			continue
		}
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
		assert.Equal(t, "<!doctype html>the page", body(t, resp.Body), path)
		assert.Equal(t, uiPolicy(), resp.Header.Get("Content-Security-Policy"), path)
	}
	assert.Equal(t, "image/svg+xml", uiGet(t, u, "/ui/icon.svg").Header.Get("Content-Type"))
	assert.Equal(t, http.StatusNotFound, uiGet(t, u, "/ui/assets/of-another-version.js").StatusCode)
	resp := uiGet(t, u, "/")
	assert.Equal(t, http.StatusFound, resp.StatusCode)
	assert.Equal(t, "/ui/", resp.Header.Get("Location"))
}

func TestUIFilesAreCompressedAndKept(t *testing.T) {
	u := built()
	resp := uiGet(t, u, "/ui/assets/index-1a.js", "Accept-Encoding", "gzip, br")
	assert.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	assert.Contains(t, resp.Header.Get("Cache-Control"), "immutable")
	zip, err := gzip.NewReader(resp.Body)
	require.NoError(t, err)
	assert.Len(t, body(t, zip), 5000)
	resp = uiGet(t, u, "/ui/assets/index-1a.js")
	assert.Empty(t, resp.Header.Get("Content-Encoding"))
	assert.Len(t, body(t, resp.Body), 5000)
}

func TestUIThatWasNotBuiltSaysHow(t *testing.T) {
	resp := uiGet(t, &ui{}, "/ui/tasks")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.Contains(t, body(t, resp.Body), "make build")
	assert.Equal(t, uiPolicy(), resp.Header.Get("Content-Security-Policy"))
}

func TestUIIsOpenAndTheAPIIsNot(t *testing.T) {
	a := start(t)
	get := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, a.url+path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	resp := get("/ui/")
	assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type")) // built or not
	assert.Equal(t, uiPolicy(), resp.Header.Get("Content-Security-Policy"))
	assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	assert.Equal(t, http.StatusUnauthorized, get("/api/v1/campaigns").StatusCode)
	assert.Equal(t, http.StatusUnauthorized, get("/api/v1/stream").StatusCode)
	assert.Equal(t, http.StatusUnauthorized, get("/uix").StatusCode)
	status, answer := a.send("POST", "/ui/", "{}")
	assert.Equal(t, http.StatusMethodNotAllowed, status, "%v", answer)
	a.refused(http.StatusMisdirectedRequest, "GET", "/ui/", "", "Host", "evil.example")
}
