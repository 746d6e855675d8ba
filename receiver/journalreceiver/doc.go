// Package journalreceiver takes journals over HTTP, from nodes that have no collector (docs/journal.md).
package journalreceiver

//go:generate mdatagen metadata.yaml
