// Package provenanceprocessor gives the things that tasks used and generated one identity each and records a claim for
// every one: (task, used or generated, entity, time, evidence, confidence). It is stateless: links between tasks are
// derived from claims by the store, in any order of arrival.
package provenanceprocessor

//go:generate mdatagen metadata.yaml
