package daskreceiver

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/journal"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
)

// Config of the Dask receiver. With the defaults it reads the journals of plugins that others bring (a scheduler
// preload, two lines in a client) and attaches to nothing.
type Config struct {
	// Campaign of tasks whose journal names none.
	Campaign string `mapstructure:"campaign"`
	// Schedulers are running clusters to attach to, tcp://host:port or tls://host:port. They need not exist yet.
	Schedulers []string `mapstructure:"schedulers"`
	// SchedulerFiles are globs of the files that `dask scheduler --scheduler-file` writes.
	SchedulerFiles []string `mapstructure:"scheduler_files"`
	// WorkflowName names all workflows of the attached clusters; empty: each client's script.
	WorkflowName string `mapstructure:"workflow_name"`
	// Journal is what plugins on this node write and this receiver reads.
	Journal JournalConfig `mapstructure:"journal"`
	// Batch bounds how often the journals are looked at, and how much is sent on at once.
	Batch observer.Batch `mapstructure:"batch"`
	// DrainTimeout is how long a stop of the collector waits at most until everything that plugins wrote before it was read and
	// accepted. Zero: what was not yet read waits for the next start.
	DrainTimeout time.Duration `mapstructure:"drain_timeout"`
	// Capture says what of the tasks is recorded. Plugins of attached clusters apply it in the observed processes; what
	// other journals hold it is applied to when they are read. Secrets are always taken out.
	Capture capture.Config `mapstructure:"capture"`
	// AllowForeignOwner also attaches to schedulers of other users and other hosts, and reads journals of other users.
	AllowForeignOwner bool `mapstructure:"allow_foreign_owner"`
	// Attach is how schedulers are visited.
	Attach AttachConfig `mapstructure:"attach"`
	// TLS is needed for tls:// schedulers: the cluster's certificates.
	TLS configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
}

// JournalConfig says where plugins write.
type JournalConfig struct {
	// Directory is the journal directory. Default: mida-journal-<uid> in $SLURM_TMPDIR, $TMPDIR or /tmp.
	Directory string `mapstructure:"directory"`
	// SegmentBytes is the size at which an attached plugin starts its next file; zero: 8 MiB.
	SegmentBytes int64 `mapstructure:"segment_bytes"`
	// DirectoryBytes is the size of this host's journals at which attached plugins refuse new events; zero: 1 GiB.
	DirectoryBytes int64 `mapstructure:"directory_bytes"`
}

// AttachConfig is how schedulers are visited. Each visit is one connection that closes after a few messages.
type AttachConfig struct {
	// RetryInterval is the time between two visits to a scheduler that is not there yet, and the first wait after a
	// failure; it then doubles up to 30 s.
	RetryInterval time.Duration `mapstructure:"retry_interval"`
	// CheckInterval is the time between two visits to an attached scheduler, to see whether it was restarted.
	CheckInterval time.Duration `mapstructure:"check_interval"`
	// Timeout bounds one visit, and the detaching at shutdown.
	Timeout time.Duration `mapstructure:"timeout"`
}

func createDefaultConfig() component.Config {
	return &Config{
		Journal: JournalConfig{Directory: journal.DefaultDirectory()},
		Batch:   observer.DefaultBatch(),
		Capture: capture.NewDefaultConfig(),
		Attach:  AttachConfig{RetryInterval: time.Second, CheckInterval: 5 * time.Second, Timeout: 5 * time.Second},
	}
}

const minSegment = 64 << 10

// Validate names every key that cannot work.
func (c *Config) Validate() error {
	var errs []error
	for i, s := range c.Schedulers {
		a, err := parseAddress(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("schedulers[%d]: %w", i, err))
		} else if a.tls && !c.TLS.HasValue() {
			errs = append(errs, fmt.Errorf("schedulers[%d]: %q needs the cluster's certificates: set tls: {ca_file, cert_file, key_file}", i, s))
		}
		if slices.Contains(c.Schedulers[:i], s) {
			errs = append(errs, fmt.Errorf("schedulers[%d]: %q is listed twice", i, s))
		}
	}
	for i, pattern := range c.SchedulerFiles {
		if pattern == "" {
			errs = append(errs, fmt.Errorf(`scheduler_files[%d]: empty; want a file or a glob such as "*.scheduler.json"`, i))
		} else if _, err := filepath.Match(pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("scheduler_files[%d]: %q: %w; want a file or a glob such as \"*.scheduler.json\"", i, pattern, err))
		}
	}
	if strings.TrimSpace(c.Journal.Directory) == "" {
		errs = append(errs, errors.New("journal::directory: empty; want a directory on a local disk that only this user can enter"))
	}
	if n := c.Journal.SegmentBytes; n != 0 && n < minSegment {
		errs = append(errs, fmt.Errorf("journal::segment_bytes: %d; want at least %d, or 0 for 8 MiB", n, minSegment))
	}
	if n := c.Journal.DirectoryBytes; n != 0 && n < max(minSegment, c.Journal.SegmentBytes) {
		errs = append(errs, fmt.Errorf("journal::directory_bytes: %d; want at least %d, or 0 for 1 GiB", n, max(minSegment, c.Journal.SegmentBytes)))
	}
	if c.DrainTimeout < 0 {
		errs = append(errs, fmt.Errorf("drain_timeout: %s; want a time such as 10s, or 0 to read the rest at the next start", c.DrainTimeout))
	}
	errs = append(errs, c.Attach.validate())
	return errors.Join(errs...)
}

// pluginPolicy is the policy as an attached plugin reads it: its limits are another key.
func pluginPolicy(c capture.Config) map[string]any {
	m := map[string]any{}
	for key, patterns := range map[string][]string{
		"keep_activities": c.KeepActivities, "drop_activities": c.DropActivities, "keep_fields": c.KeepFields, "drop_fields": c.DropFields,
	} {
		if len(patterns) > 0 {
			m[key] = patterns
		}
	}
	if c.Values != "" && c.Values != capture.Values {
		m["values"] = c.Values
	}
	return m
}

func (c *AttachConfig) validate() error {
	var errs []error
	for _, d := range []struct {
		key        string
		value, low time.Duration
	}{
		{"retry_interval", c.RetryInterval, 50 * time.Millisecond},
		{"check_interval", c.CheckInterval, 100 * time.Millisecond},
		{"timeout", c.Timeout, 100 * time.Millisecond},
	} {
		if d.value < d.low {
			errs = append(errs, fmt.Errorf("attach::%s: %s; want at least %s", d.key, d.value, d.low))
		}
	}
	return errors.Join(errs...)
}

// address of a scheduler.
type address struct {
	url  string
	host string // host:port
	tls  bool
}

func parseAddress(s string) (address, error) {
	const want = "want tcp://host:port or tls://host:port"
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || (scheme != "tcp" && scheme != "tls") {
		return address{}, fmt.Errorf("%q: %s", s, want)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil || host == "" {
		return address{}, fmt.Errorf("%q: %s", s, want)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return address{}, fmt.Errorf("%q: port %q: want a number from 1 to 65535", s, port)
	}
	return address{url: s, host: rest, tls: scheme == "tls"}, nil
}
