package report

import (
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// roles say which part a task had in the life of a result.
type roles struct {
	training  []*node
	by        string  // how the training was recognised
	between   []*node // from the training to the result
	transform []*node // from raw data to what the training used
	makers    []*node // of raw data
	measured  []*node // makers and transformations of what the result was measured on
	earlier   []*node // the rest
}

// carries says whether a link hands data or a model on. A run's id, a value or a file of settings says what to do.
func (b *builder) carries(l lineage.Link) bool {
	switch b.names.classOf(l.Entity) {
	case classRun, classSettings:
		return false
	}
	return true
}

// leads says whether a link may lead from a result to its model, rather than to what it was measured on.
func (b *builder) leads(l lineage.Link) bool {
	if l.Evidence == lineage.Declared {
		return true
	}
	switch b.names.classOf(l.Entity) {
	case classModel, classRun:
		return true
	}
	return false
}

// assign finds the parts of all tasks.
func (b *builder) assign(g *graph, id string) *roles {
	r := &roles{}
	r.training, r.by = b.trainingOf(g, id)
	part := map[string]bool{id: true}
	mark := func(list []*node) []*node {
		for _, n := range list {
			part[n.ID] = true
		}
		return list
	}
	fresh := func(list []*node) []*node {
		return mark(slices.DeleteFunc(list, func(n *node) bool { return part[n.ID] }))
	}
	trained := idsOf(r.training)
	isTraining := func(n *node) bool { return slices.Contains(trained, n.ID) }
	mark(r.training)
	if !slices.Contains(trained, id) {
		r.between = fresh(g.between(id, trained, b.leads))
	}
	for _, n := range fresh(g.back(trained, b.carries, nil)) {
		if b.isSource(n) {
			r.makers = append(r.makers, n)
		} else {
			r.transform = append(r.transform, n)
		}
	}
	r.measured = fresh(g.back([]string{id}, b.carries, isTraining))
	for _, id := range g.order {
		if !part[id] {
			r.earlier = append(r.earlier, g.nodes[id])
		}
	}
	for _, list := range [][]*node{r.between, r.transform, r.makers, r.measured, r.training} {
		g.inOrder(list)
	}
	return r
}

func idsOf(list []*node) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.ID
	}
	return out
}

func (g *graph) inOrder(list []*node) {
	place := make(map[string]int, len(g.order))
	for i, id := range g.order {
		place[id] = i
	}
	slices.SortFunc(list, func(a, b *node) int { return place[a.ID] - place[b.ID] })
}

// between lists the tasks on the ways from the training to the result.
func (g *graph) between(id string, training []string, follow func(lineage.Link) bool) []*node {
	stop := func(n *node) bool { return slices.Contains(training, n.ID) }
	onWay := map[string]bool{}
	for _, n := range g.forward(training) {
		onWay[n.ID] = true
	}
	return slices.DeleteFunc(g.back([]string{id}, follow, stop), func(n *node) bool { return !onWay[n.ID] || stop(n) })
}

// forward lists all of the graph that came from some tasks.
func (g *graph) forward(from []string) []*node {
	seen := map[string]bool{}
	for _, id := range from {
		seen[id] = true
	}
	var found []*node
	for queue := slices.Clone(from); len(queue) > 0; queue = queue[1:] {
		for _, l := range g.nodes[queue[0]].out {
			if n := g.nodes[l.To]; n != nil && !seen[n.ID] {
				seen[n.ID] = true
				found = append(found, n)
				queue = append(queue, n.ID)
			}
		}
	}
	return found
}

// isSource says whether a task made what it made of no data of another one.
func (b *builder) isSource(n *node) bool { return !slices.ContainsFunc(n.in, b.carries) }

// trainingOf finds the tasks that made the model of a result: the nearest that train, first along models and results that
// were handed on, then along anything.
func (b *builder) trainingOf(g *graph, id string) (found []*node, by string) {
	type rule struct {
		by   string
		fits func(*node) bool
	}
	rules := []rule{
		{"it wrote a model and has hyperparameters", func(n *node) bool {
			return len(b.hyperparameters(n)) > 0 && slices.ContainsFunc(n.entitiesOf(task.Generated, nil), func(e string) bool {
				return b.names.classOf(e) == classModel
			})
		}},
		{"its activity is named like a training, and it has hyperparameters and metrics, or did not finish", func(n *node) bool {
			tells := n.Status != task.StatusFinished || len(b.metrics(n)) > 0
			return named(b.names.Training, n.ActivityID) && len(b.hyperparameters(n)) > 0 && tells
		}},
		{"it has hyperparameters, and a metric as trainings have", func(n *node) bool {
			return n.ID != id && len(b.hyperparameters(n)) > 0 && b.hasExpected(n)
		}},
	}
	self := g.nodes[id]
	for _, r := range rules[:2] {
		if r.fits(self) {
			return []*node{self}, r.by
		}
	}
	everything := func(lineage.Link) bool { return true }
	for _, r := range rules {
		for _, follow := range []func(lineage.Link) bool{b.leads, everything} {
			if found = g.nearest(id, follow, r.fits); len(found) > 0 {
				return found, r.by
			}
		}
	}
	return nil, ""
}

// nearest lists the tasks that fit and are the fewest steps away.
func (g *graph) nearest(id string, follow func(lineage.Link) bool, fits func(*node) bool) (found []*node) {
	steps := map[string]int{id: 0}
	for queue := []string{id}; len(queue) > 0; queue = queue[1:] {
		here := queue[0]
		if len(found) > 0 && steps[here] >= steps[found[0].ID] {
			break
		}
		for _, l := range g.nodes[here].in {
			n := g.nodes[l.From]
			if n == nil || !follow(l) {
				continue
			}
			if _, seen := steps[n.ID]; seen {
				continue
			}
			steps[n.ID] = steps[here] + 1
			queue = append(queue, n.ID)
			if fits(n) {
				found = append(found, n)
			}
		}
	}
	return found
}

// own are the plain values that a task was given: no results of other tasks, nothing that names a thing.
func (b *builder) own(n *node) []Fact {
	named, labels := map[string]bool{}, map[any]bool{}
	for _, c := range n.claims {
		named[c.Field], labels[c.Label] = true, true
	}
	refs := mapping(n.doc, "refs")
	var out []Fact
	for _, leaf := range sortedKeys(n.used) {
		v := n.used[leaf]
		if b.ignored(leaf) || !plain(v) {
			continue
		}
		if !b.wanted(leaf) {
			if _, result := refs[root(leaf)]; result || named["used."+leaf] || isText(v) && labels[v] || looksLikePath(leaf, v) || structural(leaf) {
				continue
			}
		}
		out = append(out, Fact{Name: leaf, Value: Value{v}})
	}
	return out
}

func isText(v any) bool { s, ok := v.(string); return ok && s != "" }

func looksLikePath(field string, v any) bool {
	s, ok := v.(string)
	return ok && entity.LooksLikePath(field, s)
}

// structural are the lists under which observers keep what a run was given.
func structural(leaf string) bool {
	switch root(leaf) {
	case "inputs", "models", "mlflow_inputs", "mlflow_models":
		return true
	}
	return false
}
