package report

import (
	"context"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// Bounds of what is told of the time after a training.
const (
	laterSteps = 3
	laterTasks = 200
)

// later finds the tasks that used the model of a training, or a copy of it: they evaluated it, mostly. Nil when there are none.
func (b *builder) later(ctx context.Context, id string) (*graph, []*node, error) {
	all := &lineage.Graph{Tasks: map[string]store.TaskFacts{}}
	seen := map[string]bool{id: true}
	frontier := []string{id}
	for step := 0; step < laterSteps && len(frontier) > 0; step++ {
		next, err := lineage.Walk(ctx, b.reader, frontier, lineage.Options{Direction: lineage.Downstream, Depth: 1, MaxTasks: laterTasks, TasksOnly: true})
		if err != nil {
			return nil, nil, err
		}
		frontier = nil
		for _, l := range next.Links {
			handed := l.Evidence == lineage.Declared || b.names.classOf(l.Entity) == classModel
			if _, known := next.Tasks[l.To]; !known || !handed || seen[l.To] {
				continue
			}
			if len(seen) > laterTasks {
				b.omit("tasks that used the model after the first %d", laterTasks)
				break
			}
			seen[l.To] = true
			all.Tasks[l.To] = next.Tasks[l.To]
			frontier = append(frontier, l.To)
		}
	}
	if len(all.Tasks) == 0 {
		return nil, nil, nil
	}
	g, err := b.read(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	nodes := make([]*node, 0, len(g.order))
	for _, id := range g.order {
		nodes = append(nodes, g.nodes[id])
	}
	return g, nodes, nil
}
