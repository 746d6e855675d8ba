package daskreceiver

import (
	"net"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/journal"
)

var _ control.Manageable = (*Config)(nil)

// Reach implements control.Manageable. Hosts that scheduler files name are the business of who may write these files;
// schedulers of other
// users and hosts need allow_foreign_owner, which is not theirs to set.
func (c *Config) Reach() ([]control.Place, error) {
	if c.AllowForeignOwner {
		return nil, &control.Refusal{Field: "config::allow_foreign_owner", Problem: "only the configuration of the collector can say so; leave it out"}
	}
	places := []control.Place{{Key: "journal::directory", Path: c.Journal.Directory}}
	for _, s := range c.Schedulers {
		if a, err := parseAddress(s); err == nil {
			host, _, _ := net.SplitHostPort(a.host) // parseAddress did it before
			places = append(places, control.Place{Key: "schedulers", Host: host})
		}
	}
	for _, glob := range c.SchedulerFiles {
		places = append(places, control.Place{Key: "scheduler_files", Path: glob})
	}
	if c.TLS.HasValue() {
		t := c.TLS.Get()
		if t.TPMConfig.Enabled {
			return nil, &control.Refusal{Field: "config::tls::tpm", Problem: "only the configuration of the collector can say so; leave it out"}
		}
		for key, path := range map[string]string{"tls::ca_file": t.CAFile, "tls::cert_file": t.CertFile, "tls::key_file": t.KeyFile} {
			if path != "" {
				places = append(places, control.Place{Key: key, Path: path})
			}
		}
	}
	return places, nil
}

// Keep implements control.Manageable: plugins of this observer write into a directory of its own.
func (c *Config) Keep(_ component.ID, directory string) {
	if c.Journal.Directory == journal.DefaultDirectory() {
		c.Journal.Directory = directory
	}
}
