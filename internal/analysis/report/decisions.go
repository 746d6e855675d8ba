package report

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of what people said.
const (
	maxDecisions     = 500
	maxDecidedTasks  = 2_000 // looked at, beside those of the lineage
	maxTasksNamed    = 50
	fieldAnnotations = "custom.people.log.id"
	fieldExcluded    = "custom.people.excluded"
)

// Decision is what a person said of tasks or of a campaign.
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
	Tasks       []string `json:"tasks"`
	Ranks       []int    `json:"ranks"` // results whose lineage has one of its tasks

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
	people := mapping(mapping(doc, "custom"), "people")
	log, _ := people["log"].([]any)
	id := text(doc, "id")
	for _, e := range log {
		entry, ok := e.(map[string]any)
		if !ok || text(entry, "id") == "" {
			continue
		}
		d := b.decisions[text(entry, "id")]
		if d == nil {
			at, _ := number(entry["at"])
			d = &Decision{
				ID: cutText(text(entry, "id"), 200), At: b.time(int64(at*1e6) * 1000), By: cutText(text(entry, "by"), 300), BySource: cutText(text(entry, "by_source"), 50),
				Via: cutText(text(entry, "via"), 300), Note: cutText(text(entry, "note"), maxText), Action: cutText(text(entry, "action"), 300),
				Why: cutText(text(entry, "why"), maxText), TagsAdded: textsOf(entry["tags_added"]), TagsRemoved: textsOf(entry["tags_removed"]),
				CampaignID: text(doc, "campaign_id"), OfCampaign: text(doc, "kind") == task.KindPeople, Tasks: []string{}, Ranks: []int{},
			}
			if v, said := entry["excluded"].(bool); said {
				d.Excluded = Value{v}
			}
			b.decisions[text(entry, "id")] = d
		}
		if rank > 0 && !slices.Contains(d.Ranks, rank) {
			d.Ranks = append(d.Ranks, rank)
		}
		switch {
		case d.OfCampaign || slices.Contains(d.Tasks, id):
		case len(d.Tasks) < maxTasksNamed:
			d.Tasks = append(d.Tasks, id)
			d.named = append(d.named, strings.TrimSpace(cutText(text(doc, "activity_id")+" "+text(doc, "task_id"), 200)))
		default:
			d.more++
		}
	}
}

func textsOf(v any) (out []string) {
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok && len(out) < maxTasksNamed {
			out = append(out, cutText(s, 300))
		}
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

// decided adds what people said of other tasks of the campaigns, such as those that were stopped, and of the campaigns.
func (b *builder) decided(ctx context.Context, r *Report) error {
	campaigns := map[string]bool{}
	if r.Question.CampaignID != "" {
		campaigns[r.Question.CampaignID] = true
	}
	for c := range b.campaigns {
		campaigns[c] = true
	}
	delete(campaigns, "")
	var in []any
	for _, c := range sortedKeys(campaigns) {
		in = append(in, c)
	}
	if len(in) > 0 {
		q, err := query.Parse(map[string]any{
			"filter":     map[string]any{"campaign_id": map[string]any{"$in": in}, fieldAnnotations: map[string]any{"$exists": true}},
			"projection": []any{"id"}, "limit": int64(maxDecidedTasks), "sort": []any{[]any{"ended_at", "descending"}},
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
	}
	for _, id := range sortedKeys(b.decisions) {
		r.Decisions = append(r.Decisions, b.decisions[id])
	}
	sort.SliceStable(r.Decisions, func(i, j int) bool { return r.Decisions[i].At.NS > r.Decisions[j].At.NS })
	if more := len(r.Decisions) - maxDecisions; more > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d older annotations are left out", more))
		r.Decisions = r.Decisions[:maxDecisions]
	}
	return nil
}
