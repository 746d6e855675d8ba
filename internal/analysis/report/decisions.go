package report

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of what people said.
const (
	maxDecisions     = 500
	maxDecidedTasks  = 2_000 // looked at, beside those of the lineage
	maxTasksNamed    = 50
	fieldAnnotations = "custom.people.log.id"
	fieldExcluded    = "custom.people.excluded"
	fieldEntity      = "custom.people.log.entity"
)

// Decision is what a person said of tasks, of an entity, or of a campaign.
type Decision struct {
	ID          string   `json:"id"`
	At          Time     `json:"at"`
	By          string   `json:"by"`
	BySource    string   `json:"by_source"` // authenticated, stated, collector
	Via         string   `json:"via,omitempty"`
	Note        string   `json:"note,omitempty"`
	Action      string   `json:"action,omitempty"`
	Why         string   `json:"why,omitempty"`
	TagsAdded   []string `json:"tags_added,omitempty"`
	TagsRemoved []string `json:"tags_removed,omitempty"`
	Excluded    Value    `json:"excluded"`
	CampaignID  string   `json:"campaign_id"`
	OfCampaign  bool     `json:"of_campaign"`
	Entity      string   `json:"entity,omitempty"`
	EntityName  string   `json:"entity_name,omitempty"` // as tasks name it
	Tasks       []string `json:"tasks"`
	Ranks       []int    `json:"ranks"` // results whose lineage has one of its tasks, or the entity

	named []string // tasks as people call them
	more  int
}

// What is what was said, in one line.
func (d *Decision) What() string {
	var parts []string
	add := func(name, text string) {
		if text != "" {
			parts = append(parts, name+text)
		}
	}
	add("", d.Action)
	switch d.Excluded.V {
	case true:
		parts = append(parts, "excluded")
	case false:
		parts = append(parts, "included again")
	}
	for _, t := range d.TagsAdded {
		add("+", t)
	}
	for _, t := range d.TagsRemoved {
		add("-", t)
	}
	add("", d.Note)
	return strings.Join(parts, "; ")
}

// Who is who said it, and how that is known.
func (d *Decision) Who() string {
	who := d.By + " (" + d.BySource + ")"
	if d.Via != "" {
		who += " by " + d.Via
	}
	return who
}

// On is what it was said of.
func (d *Decision) On() string {
	if d.OfCampaign {
		return "campaign " + d.CampaignID
	}
	names := slices.Clone(d.named[:min(5, len(d.named))])
	if d.Entity != "" {
		names = []string{d.EntityName}
	}
	if more := len(d.named) - len(names) + d.more; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	text := strings.Join(names, ", ")
	if len(d.Ranks) > 0 {
		ranks := make([]string, len(d.Ranks))
		for i, r := range d.Ranks {
			ranks[i] = fmt.Sprint(r)
		}
		text += " (in the life of result " + strings.Join(ranks, ", ") + ")"
	}
	return text
}

// hear notes what people said of a task; rank is that of the result to whose lineage it belongs, 0 = none.
func (b *builder) hear(doc map[string]any, rank int) {
	id := text(doc, "id")
	name := strings.TrimSpace(cutText(text(doc, "activity_id")+" "+text(doc, "task_id"), 200))
	var last *Decision // of whether the task counts
	for _, a := range task.AnnotationsOf(doc) {
		d := b.decisions[a.ID]
		if d == nil {
			d = b.decision(a)
			d.CampaignID = text(doc, "campaign_id")
			b.decisions[a.ID] = d
		}
		if rank > 0 && !slices.Contains(d.Ranks, rank) {
			d.Ranks = append(d.Ranks, rank)
		}
		switch {
		case d.OfCampaign || d.Entity != "" || slices.Contains(d.Tasks, id):
		case len(d.Tasks) < maxTasksNamed:
			d.Tasks = append(d.Tasks, id)
			d.named = append(d.named, name)
		default:
			d.more++
		}
		if a.Excluded != nil && !d.OfCampaign && d.Entity == "" {
			last = d
		}
	}
	if rank > 0 && last != nil && last.Excluded.V == true {
		b.doubt(rank, name, last)
	}
}

// doubt is what a result goes back to and people excluded in one go: a task, and so many more.
type doubt struct {
	rank int
	name string
	more int
	by   *Decision
}

func (b *builder) doubt(rank int, name string, by *Decision) {
	for i := range b.doubts {
		if d := &b.doubts[i]; d.rank == rank && d.by == by {
			d.more++
			return
		}
	}
	b.doubts = append(b.doubts, doubt{rank: rank, name: name, by: by})
}

func (b *builder) decision(a task.Annotation) *Decision {
	d := &Decision{
		ID: cutText(a.ID, 200), At: b.time(a.At), By: cutText(a.By, 300), BySource: cutText(a.BySource, 50), Via: cutText(a.Via, 300),
		Note: cutText(a.Note, maxText), Action: cutText(a.Action, 300), Why: cutText(a.Why, maxText), TagsAdded: cutTexts(a.TagsAdded),
		TagsRemoved: cutTexts(a.TagsRemoved), OfCampaign: a.OfCampaign, Tasks: []string{}, Ranks: slices.Clone(b.entities[a.Entity]),
	}
	if d.Ranks == nil {
		d.Ranks = []int{}
	}
	if a.OfEntity {
		d.Entity, d.EntityName = cutText(a.Entity, maxText), cutText(a.Label, 300)
		if d.EntityName == "" {
			d.EntityName = cutText(a.Entity, 300)
		}
	}
	if a.Excluded != nil {
		d.Excluded = Value{*a.Excluded}
	}
	return d
}

func cutTexts(list []string) (out []string) {
	for _, s := range list[:min(len(list), maxTasksNamed)] {
		out = append(out, cutText(s, 300))
	}
	return out
}

// goBack notes which things the life of a result goes back to.
func (b *builder) goBack(g *graph, rank int) {
	for _, by := range []map[string][]store.TaskClaim{g.made, g.uses} {
		for entity := range by {
			if !slices.Contains(b.entities[entity], rank) {
				b.entities[entity] = append(b.entities[entity], rank)
			}
		}
	}
}

// doubtful says which results go back to what people excluded. They are ranked all the same: that a file is bad does not make
// the number of a result another one.
func (b *builder) doubtful(r *Report) {
	settled := map[string]bool{} // by the latest annotation that says so
	for _, d := range r.Decisions {
		v, said := d.Excluded.V.(bool)
		if d.Entity == "" || !said || settled[d.Entity] {
			continue
		}
		settled[d.Entity] = true
		if v && len(d.Ranks) > 0 {
			r.Warnings = append(r.Warnings, goesBack(strings.Trim(strings.ReplaceAll(fmt.Sprint(d.Ranks), " ", ", "), "[]"), d.EntityName, d))
		}
	}
	for _, t := range b.doubts {
		name := t.name
		if t.more > 0 {
			name += fmt.Sprintf(" and %d more tasks", t.more)
		}
		r.Warnings = append(r.Warnings, goesBack(fmt.Sprint(t.rank), name, t.by))
	}
}

func goesBack(results, name string, d *Decision) string {
	return fmt.Sprintf("result %s goes back to %s, which %s excluded: %s", results, name, d.By, d.Why)
}

// hearAll notes what people said of the tasks that match.
func (b *builder) hearAll(ctx context.Context, r *Report, filter any) error {
	q, err := query.Parse(map[string]any{
		"filter": filter, "projection": []any{"id"}, "limit": int64(maxDecidedTasks), "sort": []any{[]any{"ended_at", "descending"}},
	})
	if err != nil {
		return err
	}
	answer, err := b.reader.Query(ctx, q)
	if err != nil {
		return err
	}
	if more := answer.Total - int64(len(answer.Rows)); more > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d more tasks have annotations; those of %d are shown", more, maxDecidedTasks))
	}
	var ids []string
	for _, row := range answer.Rows {
		ids = append(ids, text(row, "id"))
	}
	for part := range slices.Chunk(ids, page) {
		docs, err := b.reader.Tasks(ctx, part)
		if err != nil {
			return err
		}
		for _, id := range part {
			b.hear(docs[id], 0)
		}
	}
	return nil
}

func anyOf(list []string) (out []any) {
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

// leftOut says how many tasks are not ranked because people excluded them.
func (b *builder) leftOut(ctx context.Context, o Options, r *Report) error {
	o.K = 1
	q, err := o.question(map[string]any{fieldExcluded: true})
	if err != nil {
		return err
	}
	answer, err := b.reader.Query(ctx, q)
	if err == nil && answer.Total > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d tasks that have the metric are left out: people excluded them", answer.Total))
	}
	return err
}

// decided adds what people said of the campaigns, of other tasks of these, such as those that were stopped, and of what the
// lineages go back to, which may be of other campaigns.
func (b *builder) decided(ctx context.Context, r *Report) error {
	campaigns := map[string]bool{}
	if r.Question.CampaignID != "" {
		campaigns[r.Question.CampaignID] = true
	}
	for c := range b.campaigns {
		campaigns[c] = true
	}
	delete(campaigns, "")
	var filters []any
	if in := anyOf(sortedKeys(campaigns)); len(in) > 0 {
		filters = append(filters, map[string]any{"campaign_id": map[string]any{"$in": in}, fieldAnnotations: map[string]any{"$exists": true}})
	}
	for part := range slices.Chunk(sortedKeys(b.entities), page) {
		filters = append(filters, map[string]any{"kind": task.KindPeople, fieldEntity: map[string]any{"$in": anyOf(part)}})
	}
	for _, filter := range filters {
		if err := b.hearAll(ctx, r, filter); err != nil {
			return err
		}
	}
	for _, id := range sortedKeys(b.decisions) {
		r.Decisions = append(r.Decisions, b.decisions[id])
	}
	sort.SliceStable(r.Decisions, func(i, j int) bool { return r.Decisions[i].At.NS > r.Decisions[j].At.NS })
	b.doubtful(r)
	if more := len(r.Decisions) - maxDecisions; more > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d older annotations are left out", more))
		r.Decisions = r.Decisions[:maxDecisions]
	}
	return nil
}
