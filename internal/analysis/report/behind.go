package report

import (
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// dataset is what a task was fed: a file, or the result of another task.
type dataset struct {
	name     string
	entity   string // "" for a result that no file held
	metadata []Fact
	makers   []*node
}

// feeds says whether a link hands data on. Models and settings are none: who made them of which data is another question.
func (b *builder) feeds(l lineage.Link) bool {
	return b.carries(l) && b.names.classOf(l.Entity) != classModel
}

func (b *builder) isData(entity string) bool {
	c := b.names.classOf(entity)
	return c == classData || c == classImage
}

// dataOf lists the data that a task used.
func (b *originBuilder) dataOf(n *node) (out []dataset) {
	g, fed := b.graph, map[string]bool{}
	for _, entity := range n.entitiesOf(task.Used, g.uses) {
		if !b.isData(entity) {
			continue
		}
		d := dataset{name: g.nameOf(entity), entity: entity, metadata: b.about(g, n, entity)}
		for _, l := range n.in {
			if maker := g.nodes[l.From]; l.Entity == entity && maker != nil && !slices.Contains(d.makers, maker) {
				d.makers, fed[l.From] = append(d.makers, maker), true
			}
		}
		out = append(out, d)
	}
	for _, l := range n.in {
		if maker := g.nodes[l.From]; maker != nil && !fed[l.From] && b.feeds(l) {
			fed[l.From] = true
			out = append(out, dataset{name: "the result of " + maker.ActivityID, metadata: b.values(maker), makers: []*node{maker}})
		}
	}
	return out
}

// source is where data come from: a file, the task that made it of no other data, and the tasks between it and the data.
type source struct {
	name    string
	maker   *node // nil if nobody is known
	through []*node
}

// rawBehind lists where data come from. Many tasks used the same.
func (b *originBuilder) rawBehind(d dataset) []source {
	key := d.entity + " " + strings.Join(idsOf(d.makers), " ")
	found, known := b.behind[key]
	if !known {
		found = b.sourcesOf(d)
		b.behind[key] = found
	}
	return found
}

func (b *originBuilder) sourcesOf(d dataset) (out []source) {
	g := b.graph
	if len(d.makers) == 0 {
		return []source{{name: d.name}}
	}
	way := slices.Concat(d.makers, g.back(idsOf(d.makers), b.feeds, nil))
	g.inOrder(way)
	for _, maker := range way {
		if slices.ContainsFunc(maker.in, b.feeds) {
			continue
		}
		through := g.after(maker, way)
		var files []string
		for _, l := range maker.out {
			handed := l.Entity == d.entity || slices.ContainsFunc(through, func(n *node) bool { return n.ID == l.To })
			if handed && isFile(l.Entity) && b.isData(l.Entity) && !slices.Contains(files, l.Entity) {
				files = append(files, l.Entity)
			}
		}
		slices.Sort(files)
		for _, entity := range files {
			out = append(out, source{name: g.nameOf(entity), maker: maker, through: through})
		}
		if len(files) == 0 {
			out = append(out, source{name: "the result of " + maker.ActivityID, maker: maker, through: through})
		}
	}
	return append(out, b.madeByNobody(way)...)
}

// after lists those of some tasks that came from one of them, in their order.
func (g *graph) after(first *node, way []*node) []*node {
	within, seen := map[string]bool{}, map[string]bool{first.ID: true}
	for _, n := range way {
		within[n.ID] = true
	}
	for queue := []string{first.ID}; len(queue) > 0; queue = queue[1:] {
		for _, l := range g.nodes[queue[0]].out {
			if within[l.To] && !seen[l.To] {
				seen[l.To] = true
				queue = append(queue, l.To)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(way), func(n *node) bool { return n == first || !seen[n.ID] })
}

// madeByNobody lists the data that tasks used and nobody is known to have made.
func (b *originBuilder) madeByNobody(way []*node) (out []source) {
	seen := map[string]bool{}
	for _, user := range way {
		for _, entity := range user.entitiesOf(task.Used, b.graph.uses) {
			if !seen[entity] && b.isData(entity) && len(b.graph.made[entity]) == 0 {
				seen[entity] = true
				out = append(out, source{name: b.graph.nameOf(entity), through: append([]*node{user}, b.graph.after(user, way)...)})
			}
		}
	}
	return out
}
