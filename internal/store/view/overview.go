package view

import (
	"maps"
	"slices"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// Overview puts the workflows of a campaign together, of what their tasks and their own events say. Tasks without a
// workflow are counted under the workflow "", a workflow whose tasks are in several campaigns in each of them.
type Overview struct {
	campaign string
	byKey    map[overviewKey]*store.Workflow
	byID     map[string][]*store.Workflow
}

type overviewKey struct{ campaign, id string }

// NewOverview returns an empty overview of a campaign ("" = all).
func NewOverview(campaign string) *Overview {
	return &Overview{campaign, map[overviewKey]*store.Workflow{}, map[string][]*store.Workflow{}}
}

func (o *Overview) of(campaign, id string) *store.Workflow {
	k := overviewKey{campaign, id}
	w := o.byKey[k]
	if w == nil {
		w = &store.Workflow{ID: id, CampaignID: campaign, ByStatus: map[string]int64{}}
		o.byKey[k] = w
		o.byID[id] = append(o.byID[id], w)
	}
	return w
}

// Tasks counts tasks of one campaign, workflow and status, which t sums up. All of them come before Declare.
func (o *Overview) Tasks(status string, t store.Workflow) {
	w := o.of(t.CampaignID, t.ID)
	// Tasks may disagree about the name of their workflow; the choice must not depend on the order of the rows.
	w.Name, w.ParentID, w.Kind = max(w.Name, t.Name), max(w.ParentID, t.ParentID), max(w.Kind, t.Kind)
	w.Tasks += t.Tasks
	w.ByStatus[status] += t.Tasks
	w.FirstAt, w.LastAt = Span(w.FirstAt, w.LastAt, t.FirstAt, t.LastAt)
}

// Declare adds what the events of a workflow say. What they say of name and parent holds over what the tasks say. A
// workflow that has tasks is listed in the campaigns of its tasks, which people may have changed; of one that has none
// here, and would be listed in its own campaign, alone is true: it is for Alone, unless it has tasks elsewhere.
func (o *Overview) Declare(d store.Workflow) (alone bool) {
	of := o.byID[d.ID]
	for _, w := range of {
		declare(w, d)
	}
	return len(of) == 0 && (o.campaign == "" || o.campaign == d.CampaignID)
}

// Alone lists a workflow that has no tasks.
func (o *Overview) Alone(d store.Workflow) { declare(o.of(d.CampaignID, d.ID), d) }

func declare(w *store.Workflow, d store.Workflow) {
	if d.Name != "" {
		w.Name = d.Name
	}
	if d.ParentID != "" {
		w.ParentID = d.ParentID
	}
	if w.Kind == "" {
		w.Kind = d.Kind
	}
	w.FirstAt, w.LastAt = Span(w.FirstAt, w.LastAt, d.FirstAt, d.LastAt)
}

// Workflows lists them by campaign, first moment and id.
func (o *Overview) Workflows() []store.Workflow {
	list := make([]store.Workflow, 0, len(o.byKey))
	for _, w := range o.byKey {
		list = append(list, *w)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.CampaignID != b.CampaignID {
			return a.CampaignID < b.CampaignID
		}
		if a.FirstAt != b.FirstAt {
			return a.FirstAt < b.FirstAt
		}
		return a.ID < b.ID
	})
	return list
}

// IDs are the ids of the workflows, each once.
func (o *Overview) IDs() []string { return slices.Collect(maps.Keys(o.byID)) }

// Campaigns sums up workflows, those of tasks without a workflow (id "") included, by rising id of the campaign.
func Campaigns(workflows []store.Workflow) []store.Campaign {
	byID := map[string]*store.Campaign{}
	for _, w := range workflows {
		c := byID[w.CampaignID]
		if c == nil {
			c = &store.Campaign{ID: w.CampaignID, ByStatus: map[string]int64{}}
			byID[w.CampaignID] = c
		}
		c.Tasks += w.Tasks
		if w.ID != "" {
			c.Workflows++
		}
		for status, n := range w.ByStatus {
			c.ByStatus[status] += n
		}
		c.FirstAt, c.LastAt = Span(c.FirstAt, c.LastAt, w.FirstAt, w.LastAt)
	}
	out := make([]store.Campaign, 0, len(byID))
	for _, c := range byID {
		out = append(out, *c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}
