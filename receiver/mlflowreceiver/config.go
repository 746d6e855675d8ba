package mlflowreceiver

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/glob"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
)

// Config of one observed tracking database.
type Config struct {
	// Campaign that the runs belong to; empty leaves them without one, to be assigned later.
	Campaign string `mapstructure:"campaign"`
	// TrackingURI is the database as MLflow names it: sqlite:///relative.db (to the collector's working directory),
	// sqlite:////absolute.db or postgresql://user@host:5432/database.
	TrackingURI string `mapstructure:"tracking_uri"`
	// Password of a PostgreSQL server. Empty takes the one of tracking_uri, PGPASSWORD or PGPASSFILE.
	Password configopaque.String `mapstructure:"password"`
	// Batch bounds the pauses between polls, and how much is sent on at once.
	Batch observer.Batch `mapstructure:"batch"`
	// PollInterval is one pause instead of the two bounds of Batch, at least 10ms. Zero: none.
	PollInterval time.Duration `mapstructure:"poll_interval"`
	// DrainTimeout is how long a stop of the collector waits at most until everything that MLflow wrote before it was read and
	// accepted. Zero: what was not yet read waits for the next start.
	DrainTimeout time.Duration `mapstructure:"drain_timeout"`
	// StorageID names the storage extension that keeps the position. Without one everything is read again after a
	// restart, which is harmless but slower.
	StorageID *component.ID `mapstructure:"storage"`
	// SweepSize is how many runs, models and model versions a poll checks for changes that leave no new row, from 1.
	SweepSize int `mapstructure:"sweep_size"`
	// BusyTimeout is how long a read waits for a writer, on PostgreSQL for a lock of the whole table, from 1s to 5s.
	BusyTimeout time.Duration `mapstructure:"busy_timeout"`
	// BaseDir resolves relative paths in params and artifact locations. Empty means the directory of the database, with
	// PostgreSQL the working directory.
	BaseDir string `mapstructure:"base_dir"`
	// RunsAreLocal says that the runs wrote the database from this machine, or see its files under the same names, so that
	// paths in them mean these. Nil means so for SQLite and not for PostgreSQL. Set it to false when a tracking server on
	// this machine takes runs from others.
	RunsAreLocal *bool `mapstructure:"runs_are_local"`
	// ActivityTag names a tag whose value is the activity of a run; without that tag a run has the activity described
	// in README.md.
	ActivityTag string `mapstructure:"activity_tag"`
	// Experiments chooses experiments by name.
	Experiments Choice `mapstructure:"experiments"`
	// Capture chooses what of a run may leave this process.
	Capture Capture `mapstructure:"capture"`
}

// Choice keeps names by globs: * (also over slashes), ?, [abc], [!abc].
type Choice struct {
	// Include keeps only names that match one of these; empty keeps all.
	Include []string `mapstructure:"include"`
	// Exclude drops names that match one of these; it wins over Include.
	Exclude []string `mapstructure:"exclude"`
}

func createDefaultConfig() component.Config {
	return &Config{
		TrackingURI: "sqlite:///mlflow.db",
		Batch:       observer.DefaultBatch(),
		SweepSize:   2000,
		BusyTimeout: 2 * time.Second,
		Capture:     Capture{Policy: policy(capture.NewDefaultConfig()), History: true, Artifacts: 200},
	}
}

// bounds are those of the pauses between polls.
func (c *Config) bounds() observer.Batch { return c.Batch.Fixed(c.PollInterval) }

// Validate names every key that cannot be used, with its value and what would be valid.
func (c *Config) Validate() error {
	var errs []error
	if _, err := c.source(); err != nil {
		errs = append(errs, err)
	}
	if c.DrainTimeout < 0 {
		errs = append(errs, fmt.Errorf("drain_timeout: %s; want a time such as 10s, or 0 to read the rest at the next start", c.DrainTimeout))
	}
	if c.PollInterval != 0 && c.PollInterval < 10*time.Millisecond {
		errs = append(errs, fmt.Errorf("poll_interval: %v is too short; want at least 10ms, for example 1s, or none, so that it follows batch", c.PollInterval))
	}
	if c.SweepSize < 1 {
		errs = append(errs, fmt.Errorf("sweep_size: %d; want at least 1, for example 2000", c.SweepSize))
	}
	if c.BusyTimeout < time.Second || c.BusyTimeout > 5*time.Second {
		errs = append(errs, fmt.Errorf("busy_timeout: %v; want 1s to 5s", c.BusyTimeout))
	}
	errs = append(errs, checkGlobs("experiments::include", c.Experiments.Include), checkGlobs("experiments::exclude", c.Experiments.Exclude))
	return errors.Join(errs...)
}

// keeps says whether a name passes.
func (c Choice) keeps(name string) bool {
	return (len(c.Include) == 0 || glob.Any(c.Include, name)) && !glob.Any(c.Exclude, name)
}

// redactText takes secrets out of a text.
func redactText(s string) string {
	s, _ = capture.Text(s)
	return s
}
