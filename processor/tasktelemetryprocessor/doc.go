// Package tasktelemetryprocessor joins the resource use of processes on this node to the tasks that ran in them.
package tasktelemetryprocessor

//go:generate mdatagen metadata.yaml
