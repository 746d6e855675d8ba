package taskquery

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of an entity: who used it may be a million tasks, and their campaigns are found among the first of these.
const (
	maxEntity          = 4096 // bytes
	maxLookedUsers     = 10_000
	maxEntityCampaigns = 100
	factsBatch         = 500
)

// ofEntity makes a task of what a person did on an entity, in each campaign that it belongs to: that of the tasks that made
// it or, where nobody is known to have made it, those of the tasks that used it.
func (a *annotation) ofEntity(ctx context.Context, st store.Store, entity string) (campaigns []string, err error) {
	claims, err := st.ClaimsOn(ctx, []string{entity}, task.Generated)
	if err == nil && len(claims) == 0 {
		claims, err = st.ClaimsOn(ctx, []string{entity}, task.Used)
	}
	if err != nil {
		return nil, err
	}
	if len(claims) == 0 {
		return nil, &apiError{
			status: http.StatusNotFound, Field: "entity",
			Message: fmt.Sprintf("no task used or generated an entity %q; want its id, as the links of GET /api/v1/lineage have it", entity),
		}
	}
	a.entry["entity"] = entity
	var ids []string
	for _, c := range claims[:min(len(claims), maxLookedUsers)] {
		ids = append(ids, c.TaskID)
		if label, _ := a.entry["label"].(string); c.Label != "" && len(c.Label) <= maxEntity && (label == "" || len(c.Label) < len(label)) {
			a.entry["label"] = c.Label
		}
	}
	for part := range slices.Chunk(ids, factsBatch) {
		facts, err := st.Facts(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, id := range part { // in their order, so that an answer is the same each time
			if f, known := facts[id]; known && !slices.Contains(campaigns, f.CampaignID) && len(campaigns) < maxEntityCampaigns {
				campaigns = append(campaigns, f.CampaignID)
			}
		}
	}
	if len(campaigns) == 0 { // the tasks of the claims are not here yet
		campaigns = []string{""}
	}
	for _, c := range campaigns {
		a.events = append(a.events, a.ofCampaign(c))
	}
	return campaigns, nil
}
