// Package daskreceiver observes Dask: it reads the journals that the plugins in schedulers and workers write on this
// node, and brings the plugin to running clusters.
package daskreceiver

//go:generate mdatagen metadata.yaml
