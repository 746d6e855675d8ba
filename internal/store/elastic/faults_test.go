package elastic

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic/elastictest"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// proxy stands before a real server. before may answer a request itself, and after may change what the server answered.
type proxy struct {
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
	after  func(*http.Response)
}

func (p proxy) handler(t *testing.T, kind string) http.Handler {
	target, err := url.Parse(servers.URL(t, kind))
	require.NoError(t, err)
	reverse := httputil.NewSingleHostReverseProxy(target)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	reverse.Transport = transport
	reverse.ModifyResponse = func(r *http.Response) error {
		if p.after != nil {
			p.after(r)
		}
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.before == nil || !p.before(w, r) {
			reverse.ServeHTTP(w, r)
		}
	})
}

func (p proxy) start(t *testing.T, kind string) Options {
	srv := httptest.NewServer(p.handler(t, kind))
	t.Cleanup(srv.Close)
	return Options{Endpoints: []string{srv.URL}, IndexPrefix: freshPrefix(t, kind)}
}

func freshPrefix(t *testing.T, kind string) string {
	o := Options{Endpoints: []string{servers.URL(t, kind)}, IndexPrefix: newPrefix()}
	t.Cleanup(func() { deleteIndices(t, o) })
	return o.IndexPrefix
}

func onEachKind(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range elastictest.Kinds {
		t.Run(kind, func(t *testing.T) { f(t, kind) })
	}
}

func isBulk(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_bulk") }

func TestTheClusterMayComeLater(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		var up atomic.Bool
		o := proxy{before: func(w http.ResponseWriter, _ *http.Request) bool {
			if !up.Load() {
				http.Error(w, "starting", http.StatusServiceUnavailable)
			}
			return !up.Load()
		}}.start(t, kind)
		s := openStore(t, o)
		_, err := s.Write(t.Context(), []*task.Event{event("x")})
		require.ErrorContains(t, err, "503")
		_, err = s.Campaigns(t.Context())
		require.ErrorContains(t, err, "503")
		up.Store(true)
		write(t, s, event("x"))
		require.Equal(t, []string{"x"}, found(t, s, `{}`))
	})
}

// How requests are cut follows the processors of the cluster, whose number it may keep to itself.
func TestTheClusterSaysHowManyProcessorsItHas(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		var silent atomic.Bool
		o := proxy{before: func(w http.ResponseWriter, r *http.Request) bool {
			refuse := silent.Load() && strings.HasPrefix(r.URL.Path, "/_nodes/")
			if refuse {
				http.Error(w, `{"error":{"type":"security_exception"}}`, http.StatusForbidden)
			}
			return refuse
		}}.start(t, kind)
		s := openStore(t, o)
		write(t, s, event("x"))
		require.Positive(t, s.pace.processors)
		silent.Store(true)
		o.IndexPrefix = freshPrefix(t, kind)
		s = openStore(t, o)
		write(t, s, event("x"))
		require.Zero(t, s.pace.processors)
	})
}

func TestNobodyListens(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	s := openStore(t, Options{Endpoints: []string{srv.URL}})
	_, err := s.Write(t.Context(), []*task.Event{event("x")})
	require.ErrorContains(t, err, "open indices mida-*")
}

// A server that hangs holds up neither its callers nor the end longer than they said.
func TestAServerThatHangs(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		var hang atomic.Bool
		release := make(chan struct{})
		entered := make(chan struct{}, 100)
		o := proxy{before: func(_ http.ResponseWriter, r *http.Request) bool {
			if !hang.Load() {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			entered <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return true
		}}.start(t, kind)
		defer close(release)
		s := openStore(t, o)
		write(t, s, event("x"))
		hang.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := s.Write(ctx, []*task.Event{event("y")})
			done <- err
		}()
		<-entered
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		// Nor is the end held up, by writers, readers and those who wait for the indices.
		reading := make(chan error)
		go func() {
			_, err := s.Campaigns(context.Background())
			reading <- err
		}()
		<-entered
		ended, end := context.WithCancel(t.Context())
		end()
		require.NoError(t, s.Close(ended))
		require.ErrorIs(t, <-reading, context.Canceled)
	})
}

// The server executed the request, and the answer was lost.
func TestALostAnswerIsNoSecondTask(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		var lose atomic.Bool
		o := proxy{after: func(r *http.Response) {
			if isBulk(r.Request) && lose.CompareAndSwap(true, false) {
				r.Body.Close()
				r.StatusCode, r.Body, r.ContentLength = http.StatusGatewayTimeout, http.NoBody, 0
				r.Header.Del("Content-Length")
			}
		}}.start(t, kind)
		s := openStore(t, o)
		e := event("x", func(e *task.Event) {
			e.Claims = []task.Claim{{Role: task.Used, Entity: "e", Evidence: "id", Confidence: 1}}
		})
		for range 2 {
			lose.Store(true)
			write(t, s, e)
		}
		lose.Store(true)
		write(t, s, event("x", func(e *task.Event) { e.Facet, e.Generated = "other", map[string]any{"b": int64(2)} }))
		require.Equal(t, []string{"x"}, found(t, s, `{"used.a": 1, "generated.b": 2}`))
		list, err := s.ClaimsOf(t.Context(), []string{e.ID()})
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
}

func TestABusyServerIsAskedAgain(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		var refuse atomic.Int64
		o := proxy{before: func(w http.ResponseWriter, r *http.Request) bool {
			if isBulk(r) && refuse.Add(-1) >= 0 {
				http.Error(w, `{"error": {"type": "es_rejected_execution_exception", "reason": "queue full"}, "status": 429}`, http.StatusTooManyRequests)
				return true
			}
			return false
		}}.start(t, kind)
		o.BulkBytes = 2_000 // several requests
		s := openStore(t, o)
		var events []*task.Event
		for i := range 50 {
			events = append(events, event(fmt.Sprintf("%02d", i)))
		}
		refuse.Store(10)
		write(t, s, events...)
		require.Len(t, found(t, s, `{}`), 50)
		require.Positive(t, s.Counters().Retries)
		refuse.Store(1 << 40)
		_, err := s.Write(t.Context(), []*task.Event{event("more")})
		require.ErrorContains(t, err, "queue full")
		refuse.Store(0)
		write(t, s, event("more"))
		require.Len(t, found(t, s, `{}`), 51)
	})
}

func TestRequestsThatAreTooLargeForAProxyAreHalved(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		o := proxy{before: func(w http.ResponseWriter, r *http.Request) bool {
			if isBulk(r) && r.ContentLength > 8_000 {
				http.Error(w, "too large", http.StatusRequestEntityTooLarge)
				return true
			}
			return false
		}}.start(t, kind)
		s := openStore(t, o)
		var events []*task.Event
		for i := range 50 {
			events = append(events, event(fmt.Sprintf("%02d", i)))
		}
		big := event("big", func(e *task.Event) { e.Used = map[string]any{"text": strings.Repeat("x", 20_000)} })
		rejected, err := s.Write(t.Context(), append(events, big))
		require.NoError(t, err)
		require.Len(t, rejected, 1)
		require.Same(t, big, rejected[0].Event)
		require.Len(t, found(t, s, `{}`), 50)
	})
}

func TestLogin(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		logged := func(want string) (Options, *x509.CertPool) {
			srv := httptest.NewTLSServer(proxy{before: func(w http.ResponseWriter, r *http.Request) bool {
				if got := r.Header.Get("Authorization"); !strings.EqualFold(got, want) {
					http.Error(w, "who are you?", http.StatusUnauthorized)
					return true
				}
				r.Header.Del("Authorization")
				return false
			}}.handler(t, kind))
			t.Cleanup(srv.Close)
			pool := x509.NewCertPool()
			pool.AddCert(srv.Certificate())
			return Options{Endpoints: []string{srv.URL}, IndexPrefix: freshPrefix(t, kind), RequestTimeout: time.Minute}, pool
		}
		o, pool := logged("Basic YWRhOnNlY3JldA==")
		o.Username, o.Password = "ada", "secret"
		_, err := openStore(t, o).Write(t.Context(), []*task.Event{event("x")})
		require.ErrorContains(t, err, "certificate")
		o.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		write(t, openStore(t, o), event("x"))
		o.Password = "wrong"
		_, err = openStore(t, o).Write(t.Context(), []*task.Event{event("x")})
		require.ErrorContains(t, err, "401: who are you?")

		o, pool = logged("APIKey a2V5")
		o.APIKey, o.TLS = "a2V5", &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		write(t, openStore(t, o), event("x"))
	})
}

// One node that is down is passed over, by writes and queries.
func TestSeveralEndpoints(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		dead := httptest.NewServer(http.NotFoundHandler())
		dead.Close()
		s := openStore(t, Options{Endpoints: []string{dead.URL, servers.URL(t, kind)}, IndexPrefix: freshPrefix(t, kind)})
		for i := range 5 {
			write(t, s, event(fmt.Sprint(i)))
			require.Len(t, found(t, s, `{}`), i+1)
		}
	})
}

// hanging starts a proxy that answers nothing while hang is set, nor what it has begun. What it got, the server may have.
func hanging(t *testing.T, kind string, hang *atomic.Bool) Options {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	block := func(r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server sees its client go only behind the body
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	srv := httptest.NewServer(proxy{
		before: func(_ http.ResponseWriter, r *http.Request) bool {
			if hang.Load() && !isBulk(r) {
				block(r)
				return true
			}
			return false
		},
		after: func(r *http.Response) {
			if hang.Load() {
				block(r.Request)
			}
		},
	}.handler(t, kind))
	t.Cleanup(srv.Close)
	return Options{Endpoints: []string{srv.URL, servers.URL(t, kind)}, IndexPrefix: freshPrefix(t, kind)}
}

// One node that hangs is passed over, and a request that it has executed without an answer is none that is executed twice.
func TestOneNodeHangs(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		var hang atomic.Bool
		s := openStore(t, hanging(t, kind, &hang))
		s.client.nodes.patience = 3 * time.Second
		write(t, s, event("before"))
		hang.Store(true)
		want := []string{"before"}
		for i := range 6 {
			key := fmt.Sprint(i)
			want = append(want, key)
			write(t, s, event(key), event("again", func(e *task.Event) {
				e.Facet, e.Generated = key, map[string]any{"v" + key: int64(i)}
				e.Claims = []task.Claim{{Role: task.Used, Entity: "e", Evidence: "id", Confidence: 1}}
			}))
			require.Len(t, found(t, s, `{}`), i+3)
		}
		require.ElementsMatch(t, append(want, "again"), found(t, s, `{}`))
		require.Equal(t, []string{"again"}, found(t, s, `{"generated.v0": 0, "generated.v3": 3, "generated.v5": 5}`))
		list, err := s.ClaimsOf(t.Context(), []string{event("again").ID()})
		require.NoError(t, err)
		require.Len(t, list, 1)
		hang.Store(false)
		write(t, s, event("after"))
		require.Len(t, found(t, s, `{}`), 9)
	})
}

// A node that works for long on a request, and says that it is there, is waited for.
func TestANodeThatIsSlow(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		var bulks, asked atomic.Int64
		release := make(chan struct{})
		node := proxy{before: func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case isBulk(r):
				if bulks.Add(1) == 1 {
					<-release
				}
			case r.Method == http.MethodHead:
				if asked.Add(1) == 2 {
					close(release)
				}
				w.WriteHeader(http.StatusOK)
				return true
			}
			return false
		}}
		o := node.start(t, kind)
		o.Endpoints = append(o.Endpoints, o.Endpoints[0])
		s := openStore(t, o)
		s.client.nodes.patience = 2 * time.Second
		_, err := s.Write(t.Context(), []*task.Event{event("x")})
		require.NoError(t, err)
		require.EqualValues(t, 1, bulks.Load())
	})
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{}, "endpoints: empty"},
		{Options{Endpoints: []string{"localhost:9200"}}, `endpoints[0]: "localhost:9200"; want an address`},
		{Options{Endpoints: []string{"http://a:secret@x:9200"}}, `endpoints[0]: "http://a:xxxxx@x:9200" holds a user name`},
		{Options{Endpoints: []string{"http://x"}, IndexPrefix: "Mida"}, `index_prefix: "Mida"`},
		{Options{Endpoints: []string{"http://x"}, Username: "ada"}, "username: given without password"},
		{Options{Endpoints: []string{"http://x"}, Username: "ada", Password: "p", APIKey: "k"}, "api_key: given together"},
		{Options{Endpoints: []string{"http://x"}, BulkBytes: -1}, "bulk_bytes: -1; want 0"},
		{Options{Endpoints: []string{"http://x"}, BatchEvents: 2_000_000}, "batch_events: 2000000; want 0 (the default) to 1000000"},
		{Options{Endpoints: []string{"http://x"}, RequestTimeout: -1}, "request_timeout: -1ns"},
	} {
		_, err := Open(tc.o)
		require.ErrorContains(t, err, tc.want)
	}
}
