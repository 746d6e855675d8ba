package taskquery

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-mida/otelcol-mida/extension/taskquery/internal/metadata"
)

func TestEveryRouteIsClosed(t *testing.T) {
	a := start(t)
	for _, rt := range a.server.table() {
		path := strings.ReplaceAll(rt.path, "{id}", "x")
		if rt.path == healthPath {
			status, _ := a.send(rt.method, path, "", "Authorization", "")
			assert.Equal(t, http.StatusOK, status)
			continue
		}
		for _, header := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + a.token, a.token, "Bearer " + a.token[1:]} {
			e := a.refused(http.StatusUnauthorized, rt.method, path, "", "Authorization", header)
			assert.Contains(t, e["message"], filepath.Join(a.dir, "token"), "%s with %q", path, header)
		}
	}
	a.refused(http.StatusUnauthorized, "GET", "/nothing", "", "Authorization", "")
	status, _ := a.send("GET", "/api/v1/campaigns", "", "Authorization", "bearer  "+a.token)
	assert.Equal(t, http.StatusOK, status, "the scheme's case and spaces do not matter")
}

func TestForeignNamesAreRefused(t *testing.T) {
	a := start(t, func(c *Config) { c.AllowedHosts = []string{"gateway.lab"} })
	for name, status := range map[string]int{
		"127.0.0.1:4340": http.StatusOK, "localhost": http.StatusOK, "LOCALHOST:1": http.StatusOK, "[::1]:4340": http.StatusOK,
		"mida.localhost": http.StatusOK, "gateway.lab:443": http.StatusOK,
		"evil.example": http.StatusMisdirectedRequest, "192.168.0.7:4340": http.StatusMisdirectedRequest,
		"localhost.evil.example": http.StatusMisdirectedRequest,
	} {
		got, _ := a.send("GET", "/api/v1/campaigns", "", "Host", name)
		assert.Equal(t, status, got, name)
	}
}

func TestNoCrossOriginByDefault(t *testing.T) {
	a := start(t)
	r, err := http.NewRequestWithContext(context.Background(), "OPTIONS", a.url+"/api/v1/query", nil)
	require.NoError(t, err)
	r.Header.Set("Origin", "https://evil.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}

// Browsers send some requests of foreign pages without asking, with the password that they know.
func TestForeignPagesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		allowed []string
		header  []string
		status  int
	}{
		"no browser":            {nil, nil, http.StatusOK},
		"this page":             {nil, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1"}, http.StatusOK},
		"another site":          {nil, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
		"an old browser":        {nil, []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"a page of this team":   {[]string{"https://lab.example"}, []string{"Origin", "https://lab.example"}, http.StatusOK},
		"not of this team":      {[]string{"https://lab.example"}, []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"pages by a pattern":    {[]string{"https://*.lab.example"}, []string{"Origin", "https://a.lab.example"}, http.StatusOK},
		"a plain form, no JSON": {nil, []string{"Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t, func(cfg *Config) {
				if c.allowed != nil {
					cfg.CORS = configoptional.Some(confighttp.CORSConfig{AllowedOrigins: c.allowed})
				}
			})
			status, answer := a.send("POST", "/api/v1/query", "{}", c.header...)
			assert.Equal(t, c.status, status, answer)
			if status == http.StatusForbidden {
				assert.Contains(t, answer["error"].(map[string]any)["message"], "cors::allowed_origins")
			}
		})
	}
}

// password is an auth extension that knows one user.
type password struct {
	component.StartFunc
	component.ShutdownFunc
}

func (password) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	if http.Header(sources).Get("Authorization") != "Basic YTpi" {
		return ctx, errors.New("unknown user")
	}
	return ctx, nil
}

var _ extensionauth.Server = password{}

func TestAuthExtensionReplacesToken(t *testing.T) {
	h, _ := newHost(t)
	h[component.MustNewID("password")] = password{}
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.StateDirectory = filepath.Join(t.TempDir(), "state")
	cfg.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewID("password")}})
	ext, err := create(context.Background(), extensiontest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(context.Background(), h))
	require.NoError(t, ext.(*server).Ready())
	t.Cleanup(func() { require.NoError(t, ext.Shutdown(context.Background())) })
	assert.NoFileExists(t, filepath.Join(cfg.StateDirectory, "token"))
	data, err := readPrivate(filepath.Join(cfg.StateDirectory, "endpoint.json"))
	require.NoError(t, err)
	assert.NotContains(t, data, "token")

	a := &api{t: t, url: strings.Split(data, `"`)[3]}
	e := a.refused(http.StatusUnauthorized, "GET", "/api/v1/campaigns", "")
	assert.Equal(t, "not authenticated: unknown user", e["message"])
	a.refused(http.StatusUnauthorized, "POST", "/mcp", "{}")
	status, _ := a.send("GET", "/api/v1/campaigns", "", "Authorization", "Basic YTpi")
	assert.Equal(t, http.StatusOK, status)
	list := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Basic YTpi"}}
	assert.Equal(t, http.StatusOK, a.status("POST", "/mcp", `{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}`, list))
	status, _ = a.send("GET", healthPath, "")
	assert.Equal(t, http.StatusOK, status)
}

func TestUnknownAuthExtension(t *testing.T) {
	h, _ := newHost(t)
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.StateDirectory = filepath.Join(t.TempDir(), "state")
	cfg.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewID("nobody")}})
	ext, err := create(context.Background(), extensiontest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	assert.ErrorContains(t, ext.Start(context.Background(), h), `auth: failed to resolve authenticator "nobody"`)
	require.NoError(t, ext.Shutdown(context.Background()))
}

func TestBusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	h, _ := newHost(t)
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = l.Addr().String()
	cfg.StateDirectory = filepath.Join(t.TempDir(), "state")
	ext, err := create(context.Background(), extensiontest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	err = ext.Start(context.Background(), h)
	assert.ErrorContains(t, err, `endpoint: "`+l.Addr().String()+`" is in use`)
	assert.ErrorContains(t, err, "extensions::taskquery::endpoint")
	assert.NoFileExists(t, filepath.Join(cfg.StateDirectory, "endpoint.json"))
	require.NoError(t, ext.Shutdown(context.Background()))
}

func TestUnknownStore(t *testing.T) {
	for name, h := range map[string]component.Host{"other": func() component.Host { h, _ := newHost(t); return h }(), "none": componenttest.NewNopHost()} {
		cfg := createDefaultConfig().(*Config)
		cfg.NetAddr.Endpoint, cfg.Store = "127.0.0.1:0", "wrong"
		cfg.StateDirectory = filepath.Join(t.TempDir(), "state")
		ext, err := create(context.Background(), extensiontest.NewNopSettings(metadata.Type), cfg)
		require.NoError(t, err)
		assert.ErrorContains(t, ext.Start(context.Background(), h), `store: store "wrong"`, name)
		_, err = os.Stat(cfg.StateDirectory)
		assert.ErrorIs(t, err, os.ErrNotExist)
		require.NoError(t, ext.Shutdown(context.Background()))
	}
}

func TestRequestsAreCounted(t *testing.T) {
	tel := componenttest.NewTelemetry()
	h, _ := newHost(t)
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.StateDirectory = filepath.Join(t.TempDir(), "state")
	set := extensiontest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	ext, err := create(context.Background(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(context.Background(), h))
	require.NoError(t, ext.(*server).Ready())
	data, err := readPrivate(filepath.Join(cfg.StateDirectory, "endpoint.json"))
	require.NoError(t, err)
	a := &api{t: t, url: strings.Split(data, `"`)[3]}
	a.refused(http.StatusUnauthorized, "GET", "/api/v1/campaigns", "")
	a.token, err = readPrivate(filepath.Join(cfg.StateDirectory, "token"))
	require.NoError(t, err)
	a.ok("GET", "/api/v1/campaigns", "")
	a.refused(http.StatusBadRequest, "POST", "/api/v1/query", `{"limit": 0}`)
	a.refused(http.StatusForbidden, "GET", "/mcp", "", "Origin", "https://evil.example")
	require.NoError(t, ext.Shutdown(context.Background()))

	m, err := tel.GetMetric("otelcol_taskquery_requests")
	require.NoError(t, err)
	got := map[string]int64{}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		route, _ := p.Attributes.Value("http.route")
		status, _ := p.Attributes.Value("http.response.status_code")
		got[route.AsString()+" "+status.String()] = p.Value
	}
	assert.Equal(t, map[string]int64{"other 401": 1, "/api/v1/campaigns 200": 1, "/api/v1/query 400": 1, "/mcp 403": 1}, got)
	d, err := tel.GetMetric("otelcol_taskquery_request_duration")
	require.NoError(t, err)
	assert.Len(t, d.Data.(metricdata.Histogram[float64]).DataPoints, 4)
	require.NoError(t, tel.Shutdown(context.Background()))
}
