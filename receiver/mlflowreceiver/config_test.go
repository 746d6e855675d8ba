package mlflowreceiver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
)

func TestConfigOfTheDocs(t *testing.T) {
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	load := func(name string) *Config {
		cfg := createDefaultConfig().(*Config)
		sub, err := conf.Sub(name)
		require.NoError(t, err)
		require.NoError(t, sub.Unmarshal(cfg))
		require.NoError(t, confmap.Validate(cfg))
		return cfg
	}
	assert.Equal(t, createDefaultConfig(), load("mlflow"))
	onServer := load("mlflow/postgresql")
	assert.Equal(t, "of the environment", string(onServer.Password))
	assert.NotContains(t, fmt.Sprintf("%+v", onServer), "of the environment")
	storage := component.MustNewID("file_storage")
	assert.Equal(t, &Config{
		Campaign: "my_campaign_1", TrackingURI: "sqlite:////data/lab/mlflow.db", Batch: observer.DefaultBatch(), PollInterval: 2 * time.Second, StorageID: &storage,
		SweepSize: 500, BusyTimeout: 3 * time.Second, BaseDir: "/data/lab", RunsAreLocal: new(bool), ActivityTag: "stage",
		Experiments: Choice{Include: []string{"defect*"}, Exclude: []string{"*scratch*"}},
		Capture: Capture{
			Policy: policy{
				DropActivities: []string{"debug*"}, DropFields: []string{"generated.system/*", "custom.tags.ward"}, Values: capture.Values,
				MaxString: 8192, MaxEvent: 1 << 20,
			},
			Redact: []string{"patient_*"}, Artifacts: 50,
		},
	}, load("mlflow/all"))
}

func TestConfigErrorsNameKeyAndValue(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   []string
	}{
		{func(c *Config) { c.TrackingURI = "" }, []string{"tracking_uri", "sqlite:///"}},
		{func(c *Config) { c.TrackingURI = "mysql+pymysql://ada:geheim@db/mlflow" }, []string{"tracking_uri", `"mysql"`, "[redacted]@db", "not supported", "sqlite:///", "postgresql://user@host"}},
		{func(c *Config) { c.TrackingURI = "postgresql://ada:geheim@db:port/mlflow" }, []string{"tracking_uri", "postgresql://user@host"}},
		{func(c *Config) { c.TrackingURI = "postgresql://ada:ge/he@geheim@db/mlflow" }, []string{"tracking_uri", "%40", "password"}},
		{func(c *Config) { c.TrackingURI = "postgresql://ada:geheim@db/mlflow?sslmode=perhaps" }, []string{"tracking_uri", "sslmode"}},
		{func(c *Config) { c.TrackingURI = "postgresql://ada:geheim@db" }, []string{"tracking_uri", "names no database"}},
		{func(c *Config) { c.TrackingURI = "postgresql:mlflow" }, []string{"tracking_uri", "postgresql://user@host"}},
		{func(c *Config) { c.Password = "geheim" }, []string{"password", "SQLite"}},
		{func(c *Config) { c.TrackingURI = "./mlruns" }, []string{"tracking_uri", "./mlruns", "sqlite:///"}},
		{func(c *Config) { c.TrackingURI = "sqlite://mlflow.db" }, []string{"tracking_uri", "sqlite://mlflow.db", "names no file"}},
		{func(c *Config) { c.TrackingURI = "sqlite:///:memory:" }, []string{"names no file"}},
		{func(c *Config) { c.PollInterval = time.Millisecond }, []string{"poll_interval", "1ms", "10ms"}},
		{func(c *Config) { c.Batch.MaxInterval = time.Millisecond }, []string{"batch: max_interval: 1ms; want min_interval (100ms) to 1m0s"}},
		{func(c *Config) { c.SweepSize = -1 }, []string{"sweep_size", "-1"}},
		{func(c *Config) { c.BusyTimeout = time.Minute }, []string{"busy_timeout", "1m0s", "5s"}},
		{func(c *Config) { c.Capture.Artifacts = -5 }, []string{"capture: artifacts: -5"}},
		{func(c *Config) { c.Capture.Redact = []string{""} }, []string{"capture: redact[0]: empty"}},
		{func(c *Config) { c.Experiments.Include = []string{"a", ""} }, []string{"experiments::include[1]: empty"}},
		{func(c *Config) { c.Capture.Policy.DropFields = []string{"layers"} }, []string{`capture: drop_fields[0]: "layers" names no field`, "used."}},
		{func(c *Config) { c.Capture.Policy.DropFields = []string{"tags.stage"} }, []string{`capture: drop_fields[0]: "tags.stage" names nothing of a run`, "custom.tags"}},
		{func(c *Config) { c.Capture.Policy.KeepFields = []string{"annotations"} }, []string{`capture: keep_fields[0]: "annotations" names nothing of a run`}},
		{func(c *Config) { c.Capture.Policy.Values = "some" }, []string{`capture: values: "some"`}},
	} {
		cfg := createDefaultConfig().(*Config)
		c.change(cfg)
		err := confmap.Validate(cfg)
		require.Error(t, err)
		for _, w := range c.want {
			assert.ErrorContains(t, err, w)
		}
		assert.NotContains(t, err.Error(), "geheim")
	}
}

func TestSourceOfTheURI(t *testing.T) {
	here, err := filepath.Abs(".")
	require.NoError(t, err)
	for uri, want := range map[string]string{
		"sqlite:///mlflow.db": filepath.Join(here, "mlflow.db"), "sqlite:////data/m.db": "/data/m.db",
		"sqlite+pysqlite:///x/m.db?timeout=20":                         filepath.Join(here, "x/m.db"),
		"postgresql://ada:geheim@db.example.org/mlflow":                "postgresql://ada@db.example.org:5432/mlflow",
		"postgresql+psycopg2://ada@db:6432/runs?sslmode=disable":       "postgresql://ada@db:6432/runs",
		"postgres://ada@db/mlflow?keepalives=1&connect_timeout=3":      "postgresql://ada@db:5432/mlflow",
		"postgresql://ada@/mlflow?host=/run/postgresql&gssencmode=off": "postgresql://ada@/run/postgresql:5432/mlflow",
	} {
		cfg := createDefaultConfig().(*Config)
		cfg.TrackingURI = uri
		got, err := cfg.source()
		require.NoError(t, err, uri)
		assert.Equal(t, want, got.name())
		assert.Equal(t, strings.HasPrefix(uri, "sqlite"), cfg.runsAreLocal())
	}
}

func TestConnectionIsReadOnlyAndBounded(t *testing.T) {
	t.Setenv("PGPASSFILE", filepath.Join(t.TempDir(), "pgpass"))
	require.NoError(t, os.WriteFile(os.Getenv("PGPASSFILE"), []byte("db:*:*:ada:of the file\n"), 0o600))
	cfg := createDefaultConfig().(*Config)
	cfg.TrackingURI = "postgresql://ada@db/mlflow?application_name=mine&default_transaction_read_only=off"
	source, err := cfg.source()
	require.NoError(t, err)
	conn := source.(*postgres).conn
	assert.Equal(t, "of the file", conn.Password)
	assert.Equal(t, "on", conn.RuntimeParams["default_transaction_read_only"])
	assert.Equal(t, "mine", conn.RuntimeParams["application_name"])
	assert.Equal(t, "30000", conn.RuntimeParams["statement_timeout"])
	assert.Equal(t, "2000", conn.RuntimeParams["lock_timeout"])
	assert.NotZero(t, conn.ConnectTimeout)
	cfg.Password = "of the key"
	source, err = cfg.source()
	require.NoError(t, err)
	assert.Equal(t, "of the key", source.(*postgres).conn.Password)
}

func TestStorageMustBeOne(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.StorageID = &memoryID
	r, err := NewFactory().CreateLogs(t.Context(), receivertest.NewNopSettings(NewFactory().Type()), cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()), `storage: extension "memory" is not among the running ones`)
	require.NoError(t, r.Shutdown(t.Context()))
}
