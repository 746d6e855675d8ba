// Package sqlite is the default store: one embedded database file, no server.
//
// # Shape
//
//	tasks      one narrow row a task: the promoted columns, in the order of arrival (n)
//	leaves     n → the leaves of the task's maps as two flat JSONB objects: what queries look at
//	states     n → task.State as its canonical JSON: the truth; everything else is derived from it
//	edges, claims, environments, workflows, entities, observers, seqs
//
// The blobs are apart from the columns so that counts, lists and filters on columns do not read them. The document of a
// task is projected from its state when it is read. A table is never keyed by a random id: rows are appended, and one
// unique index leads from the id to n.
//
// # Writing
//
//	Write ──▶ group events by task, encode ──▶ queue ──▶ writer: BEGIN, merge, write what changed, COMMIT ──▶ nil
//
// Concurrent Write calls share one transaction: the writer takes everything that waits. Nothing else writes, so its
// cache of recent states is exact. Readers have connections of their own and wait for nobody.
package sqlite
