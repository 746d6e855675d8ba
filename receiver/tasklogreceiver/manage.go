package tasklogreceiver

import (
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
)

var _ control.Manageable = (*Config)(nil)

// Reach implements control.Manageable.
func (c *Config) Reach() ([]control.Place, error) {
	var places []control.Place
	for _, glob := range c.Include {
		places = append(places, control.Place{Key: "include", Path: glob})
	}
	if c.RulesFile != "" {
		places = append(places, control.Place{Key: "rules_file", Path: c.RulesFile})
	}
	return places, nil
}

// Keep implements control.Manageable.
func (c *Config) Keep(storage component.ID, _ string) { c.Storage = &storage }
