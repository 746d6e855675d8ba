package tasksconnector

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"

	"github.com/otelcol-mida/otelcol-mida/connector/tasksconnector/internal/metadata"
)

// NewFactory returns the factory of the tasks connector.
func NewFactory() connector.Factory {
	return connector.NewFactory(metadata.Type, createDefaultConfig,
		connector.WithLogsToTraces(createLogsToTraces, metadata.LogsToTracesStability),
		connector.WithTracesToLogs(createTracesToLogs, metadata.TracesToLogsStability))
}

func createLogsToTraces(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Traces) (connector.Logs, error) {
	tel, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	c := cfg.(*Config)
	sent, err := lru.New[spanID, struct{}](c.Remember)
	if err != nil {
		return nil, err
	}
	return &toSpans{next: next, tel: tel, logger: set.Logger, storeName: c.Store, sent: sent}, nil
}

func createTracesToLogs(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Logs) (connector.Traces, error) {
	tel, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return newToTasks(cfg.(*Config), set, tel, next), nil
}
