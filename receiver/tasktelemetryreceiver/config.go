package tasktelemetryreceiver

import (
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/scraper/scraperhelper"
)

// Config of the task telemetry receiver.
type Config struct {
	scraperhelper.ControllerConfig `mapstructure:",squash"`

	// Processor is the task telemetry processor whose samples these are. It must be in a pipeline of this collector.
	Processor component.ID `mapstructure:"processor"`
}

func createDefaultConfig() component.Config {
	c := scraperhelper.NewDefaultControllerConfig()
	c.CollectionInterval = 15 * time.Second
	return &Config{ControllerConfig: c, Processor: component.NewID(component.MustNewType("tasktelemetry"))}
}
