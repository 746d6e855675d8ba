package daskreceiver

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/otelcol-mida/otelcol-mida/internal/observer"
)

func load(t *testing.T, name string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := conf.Sub(name)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, sub.Unmarshal(cfg))
	return cfg
}

func TestConfig(t *testing.T) {
	t.Setenv("SLURM_TMPDIR", "")
	t.Setenv("TMPDIR", "/scratch")
	cfg := load(t, "dask")
	require.NoError(t, confmap.Validate(cfg))
	assert.True(t, strings.HasPrefix(cfg.Journal.Directory, "/scratch/mida-journal-"), cfg.Journal.Directory)
	assert.Empty(t, pluginPolicy(cfg.Capture))

	cfg = load(t, "dask/all")
	require.NoError(t, confmap.Validate(cfg))
	assert.Equal(t, AttachConfig{RetryInterval: 2 * time.Second, CheckInterval: 20 * time.Second, Timeout: 10 * time.Second}, cfg.Attach)
	assert.Equal(t, observer.Batch{MinInterval: 50 * time.Millisecond, MaxInterval: 2 * time.Second, MaxEvents: 1000}, cfg.Batch)
	assert.Equal(t, map[string]any{
		"drop_activities": []string{"getitem*"}, "keep_fields": []string{"used.*", "generated.loss"}, "values": "numbers",
	}, pluginPolicy(cfg.Capture))
	p, err := newPlugins(cfg, "/dir", "me")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"owner": "me", "campaign": "my_campaign_1", "workflow_name": "search", "capture": pluginPolicy(cfg.Capture),
		"limits":  map[string]any{"string": 4096},
		"journal": map[string]any{"directory": "/dir", "segment_bytes": int64(1 << 20), "directory_bytes": int64(100 << 20)},
	}, p.attach)
}

func TestConfigErrorsNameKeyValueAndWhatIsValid(t *testing.T) {
	err := confmap.Validate(load(t, "dask/bad"))
	require.Error(t, err)
	for _, want := range []string{
		`schedulers[0]: "127.0.0.1:8786": want tcp://host:port or tls://host:port`,
		`schedulers[1]: "tcp://host": want`,
		`schedulers[2]: "tcp://host:99999": port "99999": want a number from 1 to 65535`,
		`schedulers[3]: "inproc://1": want`,
		`schedulers[4]: "tls://node-1:8786" needs the cluster's certificates: set tls:`,
		`schedulers[6]: "tcp://a:1" is listed twice`,
		`scheduler_files[0]: "[": syntax error in pattern; want a file or a glob`,
		`scheduler_files[1]: empty`,
		`batch: min_interval: 1ms; want 10ms to 1m0s`,
		`max_interval: 1h0m0s; want min_interval (1ms) to 1m0s`,
		`max_events: 0; want 1 to 100000`,
		`journal::directory: empty`,
		`journal::segment_bytes: 100; want at least 65536`,
		`journal::directory_bytes: 5; want at least 65536`,
		`capture: keep_activities[0]: empty`,
		`drop_fields[0]: "password" names no field; want a full name, or a glob, that begins with used, generated,`,
		`values: "some"; want values, numbers or none`,
		`attach::retry_interval: 1ms; want at least 50ms`,
		`attach::check_interval: 0s`,
		`attach::timeout: -1s`,
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.Len(t, strings.Split(err.Error(), "\n"), 20)
}
