package lineage

import (
	"context"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Sum is what tasks used. Of a number that n tasks share, each counts the n-th part: where all of them are counted, so is the
// whole, and never more.
type Sum struct {
	Tasks                                int
	Joules, CO2e, CPUSeconds, GPUSeconds Total
	Elapsed                              Total // seconds
	Shared                               int   // tasks of which a number was of several
	EarlierAttempts                      int   // attempts before the last one, of which no numbers are kept
}

// Total is a sum over the tasks that have the number, and how many those are.
type Total struct {
	Value float64
	Of    int
}

// Cost is what the tasks used from which something came.
type Cost struct {
	Lineage Sum // they themselves and all they came from
	// Trials are tasks that were an alternative to one of these and were not taken (docs/provenance.md).
	Trials    Sum
	TrialsOf  map[string]int // by activity
	Truncated bool           // there are more than were counted
}

// CostReader is the part of store.Reader that costs need.
type CostReader interface {
	Reader
	Query(ctx context.Context, q *query.Query) (*query.Answer, error)
	Tasks(ctx context.Context, ids []string) (map[string]map[string]any, error)
}

// costPage is how many documents are read at a time.
const costPage = 500

// CostOf adds up what some tasks and all that they came from used, however far that is, and what the trials did that were
// discarded on the way. Beyond maxTasks of either it stops, and says so.
func CostOf(ctx context.Context, r CostReader, ids []string, maxTasks int) (*Cost, error) {
	graph, err := Walk(ctx, r, ids, Options{Direction: Upstream, MaxTasks: maxTasks, TasksOnly: true})
	if err != nil {
		return nil, err
	}
	c := &Cost{Truncated: graph.Truncated, TrialsOf: map[string]int{}}
	groups := map[group]*taken{}
	err = documents(ctx, r, keys(graph.Tasks), func(id string, doc map[string]any) {
		c.Lineage.add(doc)
		g, ok := groupOf(doc)
		if !ok {
			return
		}
		if groups[g] == nil {
			groups[g] = &taken{scores: map[string]bool{}}
		}
		groups[g].ids = append(groups[g].ids, id)
		for leaf := range scores(doc) {
			groups[g].scores[leaf] = true
		}
	})
	if err != nil {
		return nil, err
	}
	names := make([]group, 0, len(groups))
	for g, t := range groups {
		if len(t.scores) > 0 {
			names = append(names, g)
		}
	}
	sort.Slice(names, func(i, j int) bool { return names[i].less(names[j]) })
	for _, g := range names {
		if err := c.trials(ctx, r, g, groups[g], graph.Tasks, maxTasks); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// group is what a trial has in common with the task that was taken in its place.
type group struct{ campaign, kind, scope, workflow, activity, parent string }

func (g group) less(o group) bool {
	a := []string{g.campaign, g.kind, g.scope, g.workflow, g.activity, g.parent}
	for i, b := range []string{o.campaign, o.kind, o.scope, o.workflow, o.activity, o.parent} {
		if a[i] != b {
			return a[i] < b
		}
	}
	return false
}

type taken struct {
	ids    []string
	scores map[string]bool // leaves of generated that are numbers
}

func groupOf(doc map[string]any) (g group, ok bool) {
	text := func(key string) string { s, _ := doc[key].(string); return s }
	g = group{text("campaign_id"), text("kind"), text("scope"), text("workflow_id"), text("activity_id"), text("parent")}
	return g, g.workflow != "" && g.activity != ""
}

// scores are the numbers by which results can be compared.
func scores(doc map[string]any) map[string]bool {
	generated, _ := doc["generated"].(map[string]any)
	out := map[string]bool{}
	for leaf, v := range task.Leaves(generated) {
		switch v.(type) {
		case float64, int64:
			out[leaf] = true
		}
	}
	return out
}

// trials adds the alternatives of one group: tasks that ended, made a number that those that were taken made too or failed, do
// not go on from a taken one, and whose results nobody used but those who used a taken one's as well.
func (c *Cost) trials(ctx context.Context, r CostReader, g group, t *taken, closure map[string]store.TaskFacts, maxTasks int) error {
	filter := map[string]any{"kind": g.kind, "workflow_id": g.workflow, "activity_id": g.activity}
	for key, v := range map[string]string{"campaign_id": g.campaign, "scope": g.scope} {
		if v != "" {
			filter[key] = v
		}
	}
	siblings, err := c.idsOf(ctx, r, filter, closure, maxTasks)
	if err != nil {
		return err
	}
	found := map[string]map[string]any{}
	err = documents(ctx, r, siblings, func(id string, doc map[string]any) {
		if other, ok := groupOf(doc); ok && other == g && comparable(doc, t.scores) {
			found[id] = doc
		}
	})
	if err != nil || len(found) == 0 {
		return err
	}
	consumers, err := consumersOf(ctx, r, keys(found))
	if err != nil {
		return err
	}
	after, err := Walk(ctx, r, t.ids, Options{Direction: Downstream, MaxTasks: maxTasks, TasksOnly: true})
	if err != nil {
		return err
	}
	c.Truncated = c.Truncated || after.Truncated
	compares, was := map[string]bool{}, set(t.ids)
	for _, l := range after.Links {
		compares[l.To] = compares[l.To] || was[l.From]
	}
	for _, id := range keys(found) {
		_, later := after.Tasks[id] // it goes on from what was taken: no alternative to it
		discarded := !later
		for _, by := range consumers[id] {
			discarded = discarded && compares[by]
		}
		if discarded {
			c.Trials.add(found[id])
			c.TrialsOf[g.activity]++
		}
	}
	return nil
}

// comparable says whether a task's result could be compared with others that made these numbers; one that failed made none.
func comparable(doc map[string]any, with map[string]bool) bool {
	switch doc["status"] {
	case task.StatusFailed.String(), task.StatusCancelled.String():
		return true
	case task.StatusFinished.String():
	default:
		return false
	}
	for leaf := range scores(doc) {
		if with[leaf] {
			return true
		}
	}
	return false
}

// idsOf lists the tasks that fit a filter and are not in the closure.
func (c *Cost) idsOf(ctx context.Context, r CostReader, filter map[string]any, closure map[string]store.TaskFacts, most int) ([]string, error) {
	var out []string
	question := map[string]any{"filter": filter, "projection": []any{"id"}, "sort": []any{"id"}, "limit": int64(min(query.MaxLimit, most))}
	for {
		q, err := query.Parse(question)
		if err != nil {
			return nil, err
		}
		answer, err := r.Query(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, row := range answer.Rows {
			id, _ := row["id"].(string)
			if _, in := closure[id]; !in && id != "" {
				out = append(out, id)
			}
		}
		if answer.NextCursor == "" {
			return out, nil
		}
		if len(out) >= most {
			c.Truncated = true
			return out[:most], nil // by id, which is a hash: a fair sample
		}
		question["cursor"] = answer.NextCursor
	}
}

// consumersOf lists who used the results of tasks.
func consumersOf(ctx context.Context, r Reader, ids []string) (map[string][]string, error) {
	g, err := Walk(ctx, r, ids, Options{Direction: Downstream, Depth: 1, TasksOnly: true})
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, l := range g.Links {
		out[l.From] = append(out[l.From], l.To)
	}
	return out, nil
}

// documents reads those of tasks, page by page.
func documents(ctx context.Context, r CostReader, ids []string, each func(id string, doc map[string]any)) error {
	for len(ids) > 0 {
		page := ids[:min(costPage, len(ids))]
		ids = ids[len(page):]
		docs, err := r.Tasks(ctx, page)
		if err != nil {
			return err
		}
		for _, id := range keys(docs) {
			each(id, docs[id])
		}
	}
	return nil
}

// Names of metrics that are added up (docs/telemetry.md).
const (
	cpuTime   = "process.cpu.time"
	gpuTime   = "task.gpu.time"
	energy    = "task.energy"
	energyCPU = "task.energy.cpu"
	energyGPU = "task.energy.gpu"
	co2e      = "task.co2e"
)

var sharedBy = regexp.MustCompile(`shared_by=(\d+)`)

func (s *Sum) add(doc map[string]any) {
	s.Tasks++
	attempts, _ := doc["attempts"].([]any)
	s.EarlierAttempts += len(attempts)
	s.Elapsed.add(query.Elapsed(doc))
	delta, _ := doc["telemetry_delta"].(map[string]any)
	whose, _ := doc["telemetry_coverage"].(map[string]any)
	shared := false
	of := func(name string) (v float64, ok bool) {
		switch n := delta[name].(type) {
		case float64:
			v, ok = n, true
		case int64:
			v, ok = float64(n), true
		}
		words, _ := whose[name].(string)
		if m := sharedBy.FindStringSubmatch(words); ok && m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n > 1 {
				v, shared = v/float64(n), true
			}
		}
		return v, ok
	}
	if words, _ := whose[cpuTime].(string); !strings.HasPrefix(words, "host") {
		s.CPUSeconds.add(of(cpuTime))
	}
	s.GPUSeconds.add(of(gpuTime))
	ofCPU, byCPU := of(energyCPU)
	ofGPU, byGPU := of(energyGPU)
	s.Joules.add(ofCPU+ofGPU, byCPU || byGPU)
	if grams, ok := delta[co2e].(float64); ok {
		if all, ok := delta[energy].(float64); ok && all > 0 { // as much of it as of the energy
			grams *= (ofCPU + ofGPU) / all
		}
		s.CO2e.add(grams, true)
	}
	if shared {
		s.Shared++
	}
}

func (t *Total) add(v float64, ok bool) {
	if ok {
		t.Value += v
		t.Of++
	}
}

// Plus adds two sums.
func (s Sum) Plus(o Sum) Sum {
	plus := func(a, b Total) Total { return Total{a.Value + b.Value, a.Of + b.Of} }
	return Sum{
		Tasks: s.Tasks + o.Tasks, Joules: plus(s.Joules, o.Joules), CO2e: plus(s.CO2e, o.CO2e), CPUSeconds: plus(s.CPUSeconds, o.CPUSeconds),
		GPUSeconds: plus(s.GPUSeconds, o.GPUSeconds), Elapsed: plus(s.Elapsed, o.Elapsed), Shared: s.Shared + o.Shared, EarlierAttempts: s.EarlierAttempts + o.EarlierAttempts,
	}
}
