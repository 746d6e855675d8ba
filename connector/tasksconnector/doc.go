// Package tasksconnector joins task events to traces: finished tasks become spans for any OTLP backend, and spans of any
// OTLP-instrumented program become task events.
package tasksconnector

//go:generate mdatagen metadata.yaml
