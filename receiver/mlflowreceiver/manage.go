package mlflowreceiver

import (
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
)

var _ control.Manageable = (*Config)(nil)

// Reach implements control.Manageable.
func (c *Config) Reach() ([]control.Place, error) {
	source, err := c.source()
	if err != nil {
		return nil, err
	}
	places := source.places()
	if c.BaseDir != "" {
		places = append(places, control.Place{Key: "base_dir", Path: c.BaseDir})
	}
	return places, nil
}

// Keep implements control.Manageable.
func (c *Config) Keep(storage component.ID, _ string) { c.StorageID = &storage }
