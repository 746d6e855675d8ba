package taskcontroller

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
)

// Config of the controller.
type Config struct {
	// Storage is the extension that keeps the registrations and the positions of their observers. Without one both last
	// as long as the collector runs.
	Storage *component.ID `mapstructure:"storage"`
	// Directory holds a directory for each observer, for what others write for it: the journals of Dask plugins.
	Directory string `mapstructure:"directory"`
	// Allow bounds what a registration may lead to.
	Allow Allow `mapstructure:"allow"`
	// DrainTimeout is how long a stop waits, unless the request says otherwise, until everything before it is in the view.
	DrainTimeout time.Duration `mapstructure:"drain_timeout"`
	// Discover looks for what could be observed, within what is allowed. Without this key nothing is looked for.
	Discover configoptional.Optional[Discover] `mapstructure:"discover"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// Allow is what the operator lets registrations lead to. Everything else is refused.
type Allow struct {
	// Kinds are types of receivers.
	Kinds []string `mapstructure:"kinds"`
	// Directories may be read, with all that is below them. Symbolic links in the path that a registration names are
	// followed first.
	Directories []string `mapstructure:"directories"`
	// Hosts are names or addresses; localhost stands for all loopback addresses.
	Hosts []string `mapstructure:"hosts"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// Discover bounds the look for what could be observed.
type Discover struct {
	// Directories are looked into; empty: all that are allowed.
	Directories []string `mapstructure:"directories"`
	// MaxEntries of directories are looked at, MaxDepth levels deep, and MaxProcesses of the collector's user.
	MaxEntries   int `mapstructure:"max_entries"`
	MaxDepth     int `mapstructure:"max_depth"`
	MaxProcesses int `mapstructure:"max_processes"`
	// Timeout ends a look.
	Timeout time.Duration `mapstructure:"timeout"`
	// Start names kinds of which everything that is found is registered and started, every Interval, for Campaign. Empty:
	// nothing is started unless somebody asks.
	Start    []string      `mapstructure:"start"`
	Interval time.Duration `mapstructure:"interval"`
	Campaign string        `mapstructure:"campaign"`
	// prevent unkeyed literal initialization
	_ struct{}
}

func (d *Discover) validate(kinds []string) error {
	var errs []error
	for _, k := range []struct {
		key   string
		value int
	}{{"max_entries", d.MaxEntries}, {"max_depth", d.MaxDepth}, {"max_processes", d.MaxProcesses}} {
		if k.value < 0 {
			errs = append(errs, fmt.Errorf("discover::%s: %d; want 0 or more", k.key, k.value))
		}
	}
	if d.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("discover::timeout: %s; want a duration above 0, such as 3s", d.Timeout))
	}
	if d.Interval < time.Second {
		errs = append(errs, fmt.Errorf("discover::interval: %s; want at least 1s, such as 30s", d.Interval))
	}
	for i, kind := range d.Start {
		if !slices.Contains(kinds, kind) {
			errs = append(errs, fmt.Errorf("discover::start[%d]: %q is not among the allow::kinds; want one of %s", i, kind, strings.Join(kinds, ", ")))
		}
	}
	if len(d.Start) > 0 && d.Campaign == "" {
		errs = append(errs, errors.New("discover::campaign: empty; what is started by itself belongs to one, such as my_campaign_1"))
	}
	return errors.Join(errs...)
}

func createDefaultConfig() component.Config {
	return &Config{
		Directory:    "./mida-data/observers",
		Allow:        Allow{Kinds: []string{"dask", "mlflow", "tasklog"}, Directories: []string{"."}, Hosts: []string{"localhost"}},
		DrainTimeout: time.Minute,
		Discover: configoptional.Default(Discover{
			MaxEntries: 20_000, MaxDepth: 6, MaxProcesses: 2000, Timeout: 3 * time.Second, Interval: 30 * time.Second,
		}),
	}
}

// Validate names every key that cannot work.
func (c *Config) Validate() error {
	var errs []error
	if c.Directory == "" {
		errs = append(errs, errors.New("directory: empty; want a directory on a local disk, such as ./mida-data/observers"))
	}
	if c.DrainTimeout <= 0 {
		errs = append(errs, fmt.Errorf("drain_timeout: %s; want a duration above 0, such as 1m", c.DrainTimeout))
	}
	if c.Discover.HasValue() {
		errs = append(errs, c.Discover.Get().validate(c.Allow.Kinds))
	}
	for i, kind := range c.Allow.Kinds {
		if _, err := component.NewType(kind); err != nil {
			errs = append(errs, fmt.Errorf("allow::kinds[%d]: %q is no type of a receiver; want one such as mlflow", i, kind))
		}
	}
	for i, dir := range c.Allow.Directories {
		if dir == "" {
			errs = append(errs, fmt.Errorf("allow::directories[%d]: empty; want a directory, such as ./logs", i))
		} else if _, err := filepath.Abs(dir); err != nil {
			errs = append(errs, fmt.Errorf("allow::directories[%d]: %q: %w", i, dir, err))
		}
	}
	for i, host := range c.Allow.Hosts {
		if host == "" {
			errs = append(errs, fmt.Errorf("allow::hosts[%d]: empty; want a name or an address, such as localhost", i))
		}
	}
	return errors.Join(errs...)
}
