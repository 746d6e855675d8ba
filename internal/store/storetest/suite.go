// Package storetest is the conformance suite of stores (docs/conformance.md): the same cases, each with the sentence of the
// contract that it tests, run against every implementation.
package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/query/querytest"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Factory makes stores for the suite, which closes none of them: the factory does, with t.Cleanup.
type Factory interface {
	// New opens an empty store.
	New(t *testing.T) store.Store
	// Reopen closes a store of New and opens what it holds again, as the next process would.
	Reopen(t *testing.T, s store.Store) store.Store
	// OpenBackup opens the copy that Backup wrote.
	OpenBackup(t *testing.T, path string) store.Store
}

// Capabilities says what an implementation does not do. The zero value runs every case.
type Capabilities struct {
	NoBackup  bool // Backup is an error
	NoScripts bool // the query scripts of internal/query are run elsewhere
}

type testCase struct {
	name     string
	contract string // "<file in docs>: <its sentence>"
	run      func(t *testing.T, f Factory)
	skip     func(Capabilities) bool
}

var groups = []struct {
	name  string
	cases []testCase
}{
	{"write", writeCases}, {"merge", mergeCases}, {"values", valueCases}, {"links", linkCases}, {"lineage", lineageCases},
	{"overview", overviewCases}, {"completeness", completenessCases}, {"answers", answerCases}, {"scan", scanCases}, {"admin", adminCases},
	{"transfer", transferCases},
}

// Run runs the suite.
func Run(t *testing.T, f Factory, c Capabilities) {
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			for _, tc := range group.cases {
				t.Run(tc.name, func(t *testing.T) {
					t.Attr("contract", tc.contract)
					if tc.skip != nil && tc.skip(c) {
						t.Skip("the implementation does not have this capability")
					}
					tc.run(t, f)
				})
			}
		})
	}
	if !c.NoScripts {
		t.Run("queries", func(t *testing.T) {
			querytest.Run(t, func(t *testing.T) querytest.Target { return querytest.FromStore(f.New(t)) })
		})
	}
}

// finished is an event that ends a task.
func finished(key string, change ...func(*task.Event)) *task.Event {
	e := &task.Event{
		Name: task.EventFinished, Time: 100, Kind: "dask", Scope: "S", Key: key, Attempt: task.NoAttempt, Facet: "worker",
		Status: task.StatusFinished, Campaign: "c", WorkflowID: "w", WorkflowName: "search", Activity: "train",
		StartedAt: 1_000, EndedAt: 3_000,
	}
	for _, f := range change {
		f(e)
	}
	return e
}

func write(t *testing.T, s store.Store, events ...*task.Event) {
	t.Helper()
	rejected, err := s.Write(context.Background(), events)
	require.NoError(t, err)
	require.Empty(t, rejected)
}

// document returns the stored document of an event's task.
func document(t *testing.T, s store.Store, e *task.Event) map[string]any {
	t.Helper()
	docs, err := s.Tasks(t.Context(), []string{e.ID()})
	require.NoError(t, err)
	require.Contains(t, docs, e.ID())
	return docs[e.ID()]
}

// expected is the document that a store must have after these events.
func expected(events ...*task.Event) map[string]any {
	state := &task.State{}
	for _, e := range events {
		state.Apply(e)
	}
	return task.Project(state).Map()
}

func requireDocument(t *testing.T, s store.Store, events ...*task.Event) {
	t.Helper()
	// As text: NaN is not equal to itself, and 1 must not pass for 1.0.
	require.Equal(t, task.JSON(expected(events...)), task.JSON(document(t, s, events[0])))
}

// ask runs a query given as JSON.
func ask(t *testing.T, s store.Store, body string, args ...any) *query.Answer {
	t.Helper()
	q, err := query.ParseJSON(fmt.Appendf(nil, body, args...))
	require.NoError(t, err)
	a, err := s.Query(t.Context(), q)
	require.NoError(t, err)
	return a
}
