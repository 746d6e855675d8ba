// Package taskstore owns the named stores of a collector: it opens them before pipelines start, lends them to the
// exporter and the query extension, keeps dead letters, and closes them last.
package taskstore

//go:generate mdatagen metadata.yaml
