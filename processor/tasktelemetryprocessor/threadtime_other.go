//go:build !linux

package tasktelemetryprocessor

// threadTime is unknown: there is nothing to sample here either.
func threadTime() float64 { return 0 }
