package taskquery

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of a list of annotations.
const (
	defaultAnnotations = 200
	maxAnnotations     = 1_000
	maxListedTasks     = 2_000 // annotated tasks that are looked at
	maxNamedTasks      = 50    // tasks of one annotation that are named
	maxEntitiesOfTask  = 1_000
)

// said is one annotation with all that it is on.
type said struct {
	task.Annotation
	campaigns []string
	tasks     []any
	more      int
}

// annotations answers GET /api/v1/annotations?campaign_id=…|id=…|entity=…: what people said, the latest first.
func (s *server) annotations(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	given := r.URL.Query()
	limit := defaultAnnotations
	if v := given.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxAnnotations {
			return nil, &query.Error{Field: "limit", Problem: fmt.Sprintf("%q; want a number from 1 to %d", v, maxAnnotations)}
		}
	}
	if ids := given["id"]; len(ids) > 1 {
		return nil, &query.Error{Field: "id", Problem: fmt.Sprintf("given %d times; want it once", len(ids))}
	}
	onTasks := true
	if v := given.Get("tasks"); v != "" {
		if onTasks, err = flag(r, "tasks"); err != nil {
			return nil, err
		}
	}
	filters, err := annotated(ctx, st, given.Get("campaign_id"), given.Get("id"), given.Get("entity"), onTasks)
	if err != nil {
		return nil, err
	}
	found, more, err := listAnnotations(ctx, st, filters)
	if err != nil {
		return nil, err
	}
	form, _ := timeForm(r) // checked before
	listed := found[:min(len(found), limit)]
	makers, err := makersOf(ctx, st, listed)
	if err != nil {
		return nil, err
	}
	rows := []any{}
	for _, a := range listed {
		m := a.show(form)
		if id := makers[a.Entity]; id != "" {
			m["generated_by"] = id
		}
		rows = append(rows, m)
	}
	return map[string]any{"annotations": rows, "total": int64(len(found)), "truncated": more || len(rows) < len(found)}, nil
}

// annotated are the filters that find the tasks which carry the annotations asked for. Of a task these are its own, and those
// of what it used and generated.
func annotated(ctx context.Context, st store.Store, campaign, id, entity string, onTasks bool) ([]any, error) {
	all := map[string]any{"custom.people.log.id": map[string]any{"$exists": true}}
	if !onTasks { // then no other task is looked at, however many there are
		all["kind"] = task.KindPeople
	}
	onEntity := func(entities ...any) map[string]any {
		return map[string]any{"kind": task.KindPeople, "custom.people.log.entity": map[string]any{"$in": entities}}
	}
	within := func(filter map[string]any) map[string]any {
		if campaign != "" {
			filter["campaign_id"] = campaign
		}
		return filter
	}
	switch {
	case id != "" && entity != "":
		return nil, &query.Error{Field: "entity", Problem: "given together with id; want one of them", Valid: []string{"id", "entity"}}
	case entity != "":
		return []any{within(onEntity(entity))}, nil
	case id == "":
		return []any{within(all)}, nil
	}
	id, err := resolveID(ctx, st, "id", id)
	if err != nil {
		return nil, err
	}
	claims, err := st.ClaimsOf(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	var entities []any
	for _, c := range claims {
		if len(entities) < maxEntitiesOfTask && !slices.Contains(entities, any(c.Entity)) {
			entities = append(entities, c.Entity)
		}
	}
	filters := []any{within(map[string]any{"id": id, "custom.people.log.id": map[string]any{"$exists": true}})}
	if len(entities) > 0 {
		filters = append(filters, onEntity(entities...))
	}
	return filters, nil
}

// listAnnotations reads the annotations of all tasks that match one of the filters.
func listAnnotations(ctx context.Context, st store.Store, filters []any) (list []*said, more bool, err error) {
	byID := map[string]*said{}
	for _, filter := range filters {
		q, err := query.Parse(map[string]any{
			"filter": filter, "projection": []any{"id"}, "sort": []any{[]any{"ended_at", "descending"}}, "limit": int64(maxListedTasks),
		})
		if err != nil {
			return nil, false, err
		}
		answer, err := st.Query(ctx, q)
		if err != nil {
			return nil, false, err
		}
		more = more || answer.Total > int64(len(answer.Rows))
		var ids []string
		for _, row := range answer.Rows {
			id, _ := row["id"].(string)
			ids = append(ids, id)
		}
		for part := range slices.Chunk(ids, factsBatch) {
			docs, err := st.Tasks(ctx, part)
			if err != nil {
				return nil, false, err
			}
			for _, id := range part {
				collect(byID, docs[id])
			}
		}
	}
	for _, a := range byID {
		list = append(list, a)
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].At != list[j].At {
			return list[i].At > list[j].At
		}
		return list[i].ID < list[j].ID
	})
	return list, more, nil
}

// makersOf names for each entity a task that generated it, if one is known: from there its lineage is reached.
func makersOf(ctx context.Context, st store.Store, list []*said) (map[string]string, error) {
	var entities []string
	for _, a := range list {
		if a.OfEntity && !slices.Contains(entities, a.Entity) {
			entities = append(entities, a.Entity)
		}
	}
	makers := map[string]string{}
	for part := range slices.Chunk(entities, factsBatch) {
		claims, err := st.ClaimsOn(ctx, part, task.Generated)
		if err != nil {
			return nil, err
		}
		for _, c := range claims {
			if m := makers[c.Entity]; m == "" || c.TaskID < m { // the same in each answer
				makers[c.Entity] = c.TaskID
			}
		}
	}
	return makers, nil
}

func collect(byID map[string]*said, doc map[string]any) {
	for _, one := range task.AnnotationsOf(doc) {
		a := byID[one.ID]
		if a == nil {
			a = &said{Annotation: one}
			byID[one.ID] = a
		}
		if campaign, _ := doc["campaign_id"].(string); !slices.Contains(a.campaigns, campaign) {
			a.campaigns = append(a.campaigns, campaign)
		}
		switch {
		case one.OfCampaign || one.OfEntity:
		case len(a.tasks) == maxNamedTasks:
			a.more++
		default:
			a.tasks = append(a.tasks, map[string]any{"id": doc["id"], "task_id": doc["task_id"], "activity_id": doc["activity_id"], "campaign_id": doc["campaign_id"]})
		}
	}
}

func (a *said) show(form clock) map[string]any {
	of := "tasks"
	switch {
	case a.OfEntity:
		of = "entity"
	case a.OfCampaign:
		of = "campaign"
	}
	m := map[string]any{"id": a.ID, "of": of, "campaigns": a.campaigns, "by": a.By, "by_source": a.BySource}
	form.instant(m, "at", a.At)
	for key, text := range map[string]string{"via": a.Via, "note": a.Note, "action": a.Action, "why": a.Why, "entity": a.Entity, "label": a.Label} {
		if text != "" {
			m[key] = text
		}
	}
	for key, tags := range map[string][]string{"tags_added": a.TagsAdded, "tags_removed": a.TagsRemoved} {
		if len(tags) > 0 {
			m[key] = tags
		}
	}
	if a.Excluded != nil {
		m["excluded"] = *a.Excluded
	}
	if of == "tasks" {
		m["tasks"], m["tasks_total"] = a.tasks, int64(len(a.tasks)+a.more)
	}
	return m
}
