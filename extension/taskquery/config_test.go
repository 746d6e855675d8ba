package taskquery

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/otelcol-mida/otelcol-mida/extension/taskquery/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/analysis/report"
)

func load(t *testing.T, name string) *Config {
	t.Helper()
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := all.Sub(component.NewIDWithName(metadata.Type, name).String())
	require.NoError(t, err)
	cfg := NewFactory().CreateDefaultConfig().(*Config)
	require.NoError(t, sub.Unmarshal(cfg))
	return cfg
}

func TestConfig(t *testing.T) {
	cfg := load(t, "all")
	require.NoError(t, confmap.Validate(cfg))
	assert.Equal(t, "0.0.0.0:4341", cfg.NetAddr.Endpoint)
	assert.Equal(t, "second", cfg.Store)
	assert.Equal(t, "/var/lib/mida", cfg.StateDirectory)
	assert.Equal(t, 5*time.Second, cfg.QueryTimeout)
	assert.Equal(t, []string{"mida.example.org"}, cfg.AllowedHosts)
	assert.Equal(t, component.MustNewID("basicauth"), cfg.Auth.Get().AuthenticatorID)
	assert.Equal(t, "cert.pem", cfg.TLS.Get().CertFile)
	assert.Equal(t, []string{"https://*.example.org"}, cfg.CORS.Get().AllowedOrigins)
	assert.Equal(t, int64(1000), cfg.MaxRequestBodySize)
	assert.False(t, cfg.MCP.Enabled)
	assert.Equal(t, []string{".", "results/*.png"}, cfg.Report.ReadFiles)
	assert.Equal(t, report.Conventions{Metrics: []string{"*dice*"}, Settings: []string{"*.in"}}, cfg.Report.Conventions)

	cfg = load(t, "default")
	require.NoError(t, confmap.Validate(cfg))
	assert.Equal(t, createDefaultConfig(), cfg)
	assert.Equal(t, "127.0.0.1:4340", cfg.NetAddr.Endpoint)
	assert.True(t, cfg.MCP.Enabled)
}

func TestConfigMistakes(t *testing.T) {
	for name, want := range map[string]string{
		"no_store":       "store: empty; want the name of a store",
		"bad_endpoint":   `endpoint: "4340" is not an address; want host:port`,
		"unix":           `transport: "unix" is not supported; want tcp`,
		"timeout":        "query_timeout: -1s is negative",
		"body":           "max_request_body_size: -1 is negative",
		"here":           `state_directory: "." is no directory of its own; want one such as mida-data`,
		"no_state":       "state_directory: empty; want a directory of its own",
		"report_empty":   `report: read_files[0]: "": empty; want a directory, such as .`,
		"report_pattern": `report: read_files[0]: "plots/[a.png": the [ at byte 6 is not closed`,
		"report_names":   `report::conventions: metrics: "*[loss": the [ at byte 1 is not closed`,
		"shared":         `state_directory: "/" is no directory of its own`,
	} {
		assert.ErrorContains(t, confmap.Validate(load(t, name)), want, name)
	}
}
