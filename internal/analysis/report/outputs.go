package report

import (
	"context"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// likewise is how many tasks of an activity are asked which of their arguments name outputs.
const likewise = 20

// leaveOutputs takes from tasks that did not end well the files that they were only to write. An argument that names a file is
// known to be an output by the task's own result, which these do not have; but others of their activity do.
func (b *builder) leaveOutputs(ctx context.Context, g *graph) error {
	type activity struct{ kind, name string }
	unended := map[activity][]*node{}
	for _, id := range g.order {
		n := g.nodes[id]
		if n.Status != task.StatusFinished && slices.ContainsFunc(n.claims, byName) {
			a := activity{n.Kind, n.ActivityID}
			unended[a] = append(unended[a], n)
		}
	}
	for a, nodes := range unended {
		outputs, err := b.outputsOf(ctx, a.kind, a.name)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			g.leave(n, outputs)
		}
	}
	return nil
}

// byName says whether a claim of a use rests on an argument alone, which may be of an output.
func byName(c store.TaskClaim) bool { return c.Role == task.Used && c.Evidence == "path" }

// outputsOf lists the arguments that named, in each task of an activity that ended well and has them, a file that it wrote.
func (b *builder) outputsOf(ctx context.Context, kind, name string) (map[string]bool, error) {
	q, err := query.Parse(map[string]any{
		"filter":     map[string]any{"kind": kind, "activity_id": name, "status": "FINISHED"},
		"projection": []any{"id"}, "limit": int64(likewise),
	})
	if err != nil {
		return nil, err
	}
	answer, err := b.reader.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(answer.Rows))
	for _, row := range answer.Rows {
		if id, ok := row["id"].(string); ok {
			ids = append(ids, id)
		}
	}
	claims, err := b.reader.ClaimsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	wrote, outputs := map[[2]string]bool{}, map[string]bool{}
	for _, c := range claims {
		if c.Role == task.Generated {
			wrote[[2]string{c.TaskID, c.Entity}] = true
		}
	}
	for _, c := range claims {
		if !byName(c) {
			continue
		}
		was, known := outputs[c.Field]
		outputs[c.Field] = wrote[[2]string{c.TaskID, c.Entity}] && (was || !known)
	}
	return outputs, nil
}

// leave takes what some arguments of a task name from its uses.
func (g *graph) leave(n *node, outputs map[string]bool) {
	of := func(c store.TaskClaim) bool { return c.TaskID == n.ID && byName(c) && outputs[c.Field] }
	for _, c := range n.claims {
		if of(c) {
			g.uses[c.Entity] = slices.DeleteFunc(g.uses[c.Entity], of)
			if len(g.uses[c.Entity]) == 0 {
				delete(g.uses, c.Entity)
			}
		}
	}
	untrue := func(l lineage.Link) bool { return l.To == n.ID && l.Evidence == "path" && outputs[l.Field] }
	for _, l := range n.in {
		if from := g.nodes[l.From]; untrue(l) && from != nil {
			from.out = slices.DeleteFunc(from.out, untrue)
		}
	}
	n.in, g.links = slices.DeleteFunc(n.in, untrue), slices.DeleteFunc(g.links, untrue)
}
