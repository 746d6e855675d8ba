package lineage

import (
	"cmp"
	"context"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// Group is what tasks are collapsed to: an activity of a tool in a campaign.
type Group struct{ Campaign, Kind, Activity string }

// GroupOf returns the group of a task.
func GroupOf(f store.TaskFacts) Group {
	return Group{Campaign: f.CampaignID, Kind: f.Kind, Activity: f.ActivityID}
}

// GroupLink is all links that lead from the tasks of one group to those of another, or of the same.
type GroupLink struct {
	From, To      Group
	Links         int64
	Producers     int64 // different tasks at either end
	Consumers     int64
	Evidence      map[string]int64 // links by evidence
	Doubts        int64            // links whose confidence was lowered
	MinConfidence float64
	MaxConfidence float64
	Example       Link
	from, to      map[string]bool
}

// chunk is how many tasks are linked at a time.
const chunk = 1000

// Collapse derives the links that lead to the given tasks and collapses them by group. Producers may lie outside of ids.
func Collapse(ctx context.Context, r Reader, ids []string) ([]GroupLink, error) {
	w := &walker{r: r, graph: &Graph{}, links: map[Link]bool{}}
	found := map[[2]Group]*GroupLink{}
	for part := range slices.Chunk(ids, chunk) {
		links, _, err := w.producers(ctx, part)
		if err != nil {
			return nil, err
		}
		ends := map[string]bool{}
		for _, l := range links {
			ends[l.From], ends[l.To] = true, true
		}
		facts, err := r.Facts(ctx, keys(ends))
		if err != nil {
			return nil, err
		}
		sortLinks(links)
		for _, l := range links {
			from, ok1 := facts[l.From]
			to, ok2 := facts[l.To]
			if !ok1 || !ok2 {
				continue // a declared edge to a task that has not arrived yet
			}
			key := [2]Group{GroupOf(from), GroupOf(to)}
			if found[key] == nil {
				found[key] = &GroupLink{
					From: key[0], To: key[1], Evidence: map[string]int64{}, MinConfidence: 1, Example: l,
					from: map[string]bool{}, to: map[string]bool{},
				}
			}
			found[key].add(l)
		}
	}
	list := make([]GroupLink, 0, len(found))
	for _, g := range found {
		g.Producers, g.Consumers = int64(len(g.from)), int64(len(g.to))
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b GroupLink) int {
		return cmp.Or(compareGroups(a.From, b.From), compareGroups(a.To, b.To))
	})
	return list, nil
}

func compareGroups(a, b Group) int {
	return cmp.Or(cmp.Compare(a.Campaign, b.Campaign), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Activity, b.Activity))
}

func (g *GroupLink) add(l Link) {
	g.Links++
	g.Evidence[l.Evidence]++
	if l.Doubt != "" {
		g.Doubts++
	}
	g.MinConfidence, g.MaxConfidence = min(g.MinConfidence, l.Confidence), max(g.MaxConfidence, l.Confidence)
	if l.Confidence > g.Example.Confidence {
		g.Example = l
	}
	g.from[l.From], g.to[l.To] = true, true
}
