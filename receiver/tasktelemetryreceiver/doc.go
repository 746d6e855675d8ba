//go:generate mdatagen metadata.yaml

// Package tasktelemetryreceiver makes metrics of what the task telemetry processor samples.
package tasktelemetryreceiver
