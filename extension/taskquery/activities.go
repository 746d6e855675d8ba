package taskquery

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

const (
	lineageSample     = 5_000
	mostLineageSample = 50_000
	namesOfWorkflows  = 5 // shown of a group
)

// lineageOfActivities answers GET /api/v1/lineage/activities: the lineage of all tasks that match, collapsed by activity.
// The tasks are counted; the links are those that lead to a sample of them.
func (s *server) lineageOfActivities(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	filter, err := filterOf(r)
	if err != nil {
		return nil, err
	}
	most, err := number(r, "sample", lineageSample, 1, mostLineageSample)
	if err != nil {
		return nil, err
	}
	groups, truncated, err := groupsOf(ctx, st, filter)
	if err != nil {
		return nil, err
	}
	id, _ := query.LookupField("", "id")
	var ids []string
	total, err := st.Scan(ctx, &query.Scan{Filter: filter, Fields: []query.Field{id}, First: most}, func(row []any) error {
		if s, ok := row[0].(string); ok {
			ids = append(ids, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(ids) // the example of a link is the first of the best
	links, err := lineage.Collapse(ctx, st, ids)
	if err != nil {
		return nil, err
	}
	return showGroups(groups, links, int64(len(ids)), total, truncated), nil
}

// group is an activity with its tasks.
type group struct {
	lineage.Group
	tasks     int64
	byStatus  map[string]int64
	workflows []string
	more      bool // there are more workflows than are named
	outside   bool // no task of it matches the filter, but one made what a matching task used
}

// groupsOf counts the tasks that match by activity.
func groupsOf(ctx context.Context, st store.Reader, filter query.Filter) ([]*group, bool, error) {
	q := &query.Query{Filter: filter, Limit: query.MaxLimit}
	for _, name := range []string{"campaign_id", "kind", "activity_id", "status", "workflow_name"} {
		f, _ := query.LookupField("", name)
		q.Projection = append(q.Projection, f)
	}
	id, _ := query.LookupField("", "id")
	q.Aggregation = []query.Aggregate{{Op: query.Count, Field: id}}
	answer, err := st.Query(ctx, q)
	if err != nil {
		return nil, false, err
	}
	byGroup := map[lineage.Group]*group{}
	for _, row := range answer.Rows {
		text := func(name string) string { s, _ := row[name].(string); return s }
		key := lineage.Group{Campaign: text("campaign_id"), Kind: text("kind"), Activity: text("activity_id")}
		g := byGroup[key]
		if g == nil {
			g = &group{Group: key, byStatus: map[string]int64{}}
			byGroup[key] = g
		}
		n, _ := row[query.ColumnCount].(int64)
		g.tasks += n
		g.byStatus[text("status")] += n
		if name := text("workflow_name"); name != "" && !slices.Contains(g.workflows, name) {
			if g.more = len(g.workflows) == namesOfWorkflows; !g.more {
				g.workflows = append(g.workflows, name)
			}
		}
	}
	list := make([]*group, 0, len(byGroup))
	for _, g := range byGroup {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.Campaign, b.Campaign), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Activity, b.Activity))
	})
	return list, answer.Truncated, nil
}

func showGroups(groups []*group, links []lineage.GroupLink, looked, total int64, truncated bool) map[string]any {
	index := map[lineage.Group]int64{}
	for i, g := range groups {
		index[g.Group] = int64(i)
	}
	edges := make([]any, len(links))
	for i, l := range links {
		for _, end := range []lineage.Group{l.From, l.To} {
			if _, known := index[end]; !known {
				index[end] = int64(len(groups))
				groups = append(groups, &group{Group: end, outside: true})
			}
		}
		edges[i] = map[string]any{
			"from": index[l.From], "to": index[l.To], "links": l.Links, "producers": l.Producers, "consumers": l.Consumers,
			"evidence": counts(l.Evidence), "doubts": l.Doubts, "min_confidence": l.MinConfidence, "max_confidence": l.MaxConfidence,
			"example": link(l.Example),
		}
	}
	nodes := make([]any, len(groups))
	for i, g := range groups {
		m := map[string]any{
			"campaign_id": g.Campaign, "kind": g.Kind, "activity_id": g.Activity, "tasks": g.tasks, "by_status": counts(g.byStatus),
			"workflow_names": g.workflows,
		}
		if g.workflows == nil {
			m["workflow_names"] = []string{}
		}
		if g.more {
			m["more_workflows"] = true
		}
		if g.outside {
			m["outside"] = true
		}
		nodes[i] = m
	}
	return map[string]any{"activities": nodes, "links": edges, "looked_at": looked, "total": total, "truncated": truncated}
}
