// Package taskstoreexporter writes task events into a store of the taskstore extension, and says yes only after the
// commit.
package taskstoreexporter

//go:generate mdatagen metadata.yaml
