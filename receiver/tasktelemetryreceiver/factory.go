package tasktelemetryreceiver

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper"
	"go.opentelemetry.io/collector/scraper/scraperhelper"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/samples"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasktelemetryreceiver/internal/metadata"
)

// NewFactory makes the factory of the task telemetry receiver.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(metadata.Type, createDefaultConfig, receiver.WithMetrics(createMetrics, metadata.MetricsStability))
}

func createMetrics(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	c := cfg.(*Config)
	scrape := func(context.Context) (pmetric.Metrics, error) {
		source := samples.Of(c.Processor)
		if source == nil {
			return pmetric.NewMetrics(), nil
		}
		return source.Metrics(time.Now()), nil
	}
	// Processors start before receivers.
	start := func(context.Context, component.Host) error {
		if samples.Of(c.Processor) == nil {
			set.Logger.Warn("there are no samples to make metrics of", zap.Error(
				fmt.Errorf("processor: %v is in no pipeline of this collector, or there is no /proc here", c.Processor)))
		}
		return nil
	}
	s, err := scraper.NewMetrics(scrape, scraper.WithStart(start))
	if err != nil {
		return nil, err
	}
	return scraperhelper.NewMetricsController(&c.ControllerConfig, set, next, scraperhelper.AddMetricsScraper(metadata.Type, s))
}
