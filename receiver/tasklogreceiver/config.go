package tasklogreceiver

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer/matcher"
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

// Config says which logs are read, and what their lines mean.
type Config struct {
	// Campaign that the tasks belong to; empty: none, it can be assigned later.
	Campaign string `mapstructure:"campaign"`
	// Include lists the logs, as paths with *, ?, [a-z], {a,b} and ** for any directories. List rotated names too
	// (logs/run.log*), so that what was rotated away while the collector was down is read.
	Include []string `mapstructure:"include"`
	// Exclude lists what Include should not take.
	Exclude []string `mapstructure:"exclude"`
	// Storage is the extension that keeps how far each log was read, and its open tasks. Without it logs are read again
	// from the beginning at every start, which gives the same tasks.
	Storage *component.ID `mapstructure:"storage"`
	// Batch bounds how often logs are looked at, and how much is sent on at once.
	Batch observer.Batch `mapstructure:"batch"`
	// PollInterval is one pause instead of the two bounds of Batch, at least 10ms. Zero: none.
	PollInterval time.Duration `mapstructure:"poll_interval"`
	// DrainTimeout is how long a stop of the collector waits at most until everything that was logged before it was read and
	// accepted. Zero: what was not yet read waits for the next start.
	DrainTimeout time.Duration `mapstructure:"drain_timeout"`
	// SettleAfter is how long the last entry of a log that has several lines must be quiet before it is shown, though
	// more lines of it may follow.
	SettleAfter time.Duration `mapstructure:"settle_after"`
	// MaxLineSize is how many bytes of a line are kept.
	MaxLineSize int `mapstructure:"max_line_size"`
	// RulesFile holds the keys of the rules in a file of its own.
	RulesFile string `mapstructure:"rules_file"`
	// Capture says what of the tasks may leave this process. Secrets are always taken out.
	Capture capture.Config `mapstructure:"capture"`
	// Spec are the rules: docs/log-rules.md.
	Spec rules.Spec `mapstructure:",squash"`
	// prevent unkeyed literal initialization
	_ struct{}
}

const (
	defaultSettleAfter = time.Second
	defaultMaxLineSize = 1 << 20
	minLineSize        = 1 << 10
	maxLineSize        = 64 << 20
	minPollInterval    = 10 * time.Millisecond
)

func createDefaultConfig() component.Config {
	return &Config{
		Batch: observer.DefaultBatch(), SettleAfter: defaultSettleAfter, MaxLineSize: defaultMaxLineSize, Capture: capture.NewDefaultConfig(),
	}
}

// Validate checks every key, also the rules.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Include) == 0 {
		errs = append(errs, errors.New(`include: missing; list the logs, for example ["logs/*.log"]`))
	} else if _, err := c.matcher(); err != nil {
		errs = append(errs, err)
	}
	if c.PollInterval != 0 && c.PollInterval < minPollInterval {
		errs = append(errs, fmt.Errorf("poll_interval: %s is too short; at least %s, or none, so that it follows batch", c.PollInterval, minPollInterval))
	}
	if c.DrainTimeout < 0 {
		errs = append(errs, fmt.Errorf("drain_timeout: %s; want a time such as 10s, or 0 to read the rest at the next start", c.DrainTimeout))
	}
	if c.SettleAfter < 0 {
		errs = append(errs, fmt.Errorf("settle_after: %s is negative", c.SettleAfter))
	}
	if c.MaxLineSize < minLineSize || c.MaxLineSize > maxLineSize {
		errs = append(errs, fmt.Errorf("max_line_size: %d bytes; valid are %d to %d", c.MaxLineSize, minLineSize, maxLineSize))
	}
	if _, err := c.Rules(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

const maxRulesFile = 4 << 20

func readRules(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && (!info.Mode().IsRegular() || info.Size() > maxRulesFile) {
		return nil, fmt.Errorf("%q is no regular file of at most %d bytes", path, maxRulesFile)
	}
	return os.ReadFile(path)
}

func (c *Config) matcher() (*matcher.Matcher, error) {
	return matcher.New(matcher.Criteria{Include: c.Include, Exclude: c.Exclude})
}

// Rules compiles the rules, from the configuration or from their own file.
func (c *Config) Rules() (*rules.Set, error) {
	if c.RulesFile == "" {
		return rules.Compile(c.Spec)
	}
	if len(c.Spec.Rules) > 0 {
		return nil, fmt.Errorf("rules_file %q and rules: write the rules in one place", c.RulesFile)
	}
	data, err := readRules(c.RulesFile)
	if err != nil {
		return nil, fmt.Errorf("rules_file: %w", err)
	}
	spec, err := rules.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("rules_file %q: %w", c.RulesFile, err)
	}
	set, err := rules.Compile(spec)
	if err != nil {
		return nil, fmt.Errorf("rules_file %q: %w", c.RulesFile, err)
	}
	return set, nil
}
