// Package querytest runs the query scripts of internal/query/testdata, and random queries, against anything that takes
// task events and answers queries. What a query means is in the scripts; the reference evaluator is their first reader.
//
// A script is a list of commands; # starts a comment line:
//
//	# contract: query.md: …                   the sentence of docs/query.md that the cases up to the next such line test;
//	                                          there may be several, one a line
//	load                                      tasks follow, one JSON object a line, indented
//	  {"task_id": "a", "used": {"layers": 1}} kind, scope, status FINISHED, … may be given; times are in seconds
//	clear                                     forget all tasks
//	filter {"used.layers": 1}                 a filter; the task_ids that match follow, in their order
//	  a
//	query {"projection": ["task_id"]}         a whole query; expectations follow:
//	  {"task_id": "a"}                        a row, in order
//	  total: 2                                the total, if other than the number of rows
//	  warning: generated.loss                 part of a warning
//	  truncated                               there is a next page
//	  live                                    its cursor is not stable
//	  error: did you mean "used"              part of the error; filter takes it too
//
// Every query without a limit is also read in pages of two, which must give the same rows.
package querytest

import (
	"context"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Target is what the scripts run against.
type Target interface {
	// Load merges the events into the view.
	Load(ctx context.Context, events []*task.Event) error
	// Query answers a validated query.
	Query(ctx context.Context, q *query.Query) (*query.Answer, error)
}

// FromStore makes a target of a store.
func FromStore(s store.Store) Target { return storeTarget{s} }

type storeTarget struct{ store.Store }

func (s storeTarget) Load(ctx context.Context, events []*task.Event) error {
	rejected, err := s.Write(ctx, events)
	if err == nil && len(rejected) > 0 {
		err = fmt.Errorf("%d events rejected, first: %w", len(rejected), rejected[0].Err)
	}
	return err
}

// Reference returns a target that answers with query.Evaluate.
func Reference() Target {
	return &reference{states: map[string]*task.State{}, environments: map[string]map[string]any{}}
}

type reference struct {
	order        []string
	states       map[string]*task.State
	environments map[string]map[string]any
}

func (r *reference) Load(_ context.Context, events []*task.Event) error {
	for _, e := range events {
		if e.Name == task.EventEnvironment {
			r.environments[e.Environment], _ = e.Record.(map[string]any)
			continue
		}
		id := e.ID()
		if r.states[id] == nil {
			r.states[id] = &task.State{}
			r.order = append(r.order, id)
		}
		r.states[id].Apply(e)
	}
	return nil
}

func (r *reference) Query(_ context.Context, q *query.Query) (*query.Answer, error) {
	docs := make([]map[string]any, 0, len(r.order))
	for _, id := range r.order {
		doc := task.Project(r.states[id]).Map()
		if digest, ok := doc["environment"].(string); ok {
			delete(doc, "environment")
			if record := r.environments[digest]; record != nil {
				doc["environment"] = record
			}
		}
		docs = append(docs, doc)
	}
	return query.Evaluate(docs, q)
}
