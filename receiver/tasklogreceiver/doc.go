//go:generate mdatagen metadata.yaml

// Package tasklogreceiver reads logs of programs that know nothing of it and turns their lines into task events, as
// declared by rules (docs/log-rules.md).
package tasklogreceiver
