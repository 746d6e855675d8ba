package view

import (
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Edges lists the declared edges of a task, sorted: its parent, and each dependency with every used path that is known
// to hold its result.
func Edges(d *task.Document) []store.Edge {
	var out []store.Edge
	if d.Parent != "" {
		out = append(out, store.Edge{From: d.ID, To: d.Parent, Parent: true})
	}
	named := map[string]bool{}
	for field, key := range d.Refs {
		target := task.Ref{Kind: d.Kind, Scope: d.Scope, Key: key}.ID()
		named[target] = true
		out = append(out, store.Edge{From: d.ID, To: target, Field: field})
	}
	for _, target := range d.Dependencies {
		if !named[target] {
			named[target] = true
			out = append(out, store.Edge{From: d.ID, To: target})
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.To != b.To {
			return a.To < b.To
		}
		if a.Parent != b.Parent {
			return a.Parent
		}
		return a.Field < b.Field
	})
	return out
}
