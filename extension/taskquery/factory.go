package taskquery

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/otelcol-mida/otelcol-mida/extension/taskquery/internal/metadata"
)

// NewFactory returns the factory of the taskquery extension.
func NewFactory() extension.Factory {
	return extension.NewFactory(metadata.Type, createDefaultConfig, create, metadata.ExtensionStability)
}

func create(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	s := &server{config: cfg.(*Config), set: set, telemetry: telemetry}
	s.correlations = make(chan struct{}, correlations)
	s.reports = make(chan struct{}, reports)
	return s, nil
}
