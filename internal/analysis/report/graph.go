package report

import (
	"context"
	"slices"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Reader is the part of store.Reader that a report needs.
type Reader interface {
	lineage.Reader
	Query(ctx context.Context, q *query.Query) (*query.Answer, error)
	Tasks(ctx context.Context, ids []string) (map[string]map[string]any, error)
	Environments(ctx context.Context, digests []string) (map[string]map[string]any, error)
}

// page is how many tasks are read at a time.
const page = 500

// node is a task of the lineage.
type node struct {
	store.TaskFacts
	doc       map[string]any
	used      map[string]any // leaves
	generated map[string]any
	in, out   []lineage.Link
	claims    []store.TaskClaim
	depth     int // steps from the result
}

// graph is the lineage of one result.
type graph struct {
	nodes     map[string]*node
	order     []string // by start, then id
	links     []lineage.Link
	truncated bool
	made      map[string][]store.TaskClaim // by entity
	uses      map[string][]store.TaskClaim
	labels    map[string]string
}

// load walks backward from a task and reads all that it finds.
func (b *builder) load(ctx context.Context, id string) (*graph, error) {
	walk, err := lineage.Walk(ctx, b.reader, []string{id}, lineage.Options{Direction: lineage.Upstream, MaxTasks: b.maxTasks, TasksOnly: true})
	if err != nil {
		return nil, err
	}
	g, err := b.read(ctx, walk)
	if err != nil {
		return nil, err
	}
	g.measure(id)
	return g, nil
}

// read reads the tasks of a walk.
func (b *builder) read(ctx context.Context, walk *lineage.Graph) (*graph, error) {
	g := &graph{
		nodes: map[string]*node{}, links: walk.Links, truncated: walk.Truncated,
		made: map[string][]store.TaskClaim{}, uses: map[string][]store.TaskClaim{}, labels: map[string]string{},
	}
	for id, f := range walk.Tasks {
		g.nodes[id] = &node{TaskFacts: f, depth: -1}
		g.order = append(g.order, id)
	}
	sort.Slice(g.order, func(i, j int) bool {
		a, b := g.nodes[g.order[i]], g.nodes[g.order[j]]
		if a.StartedAt != b.StartedAt {
			return a.StartedAt < b.StartedAt
		}
		return a.ID < b.ID
	})
	for _, l := range g.links {
		if from, to := g.nodes[l.From], g.nodes[l.To]; from != nil && to != nil {
			from.out, to.in = append(from.out, l), append(to.in, l)
		}
	}
	for ids := range slices.Chunk(g.order, page) {
		docs, err := b.reader.Tasks(ctx, ids)
		if err != nil {
			return nil, err
		}
		claims, err := b.reader.ClaimsOf(ctx, ids)
		if err != nil {
			return nil, err
		}
		g.add(docs, claims)
	}
	return g, b.leaveOutputs(ctx, g)
}

func (g *graph) add(docs map[string]map[string]any, claims []store.TaskClaim) {
	for id, doc := range docs {
		n := g.nodes[id]
		if n == nil {
			continue
		}
		used, _ := doc["used"].(map[string]any)
		generated, _ := doc["generated"].(map[string]any)
		n.doc, n.used, n.generated = doc, task.Leaves(used), task.Leaves(generated)
	}
	outputs := map[string]bool{}
	for _, c := range claims {
		if c.Role == task.Generated {
			outputs[c.TaskID+c.Entity] = true
		}
	}
	for _, c := range claims {
		n := g.nodes[c.TaskID]
		if n == nil {
			continue
		}
		n.claims = append(n.claims, c)
		if c.Label != "" && (g.labels[c.Entity] == "" || len(c.Label) < len(g.labels[c.Entity])) {
			g.labels[c.Entity] = c.Label
		}
		switch {
		case c.Role == task.Generated:
			g.made[c.Entity] = append(g.made[c.Entity], c)
		case outputs[c.TaskID+c.Entity] && c.Evidence != "io" && c.Evidence != "digest" && c.Evidence != "declared" && c.Evidence != "person":
			// The name of an output is no use of it (docs/adr/008).
		default:
			g.uses[c.Entity] = append(g.uses[c.Entity], c)
		}
	}
}

// measure counts the steps from the result.
func (g *graph) measure(id string) {
	if g.nodes[id] == nil {
		return
	}
	g.nodes[id].depth = 0
	for queue := []string{id}; len(queue) > 0; queue = queue[1:] {
		here := g.nodes[queue[0]]
		for _, l := range here.in {
			if n := g.nodes[l.From]; n != nil && n.depth < 0 {
				n.depth = here.depth + 1
				queue = append(queue, n.ID)
			}
		}
	}
}

// back visits what tasks came from over the links that follow lets through, the nearest first; the tasks themselves are left out.
func (g *graph) back(from []string, follow func(lineage.Link) bool, stop func(*node) bool) []*node {
	seen := map[string]bool{}
	for _, id := range from {
		seen[id] = true
	}
	var found []*node
	for queue := slices.Clone(from); len(queue) > 0; queue = queue[1:] {
		n := g.nodes[queue[0]]
		if n == nil || stop != nil && stop(n) {
			continue
		}
		for _, l := range n.in {
			if source := g.nodes[l.From]; source != nil && !seen[source.ID] && follow(l) {
				seen[source.ID] = true
				found = append(found, source)
				queue = append(queue, source.ID)
			}
		}
	}
	return found
}

func text(doc map[string]any, key string) string {
	s, _ := doc[key].(string)
	return s
}

func mapping(doc map[string]any, key string) map[string]any {
	m, _ := doc[key].(map[string]any)
	return m
}

// entitiesOf lists what a task claims in one role, without directories that hold another of its entities.
func (n *node) entitiesOf(role task.Role, uses map[string][]store.TaskClaim) []string {
	seen := map[string]bool{}
	var out []string
	for _, c := range n.claims {
		if c.Role != role || seen[c.Entity] || !isFile(c.Entity) {
			continue
		}
		if role == task.Used && !slices.ContainsFunc(uses[c.Entity], func(u store.TaskClaim) bool { return u.TaskID == n.ID }) {
			continue
		}
		seen[c.Entity] = true
		out = append(out, c.Entity)
	}
	sort.Strings(out)
	files := make([]string, 0, len(out))
	for _, e := range out {
		if at := sort.SearchStrings(out, e+"/"); at == len(out) || !strings.HasPrefix(out[at], e+"/") {
			files = append(files, e)
		}
	}
	return files
}
