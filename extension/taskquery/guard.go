package taskquery

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/extension/taskquery/internal/metadata"
)

// authentication returns who lets requests in: the configured extension, or the token. The hint tells where the token
// lies; it is empty with an extension.
func (s *server) authentication(ctx context.Context, state *stateDirectory) (auth extensionauth.Server, hint string, err error) {
	if s.config.Auth.HasValue() {
		c := s.config.Auth.Get()
		auth, err = c.GetServerAuthenticator(ctx, s.host.GetExtensions())
		if err != nil {
			return nil, "", fmt.Errorf("auth: %w", err)
		}
		return withParameters(auth, c.RequestParameters), "", nil
	}
	token, err := state.token()
	if err != nil {
		return nil, "", fmt.Errorf("state_directory: %w", err)
	}
	hint = "send the token in " + state.file(tokenFile) + " as `Authorization: Bearer <token>`; the Python client finds it by itself"
	return bearerToken(token), hint, nil
}

type requestKey struct{}

// withParameters also hands the named URL parameters to the authenticator.
func withParameters(next extensionauth.Server, names []string) extensionauth.Server {
	if len(names) == 0 {
		return next
	}
	return extensionauth.ServerAuthenticateFunc(func(ctx context.Context, sources map[string][]string) (context.Context, error) {
		if info, ok := ctx.Value(requestKey{}).(*requestInfo); ok {
			sources = map[string][]string(http.Header(sources).Clone())
			for _, name := range names {
				if v, ok := info.parameters[name]; ok {
					sources[name] = v
				}
			}
		}
		return next.Authenticate(ctx, sources)
	})
}

var errToken = errors.New("the token is missing or wrong")

// bearerToken accepts one token. Digests are compared, so that the time tells nothing of token or length.
func bearerToken(token string) extensionauth.Server {
	want := sha256.Sum256([]byte(token))
	return extensionauth.ServerAuthenticateFunc(func(ctx context.Context, sources map[string][]string) (context.Context, error) {
		scheme, given, _ := strings.Cut(http.Header(sources).Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(given)))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
			return ctx, errToken
		}
		return ctx, nil
	})
}

// guard stands before every route: who may ask, and how it went.
type guard struct {
	next      http.Handler
	ui        http.Handler
	auth      extensionauth.Server
	hint      string
	loopback  bool
	allowed   []string
	origins   *http.CrossOriginProtection // nil when cors lets any origin in
	telemetry *metadata.TelemetryBuilder
	log       *zap.Logger
}

// requestInfo is what is known of a request at its end.
type requestInfo struct {
	route      string
	status     int
	parameters map[string][]string
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	info := &requestInfo{route: "other", status: http.StatusOK}
	if r.URL.RawQuery != "" {
		info.parameters = r.URL.Query()
	}
	ctx := context.WithValue(r.Context(), requestKey{}, info)
	rec := &statusRecorder{ResponseWriter: w, info: info}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this
				panic(p)
			}
			g.log.Error("a request failed by a fault of this program", zap.Any("panic", p), zap.String("route", info.route), zap.Stack("stack"))
			writeError(rec, &apiError{status: http.StatusInternalServerError, Message: "the server failed; its log says more"})
		}
		g.count(r, info, time.Since(began))
	}()
	g.serve(rec, r.WithContext(ctx))
}

func (g *guard) serve(w http.ResponseWriter, r *http.Request) {
	if g.loopback && !g.hostAllowed(r.Host) {
		writeError(w, &apiError{
			status: http.StatusMisdirectedRequest, Field: "Host",
			Message: fmt.Sprintf("the Host header %q is not a name of this machine's loopback interface; ask 127.0.0.1 or localhost, "+
				"or add the name to extensions::taskquery::allowed_hosts", r.Host),
		})
		return
	}
	if err := g.foreignPage(r); err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if isUI(r) {
		g.ui.ServeHTTP(w, r)
		return
	}
	if r.URL.Path != healthPath {
		ctx, err := g.auth.Authenticate(r.Context(), r.Header)
		if err != nil {
			g.refuse(w, err)
			return
		}
		r = r.WithContext(ctx)
	}
	g.next.ServeHTTP(w, r)
}

func (g *guard) refuse(w http.ResponseWriter, err error) {
	e := &apiError{status: http.StatusUnauthorized, Field: "Authorization", Message: "not authenticated: " + err.Error()}
	if g.hint != "" {
		e.Message = err.Error() + "; " + g.hint
		w.Header().Set("WWW-Authenticate", `Bearer realm="mida"`)
	}
	writeError(w, e)
}

// hostAllowed keeps out web pages that let a name of their own lead to this machine (DNS rebinding).
func (g *guard) hostAllowed(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = strings.Trim(hostPort, "[]")
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback() || slices.Contains(g.allowed, host)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		slices.ContainsFunc(g.allowed, func(a string) bool { return strings.EqualFold(a, host) })
}

// foreignPage refuses what a page of another origin lets a browser send unasked (no preflight): where browsers add a
// password by themselves (basicauth), such a page could change the view.
func (g *guard) foreignPage(r *http.Request) *apiError {
	if g.origins == nil || g.origins.Check(r) == nil {
		return nil
	}
	return &apiError{
		status: http.StatusForbidden, Field: "Origin",
		Message: fmt.Sprintf("the request comes from a web page of another origin, %q; add it to "+
			"extensions::taskquery::cors::allowed_origins if it is one of yours", r.Header.Get("Origin")),
	}
}

// originsOf is the check of a request's origin for what cors allows.
func originsOf(c *Config) *http.CrossOriginProtection {
	check := http.NewCrossOriginProtection()
	if !c.CORS.HasValue() {
		return check
	}
	for _, origin := range c.CORS.Get().AllowedOrigins {
		if strings.Contains(origin, "*") || check.AddTrustedOrigin(origin) != nil {
			return nil // a pattern, which the check cannot hold
		}
	}
	return check
}

func (g *guard) count(r *http.Request, info *requestInfo, took time.Duration) {
	method := r.Method
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodHead, http.MethodOptions}, method) {
		method = "_OTHER"
	}
	route := attribute.String("http.route", info.route)
	verb := attribute.String("http.request.method", method)
	g.telemetry.TaskqueryRequests.Add(r.Context(), 1,
		metric.WithAttributes(route, verb, attribute.Int("http.response.status_code", info.status)))
	g.telemetry.TaskqueryRequestDuration.Record(r.Context(), took.Seconds(), metric.WithAttributes(route, verb))
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	info *requestInfo
}

func (w *statusRecorder) WriteHeader(status int) {
	w.info.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
