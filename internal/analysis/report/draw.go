package report

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
)

// Bounds of a drawing: more tasks are drawn by activity, and no more boxes than these.
const (
	maxDrawnTasks = 40
	maxBoxes      = 80
)

// box is a task, or tasks of one activity.
type box struct {
	key, title, line string
	role             string
	count            int
	first            int64
	layer            int
	x                float64 // of its middle
	bend             bool    // no box, but the place where an arrow passes its layer
}

func (b *box) width() float64 {
	if b.bend {
		return bendWidth
	}
	return boxWidth
}

// arrow is what leads from one box to another.
type arrow struct {
	from, to string
	evidence map[string]float64 // the lowest confidence
	count    int
	doubt    bool
	name     string // of the only thing that was handed on
	things   map[string]bool
	via      []*box // where it passes other layers
}

// lineage lists the links and draws them.
func (b *builder) lineage(g *graph, id string, r *roles) Lineage {
	out := Lineage{Tasks: len(g.nodes), Truncated: g.truncated, Links: []Link{}}
	for _, l := range g.links {
		if len(out.Links) == maxLinks {
			b.omit("links of the list after the first %d of %d", maxLinks, len(g.links))
			break
		}
		link := Link{From: l.From, To: l.To, Entity: cutText(l.Entity, maxText), Evidence: l.Evidence, Confidence: l.Confidence, Doubt: l.Doubt}
		link.fromName, link.toName = g.short(l.From), g.short(l.To)
		out.Links = append(out.Links, link)
	}
	parts := map[string]string{id: "result"}
	for role, list := range map[string][]*node{
		"training": r.training, "step": slices.Concat(r.between, r.transform), "raw": r.makers, "evaluation data": r.measured, "earlier": r.earlier,
	} {
		for _, n := range list {
			if parts[n.ID] == "" {
				parts[n.ID] = role
			}
		}
	}
	keyOf := g.alike(parts)
	out.Collapsed = "task, or tasks of one activity that came from the same and led to the same"
	if len(g.groups(keyOf)) > maxDrawnTasks {
		keyOf = func(n *node) string { return n.WorkflowID + "\x00" + n.ActivityID }
		out.Collapsed = "activity of a workflow"
		if len(g.groups(keyOf)) > maxBoxes {
			keyOf = func(n *node) string { return n.Kind + "\x00" + n.ActivityID }
			out.Collapsed = "activity"
		}
	}
	out.SVG = b.draw(g, keyOf, parts)
	return out
}

func (g *graph) short(id string) string {
	n := g.nodes[id]
	if n == nil {
		return id
	}
	return cutText(n.ActivityID, 60) + " " + shortID(n)
}

// shortID is the end of a tool's id, without what repeats the activity.
func shortID(n *node) string {
	s := n.TaskID
	for _, sep := range []string{"/", "-"} {
		s = strings.TrimPrefix(s, n.ActivityID+sep)
	}
	if runes := []rune(s); len(runes) > 10 {
		return string(runes[:8]) + "…"
	}
	return s
}

// alike gives tasks one key that have one activity and one part, that came from the same tasks and led to the same.
func (g *graph) alike(parts map[string]string) func(*node) string {
	keys := map[string]string{}
	for id, n := range g.nodes {
		var ends []string
		for _, l := range n.in {
			ends = append(ends, "<"+l.From)
		}
		for _, l := range n.out {
			ends = append(ends, ">"+l.To)
		}
		sort.Strings(ends)
		keys[id] = strings.Join(append([]string{n.WorkflowID, n.ActivityID, parts[id]}, slices.Compact(ends)...), "\x00")
	}
	return func(n *node) string { return keys[n.ID] }
}

func (g *graph) groups(keyOf func(*node) string) map[string]bool {
	keys := map[string]bool{}
	for _, n := range g.nodes {
		keys[keyOf(n)] = true
	}
	return keys
}

// draw lays boxes out in layers, data flowing down, and writes them as SVG. All text is escaped.
func (b *builder) draw(g *graph, keyOf func(*node) string, parts map[string]string) string {
	boxes, arrows := b.boxes(g, keyOf, parts), map[[2]string]*arrow{}
	for _, l := range g.links {
		from, to := boxes[keyOf(g.nodes[l.From])], boxes[keyOf(g.nodes[l.To])]
		if from == nil || to == nil || from == to {
			continue
		}
		k := [2]string{from.key, to.key}
		a := arrows[k]
		if a == nil {
			a = &arrow{from: from.key, to: to.key, evidence: map[string]float64{}, things: map[string]bool{}}
			arrows[k] = a
		}
		a.add(l, g)
	}
	layers := layered(boxes, arrows)
	return write(boxes, arrows, layers)
}

func (a *arrow) add(l lineage.Link, g *graph) {
	a.count++
	a.doubt = a.doubt || l.Doubt != ""
	if c, ok := a.evidence[l.Evidence]; !ok || l.Confidence < c {
		a.evidence[l.Evidence] = l.Confidence
	}
	if l.Evidence != lineage.Declared {
		a.things[l.Entity] = true
		a.name = lastPart(g.nameOf(l.Entity))
	}
}

func lastPart(s string) string {
	s = s[strings.LastIndexByte(s, '/')+1:]
	if runes := []rune(s); len(runes) > 22 {
		return string(runes[:21]) + "…"
	}
	return s
}

func (a *arrow) label() (lines []string) {
	switch len(a.things) {
	case 0:
	case 1:
		lines = append(lines, a.name)
	default:
		lines = append(lines, fmt.Sprintf("%d files", len(a.things)))
	}
	var parts []string
	for _, e := range sortedKeys(a.evidence) {
		parts = append(parts, fmt.Sprintf("%s %.2f", e, a.evidence[e]))
	}
	text := strings.Join(parts, ", ")
	if a.doubt {
		text += " ?"
	}
	return append(lines, text)
}

// boxes makes the nodes of the drawing, those next to the result first where there are too many.
func (b *builder) boxes(g *graph, keyOf func(*node) string, parts map[string]string) map[string]*box {
	order := slices.Clone(g.order)
	slices.SortStableFunc(order, func(x, y string) int { return g.nodes[x].depth - g.nodes[y].depth })
	boxes := map[string]*box{}
	left := map[string]bool{}
	for _, id := range order {
		n := g.nodes[id]
		k := keyOf(n)
		if boxes[k] == nil {
			if len(boxes) == maxBoxes {
				left[k] = true
				continue
			}
			boxes[k] = &box{key: k, title: n.ActivityID, role: parts[id], first: n.StartedAt}
			if boxes[k].title == "" {
				boxes[k].title = n.Kind
			}
		}
		if line := boxes[k].line; len(line) < 100 {
			if line != "" {
				line += ", "
			}
			boxes[k].line = line + shortID(n)
		}
		if parts[id] == "result" {
			boxes[k].role = "result"
		}
		boxes[k].count++
	}
	if len(left) > 0 {
		b.omit("%d boxes of the drawing, the furthest from the result", len(left))
	}
	return boxes
}
