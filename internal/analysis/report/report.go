package report

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/artifact"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of a report. What is beyond is named as omitted.
const (
	MaxK         = 20
	DefaultK     = 3
	maxPlots     = 60
	maxModels    = 20
	maxFileList  = 1000
	maxSteps     = 1000
	maxLinks     = 2000
	lineageTasks = 20_000
	costTasks    = 5_000 // of the trials of each result: a search may have a hundred thousand, and somebody waits
)

// Options of a report.
type Options struct {
	Campaign string
	K        int
	Metric   string // a field of the query language
	Order    string // ascending, descending
	Filter   any    // of the query language
	Names    Conventions
	Files    *artifact.Reader
	MaxTasks int                // of one lineage; 0 = as many as a report takes
	ShowTime func(ns int64) any // how times leave the API
}

type builder struct {
	reader       Reader
	trials       *remembering
	names        Conventions
	files        *artifact.Reader
	showTime     func(int64) any
	maxTasks     int
	environments map[string]map[string]any
	given        map[string][]Fact
	looked       map[string]*looked
	wished       map[string]wish
	omitted      []string
	decisions    map[string]*Decision // by annotation
	doubts       []doubt
	campaigns    map[string]bool  // of the results
	entities     map[string][]int // ranks of the results whose lineage has the entity
}

// Question is the query that a report asks: the tasks that have the metric and fit more, the best first.
func (o Options) question(more ...any) (*query.Query, error) {
	filters := append([]any{map[string]any{o.Metric: map[string]any{"$exists": true}}}, more...)
	if o.Campaign != "" {
		filters = append(filters, map[string]any{"campaign_id": o.Campaign})
	}
	if o.Filter != nil {
		if _, err := query.ParseFilter(o.Filter); err != nil {
			return nil, err
		}
		filters = append(filters, o.Filter)
	}
	return query.Parse(map[string]any{
		"filter": map[string]any{"$and": filters}, "projection": []any{"id", o.Metric},
		"sort": []any{[]any{o.Metric, o.Order}}, "limit": int64(o.K),
	})
}

// Validate says what is wrong with a question, as an error of the query language.
func (o Options) Validate() error {
	if o.Metric == "" {
		return &query.Error{Field: "metric", Problem: "missing; want the field by which results are ranked, such as generated.loss"}
	}
	if _, err := query.LookupField("metric", o.Metric); err != nil {
		return err
	}
	if o.K < 1 || o.K > MaxK {
		return &query.Error{Field: "k", Problem: fmt.Sprintf("%d; want a number of results from 1 to %d", o.K, MaxK)}
	}
	if orders := []string{"ascending", "descending"}; !slices.Contains(orders, o.Order) {
		return &query.Error{Field: "order", Problem: fmt.Sprintf("unknown order %q", o.Order), Valid: orders, Suggestion: query.Nearest(o.Order, orders)}
	}
	return nil
}

// Build asks for the best results and follows each back to where it came from. The query is returned for hints about fields
// that no task has.
func Build(ctx context.Context, reader Reader, o Options) (*Report, *query.Query, *query.Answer, error) {
	if err := o.Validate(); err != nil {
		return nil, nil, nil, err
	}
	q, err := o.question()
	if err != nil {
		return nil, nil, nil, err
	}
	ranked, err := o.question(map[string]any{fieldExcluded: map[string]any{"$ne": true}})
	if err != nil {
		return nil, nil, nil, err
	}
	answer, err := reader.Query(ctx, ranked)
	if err != nil {
		return nil, nil, nil, err
	}
	b := &builder{
		reader: reader, names: o.Names.withUsual(), files: o.Files, showTime: o.ShowTime, maxTasks: o.MaxTasks,
		environments: map[string]map[string]any{}, given: map[string][]Fact{}, looked: map[string]*looked{}, wished: map[string]wish{},
		decisions: map[string]*Decision{}, campaigns: map[string]bool{}, trials: &remembering{Reader: reader, docs: map[string]map[string]any{}}, entities: map[string][]int{},
	}
	if b.files == nil {
		b.files = artifact.NewReader(nil)
	}
	if b.maxTasks == 0 {
		b.maxTasks = lineageTasks
	}
	r := &Report{
		Version: Version, MadeAt: b.time(time.Now().UnixNano()), Total: answer.Total, Results: []*Result{}, Decisions: []*Decision{}, Warnings: []string{},
		Question: Question{CampaignID: o.Campaign, K: o.K, Metric: o.Metric, Order: o.Order, Filter: Value{o.Filter}},
	}
	r.Warnings = append(r.Warnings, answer.Warnings...)
	if err := b.leftOut(ctx, o, r); err != nil {
		return nil, nil, nil, err
	}
	for _, row := range answer.Rows {
		id, _ := row["id"].(string)
		v := row[o.Metric]
		if _, ok := number(v); !ok {
			r.Warnings = append(r.Warnings, fmt.Sprintf("task %s is left out: its %s is %s, which is no number to rank by", id, o.Metric, cutText(task.JSON(v), 100)))
			continue
		}
		result, err := b.result(ctx, id, len(r.Results)+1)
		if err != nil {
			return nil, nil, nil, err
		}
		result.Rank, result.Value = len(r.Results)+1, Value{v}
		r.Results = append(r.Results, result)
	}
	if err := b.decided(ctx, r); err != nil {
		return nil, nil, nil, err
	}
	return r, q, answer, nil
}

func (b *builder) time(ns int64) Time {
	if ns == 0 {
		return Time{}
	}
	t := Time{NS: ns}
	if b.showTime != nil {
		t.Shown = b.showTime(ns)
	} else {
		t.Shown = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
	}
	return t
}

func (b *builder) omit(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if !slices.Contains(b.omitted, s) {
		b.omitted = append(b.omitted, s)
	}
}

// result is the life of one task.
func (b *builder) result(ctx context.Context, id string, rank int) (*Result, error) {
	b.omitted = []string{}
	g, err := b.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := b.readEnvironments(ctx, g); err != nil {
		return nil, err
	}
	self := g.nodes[id]
	b.campaigns[self.CampaignID] = true
	b.goBack(g, rank)
	for _, id := range g.order {
		b.hear(g.nodes[id].doc, rank)
	}
	r := b.assign(g, id)
	out := &Result{
		Task: b.task(self), Metrics: bounded(b.metrics(self)), Parameters: bounded(b.own(self)), Plots: b.plots(ctx, g, id),
		Training: []*Training{}, TrainingBy: r.by, Models: b.modelFiles(ctx, g, r, id), Between: b.steps(g, r.between),
		Transformations: b.steps(g, r.transform), Earlier: b.steps(g, r.earlier), Settings: b.settings(ctx, g),
	}
	for _, n := range r.training {
		out.Training = append(out.Training, b.training(ctx, g, n))
	}
	out.Raw = b.raw(ctx, g, r)
	out.Later = []*Step{}
	if !slices.Contains(idsOf(r.training), id) {
		out.Evaluation = b.evaluation(ctx, g, r, id, out.Raw)
	} else {
		after, nodes, err := b.later(ctx, id)
		if err != nil {
			return nil, err
		}
		if after != nil {
			out.Later = b.steps(after, nodes)
			out.Plots = append(out.Plots, b.laterPlots(ctx, after, nodes)...)
		}
	}
	out.Lineage = b.lineage(g, id, r)
	if out.Cost, err = b.cost(ctx, id); err != nil {
		return nil, err
	}
	out.Reproduce = b.reproduce(g, out)
	out.NotRecorded = out.gaps()
	out.Omitted = b.omitted
	if out.Lineage.Truncated {
		out.Omitted = append(out.Omitted, fmt.Sprintf("tasks of the lineage after the first %d", b.maxTasks))
	}
	return out, nil
}

func (b *builder) readEnvironments(ctx context.Context, g *graph) error {
	var digests []string
	for _, n := range g.nodes {
		d := text(n.doc, "environment")
		if _, known := b.environments[d]; d != "" && !known && !slices.Contains(digests, d) {
			digests = append(digests, d)
		}
	}
	for part := range slices.Chunk(digests, page) {
		records, err := b.reader.Environments(ctx, part)
		if err != nil {
			return err
		}
		for d, record := range records {
			b.environments[d] = record
		}
	}
	return nil
}

func (b *builder) task(n *node) Task {
	failed := mapping(n.doc, "error")
	why := strings.Trim(text(failed, "type")+": "+text(failed, "message"), ": ")
	return Task{
		ID: n.ID, TaskID: cutText(n.TaskID, 500), Kind: n.Kind, ActivityID: cutText(n.ActivityID, 300), Workflow: cutText(n.WorkflowName, 300),
		WorkflowID: cutText(n.WorkflowID, 300), Status: n.Status.String(), Host: orNull(text(n.doc, "host")), User: orNull(text(n.doc, "user")),
		StartedAt: b.time(n.StartedAt), EndedAt: b.time(n.EndedAt), Elapsed: elapsed(n.doc), Error: cutText(why, 500),
	}
}
