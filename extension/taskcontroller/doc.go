// Package taskcontroller keeps the observers that clients register while the collector runs, and runs them in the
// pipeline that the managed receiver lends to it.
package taskcontroller

//go:generate mdatagen metadata.yaml
