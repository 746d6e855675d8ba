// Package elastic is the store for teams that outgrow one machine: the view in Elasticsearch 8 or OpenSearch 2.
//
// Truth is the state of each task, which Go merges (task.State) and writes back only over the version that it read. What
// is indexed beside it narrows down which tasks a query is about; the answer is computed from exact values in Go, so that
// it equals every other store's. See docs/elasticsearch.md and docs/adr/009-elastic-layout.md.
package elastic
