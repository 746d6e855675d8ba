package lineage

import (
	"context"
	"fmt"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Direction of a walk.
type Direction string

// The directions: to what a task came from, to what came from it, or both.
const (
	Upstream   Direction = "upstream"
	Downstream Direction = "downstream"
	Both       Direction = "both"
)

// ParseDirection reads a direction.
func ParseDirection(s string) (Direction, error) {
	switch d := Direction(s); d {
	case Upstream, Downstream, Both:
		return d, nil
	}
	return "", fmt.Errorf("direction: %q; want upstream, downstream or both", s)
}

// Reader is the part of store.Reader that lineage needs.
type Reader interface {
	Facts(ctx context.Context, ids []string) (map[string]store.TaskFacts, error)
	ClaimsOf(ctx context.Context, taskIDs []string) ([]store.TaskClaim, error)
	ClaimsOn(ctx context.Context, entities []string, role task.Role) ([]store.TaskClaim, error)
	Dependents(ctx context.Context, ids []string) ([]store.Edge, error)
	Dependencies(ctx context.Context, ids []string) ([]store.Edge, error)
}

// Options of a walk.
type Options struct {
	Direction Direction
	Depth     int  // steps from the start; 0 = no limit
	MaxTasks  int  // 0 = no limit; what is beyond makes the graph Truncated
	TasksOnly bool // without entities
}

// Graph is what a walk found. Entities are those of the links and those that the visited tasks claim.
type Graph struct {
	Tasks     map[string]store.TaskFacts
	Entities  []Entity
	Links     []Link
	Truncated bool
}

// Entity is a node of a graph, and which of the graph's tasks claim it.
type Entity struct {
	ID          string
	Label       string // as a task named it
	UsedBy      []string
	GeneratedBy []string
}

// Walk follows links from the given tasks. Unknown tasks are an error (store.ErrNotFound). Cycles end where they began.
func Walk(ctx context.Context, r Reader, ids []string, o Options) (*Graph, error) {
	w := &walker{r: r, o: o, graph: &Graph{Tasks: map[string]store.TaskFacts{}}, links: map[Link]bool{}}
	facts, err := r.Facts(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		f, ok := facts[id]
		if !ok {
			return nil, fmt.Errorf("task %q: %w", id, store.ErrNotFound)
		}
		w.graph.Tasks[id] = f
	}
	if o.Direction != Downstream {
		if err := w.walk(ctx, ids, w.producers); err != nil {
			return nil, err
		}
	}
	if o.Direction != Upstream {
		if err := w.walk(ctx, ids, w.consumers); err != nil {
			return nil, err
		}
	}
	for l := range w.links {
		w.graph.Links = append(w.graph.Links, l)
	}
	sortLinks(w.graph.Links)
	if o.TasksOnly {
		return w.graph, nil
	}
	return w.graph, w.entities(ctx)
}

type walker struct {
	r     Reader
	o     Options
	graph *Graph
	links map[Link]bool
}

type step func(ctx context.Context, frontier []string) ([]Link, func(Link) string, error)

func (w *walker) walk(ctx context.Context, frontier []string, next step) error {
	visited := map[string]bool{}
	for _, id := range frontier {
		visited[id] = true
	}
	for depth := 0; len(frontier) > 0 && (w.o.Depth == 0 || depth < w.o.Depth); depth++ {
		links, far, err := next(ctx, frontier)
		if err != nil {
			return err
		}
		sortLinks(links)
		var found []string
		for _, l := range links {
			if id := far(l); !visited[id] {
				visited[id] = true
				found = append(found, id)
			}
		}
		facts, err := w.r.Facts(ctx, found)
		if err != nil {
			return err
		}
		frontier = frontier[:0:0]
		for _, id := range found {
			f, ok := facts[id]
			if !ok {
				continue // a declared edge to a task that has not arrived yet
			}
			if w.o.MaxTasks > 0 && len(w.graph.Tasks) >= w.o.MaxTasks {
				if _, known := w.graph.Tasks[id]; !known {
					w.graph.Truncated = true
					continue
				}
			}
			w.graph.Tasks[id] = f
			frontier = append(frontier, id)
		}
		for _, l := range links {
			if _, ok := w.graph.Tasks[far(l)]; ok {
				w.links[l] = true
			}
		}
	}
	return nil
}

// producers finds the links that end at the frontier.
func (w *walker) producers(ctx context.Context, frontier []string) ([]Link, func(Link) string, error) {
	own, err := w.r.ClaimsOf(ctx, frontier)
	if err != nil {
		return nil, nil, err
	}
	uses := map[string][]store.TaskClaim{}
	for _, c := range own {
		if c.Role == task.Used {
			uses[c.Entity] = append(uses[c.Entity], c)
		}
	}
	generations, err := w.r.ClaimsOn(ctx, keys(uses), task.Generated)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range generations {
		uses[c.Entity] = append(uses[c.Entity], c)
	}
	links, err := w.derive(ctx, uses, set(frontier))
	if err != nil {
		return nil, nil, err
	}
	edges, err := w.r.Dependencies(ctx, frontier)
	if err != nil {
		return nil, nil, err
	}
	return append(links, declared(edges)...), func(l Link) string { return l.From }, nil
}

// consumers finds the links that start at the frontier.
func (w *walker) consumers(ctx context.Context, frontier []string) ([]Link, func(Link) string, error) {
	own, err := w.r.ClaimsOf(ctx, frontier)
	if err != nil {
		return nil, nil, err
	}
	made := map[string][]store.TaskClaim{}
	for _, c := range own {
		if c.Role == task.Generated {
			made[c.Entity] = nil
		}
	}
	all, err := w.r.ClaimsOn(ctx, keys(made), "")
	if err != nil {
		return nil, nil, err
	}
	for _, c := range all {
		made[c.Entity] = append(made[c.Entity], c)
	}
	derived, err := w.derive(ctx, made, nil)
	if err != nil {
		return nil, nil, err
	}
	in := set(frontier)
	links := derived[:0]
	for _, l := range derived {
		if in[l.From] {
			links = append(links, l)
		}
	}
	edges, err := w.r.Dependents(ctx, frontier)
	if err != nil {
		return nil, nil, err
	}
	return append(links, declared(edges)...), func(l Link) string { return l.To }, nil
}

func (w *walker) derive(ctx context.Context, byEntity map[string][]store.TaskClaim, of map[string]bool) ([]Link, error) {
	tasks := map[string]bool{}
	for _, claims := range byEntity {
		for _, c := range claims {
			tasks[c.TaskID] = true
		}
	}
	facts, err := w.r.Facts(ctx, keys(tasks))
	if err != nil {
		return nil, err
	}
	var links []Link
	for _, entity := range keys(byEntity) {
		links = append(links, Links(byEntity[entity], facts, of)...)
	}
	return links, nil
}

// declared turns the edges that a tool declared into links. A parent is structure, not data: it makes none.
func declared(edges []store.Edge) []Link {
	links := make([]Link, 0, len(edges))
	for _, e := range edges {
		if e.Parent || e.From == e.To {
			continue
		}
		links = append(links, Link{
			From: e.To, To: e.From, Entity: "task:" + e.To, Evidence: Declared, Confidence: 1, Field: e.Field,
		})
	}
	return links
}

// entities fills the graph's entities from its links and from the claims of its tasks.
func (w *walker) entities(ctx context.Context) error {
	type sides struct {
		label         string
		used, created map[string]bool
	}
	found := map[string]*sides{}
	at := func(id string) *sides {
		s := found[id]
		if s == nil {
			s = &sides{used: map[string]bool{}, created: map[string]bool{}}
			found[id] = s
		}
		return s
	}
	for _, l := range w.graph.Links {
		s := at(l.Entity)
		s.used[l.To], s.created[l.From] = true, true
	}
	claims, err := w.r.ClaimsOf(ctx, keys(w.graph.Tasks))
	if err != nil {
		return err
	}
	outputs := map[string]bool{}
	for _, c := range claims {
		if c.Role == task.Generated {
			outputs[c.TaskID+c.Entity] = true
		}
	}
	for _, c := range claims {
		s := at(c.Entity)
		if c.Label != "" && (s.label == "" || c.Label < s.label) {
			s.label = c.Label
		}
		switch {
		case c.Role == task.Generated:
			s.created[c.TaskID] = true
		case !namesOutput(c, outputs[c.TaskID+c.Entity]):
			s.used[c.TaskID] = true
		}
	}
	for _, id := range keys(found) {
		s := found[id]
		w.graph.Entities = append(w.graph.Entities, Entity{
			ID: id, Label: s.label, UsedBy: keys(s.used), GeneratedBy: keys(s.created),
		})
	}
	return nil
}

func keys[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	sort.Strings(list)
	return list
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, id := range list {
		m[id] = true
	}
	return m
}
