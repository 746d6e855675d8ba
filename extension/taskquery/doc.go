// Package taskquery answers queries over a store of tasks by REST: what tasks used and generated, their campaigns and
// workflows, where results came from, and how complete the view is.
package taskquery

//go:generate mdatagen metadata.yaml
