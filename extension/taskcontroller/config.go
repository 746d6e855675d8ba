package taskcontroller

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/component"
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

func createDefaultConfig() component.Config {
	return &Config{
		Directory:    "./mida-data/observers",
		Allow:        Allow{Kinds: []string{"dask", "mlflow", "tasklog"}, Directories: []string{"."}, Hosts: []string{"localhost"}},
		DrainTimeout: time.Minute,
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
