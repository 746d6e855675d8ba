// Package managedreceiver runs the observers that were registered at the controller while the collector runs.
package managedreceiver

//go:generate mdatagen metadata.yaml
