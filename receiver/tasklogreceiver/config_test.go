package tasklogreceiver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
)

func loadConfig(t *testing.T, id string) *Config {
	conf, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	sub, err := conf.Sub(id)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, sub.Unmarshal(cfg))
	return cfg
}

func TestConfig(t *testing.T) {
	cfg := loadConfig(t, "tasklog")
	require.NoError(t, confmap.Validate(cfg))
	id := component.MustNewID("file_storage")
	assert.Equal(t, &id, cfg.Storage)
	assert.Equal(t, 5*time.Second, cfg.PollInterval)
	assert.Equal(t, observer.Batch{MinInterval: 100 * time.Millisecond, MaxInterval: 400 * time.Millisecond, MaxEvents: 500}, cfg.Batch)
	assert.Equal(t, capture.Config{KeepFields: []string{"used.*"}, Values: capture.Numbers, MaxString: 8192, MaxEvent: 1 << 20}, cfg.Capture)
	assert.Equal(t, "sem", cfg.Spec.Workflow)
	assert.Equal(t, map[string]any{"x.y": "{n}", "list": []any{"{n}", 3}}, cfg.Spec.Rules[0].Used)
	require.NoError(t, confmap.Validate(loadConfig(t, "tasklog/file")))
}

func TestConfigErrors(t *testing.T) {
	err := confmap.Validate(loadConfig(t, "tasklog/bad"))
	require.Error(t, err)
	for _, want := range []string{
		`include: missing; list the logs, for example ["logs/*.log"]`,
		`poll_interval: 1ms is too short; at least 10ms`,
		`batch: max_interval: 400ms; want min_interval (1s) to 1m0s`,
		`settle_after: -1s is negative`,
		`max_line_size: 5 bytes; valid are 1024 to 67108864`,
		`rules: rule 1 (a): task: {m} is not captured here; did you mean "n"?`,
		`capture: drop_fields[0]: "layers" names no field; want a full name, or a glob, that begins with used, generated,`,
		`values: "some"; want values, numbers or none`,
	} {
		assert.Contains(t, err.Error(), want)
	}
	err = confmap.Validate(loadConfig(t, "tasklog/twice"))
	assert.ErrorContains(t, err, `rules_file "testdata/acquire_rules.yaml" and rules: write the rules in one place`)
	err = confmap.Validate(loadConfig(t, "tasklog/nofile"))
	assert.ErrorContains(t, err, "rules_file: open testdata/nowhere.yaml")
}
