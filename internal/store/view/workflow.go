package view

import (
	"cmp"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// workflowFacet gives start and end of a workflow facets of their own when their observer names none, so that the end
// need not repeat what the start said.
func workflowFacet(e *task.Event) *task.Event {
	if e.Facet != "" {
		return e
	}
	c := *e
	c.Facet = e.Name
	return &c
}

// Workflow says what the events of a workflow know together: the later one holds, and people over tools. It knows no tasks.
func Workflow(s *task.State) store.Workflow {
	var events []*task.Event
	for _, facets := range s.Attempts {
		for _, n := range facets {
			events = append(events, n.Event)
		}
	}
	sort.Slice(events, func(i, j int) bool {
		a, b := events[i], events[j]
		if x, y := a.Facet == task.FacetPeople, b.Facet == task.FacetPeople; x != y {
			return y
		}
		if a.Time != b.Time {
			return a.Time < b.Time
		}
		if a.Seq != b.Seq {
			return a.Seq < b.Seq
		}
		if a.Attempt != b.Attempt {
			return a.Attempt < b.Attempt
		}
		return a.Facet < b.Facet
	})
	var w store.Workflow
	for _, e := range events {
		w.ID = e.WorkflowID
		w.CampaignID = cmp.Or(e.Campaign, w.CampaignID)
		w.Name = cmp.Or(e.WorkflowName, w.Name)
		w.ParentID = cmp.Or(e.WorkflowParentID, w.ParentID)
		w.Kind = cmp.Or(e.Kind, w.Kind)
		if e.Facet == task.FacetPeople {
			continue // when people decided is no time of the workflow
		}
		for _, t := range []int64{e.SubmittedAt, e.StartedAt, e.EndedAt, e.When()} {
			w.FirstAt, w.LastAt = Span(w.FirstAt, w.LastAt, t, t)
		}
	}
	return w
}

// Span widens the time from first to last by that from f to l, all in unix ns; 0 = unknown.
func Span(first, last, f, l int64) (int64, int64) {
	if f != 0 && (first == 0 || f < first) {
		first = f
	}
	return first, max(last, l)
}
