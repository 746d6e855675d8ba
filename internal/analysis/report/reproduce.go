package report

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// reproduce says what somebody needs to do it again, and what of it is missing.
func (b *builder) reproduce(g *graph, out *Result) Reproduce {
	r := Reproduce{Workflows: b.workflows(g), Missing: []string{}, Inputs: []*File{}}
	missing := func(format string, args ...any) {
		if s := fmt.Sprintf(format, args...); !slices.Contains(r.Missing, s) && len(r.Missing) < maxFacts {
			r.Missing = append(r.Missing, s)
		}
	}
	for _, w := range r.Workflows {
		var unknown []string
		for _, f := range w.Facts {
			switch {
			case f.Value.V == nil && f.Name != "seed":
				unknown = append(unknown, f.Name)
			case f.Name == "changes that are not committed" && f.Value.V == true:
				missing("%s: its code had changes that are in no commit", w.Name)
			}
		}
		if len(unknown) > 0 {
			missing("%s: not recorded: %s", w.Name, strings.Join(unknown, ", "))
		}
	}
	if len(out.Training) == 0 {
		missing("no task of the lineage was recognised as the training")
	}
	evaluated := []*File{}
	if out.Evaluation != nil {
		evaluated = out.Evaluation.Files
	}
	seen := map[string]bool{}
	for _, f := range slices.Concat(out.Raw.Files, evaluated, out.Settings) {
		if seen[f.Entity] {
			continue
		}
		seen[f.Entity] = true
		r.Inputs = append(r.Inputs, f)
		switch {
		case f.Unread != "":
			missing("%s: %s", f.Name, f.Unread)
		case f.Changed != "":
			missing("%s: %s", f.Name, f.Changed)
		}
	}
	return r
}

// workflows are the runs of programs that took part, in the order in which they began.
func (b *builder) workflows(g *graph) []*Workflow {
	byID := map[string]*Workflow{}
	var list []*Workflow
	counts := map[string]map[string]int{}
	for _, id := range g.order {
		n := g.nodes[id]
		w := byID[n.WorkflowID]
		if w == nil {
			if len(list) == maxFacts {
				b.omit("workflows after the first %d", maxFacts)
				continue
			}
			w = &Workflow{Name: cutText(n.WorkflowName, 300), ID: cutText(n.WorkflowID, 300), Kind: n.Kind, startedAt: n.StartedAt}
			if w.Name == "" {
				w.Name = w.ID
			}
			byID[n.WorkflowID], counts[n.WorkflowID] = w, map[string]int{}
			list = append(list, w)
		}
		counts[n.WorkflowID][n.ActivityID]++
		w.facts(b, n)
	}
	for id, w := range byID {
		for _, activity := range sortedKeys(counts[id]) {
			w.Activities = append(w.Activities, fmt.Sprintf("%d × %s", counts[id][activity], cutText(activity, 200)))
		}
		if len(w.Activities) > 50 {
			w.Activities = append(w.Activities[:50], fmt.Sprintf("… and %d more", len(w.Activities)-50))
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].startedAt < list[j].startedAt })
	return list
}

// facts fills in what a task knows of how its workflow was run; the first word counts, and other words are told.
func (w *Workflow) facts(b *builder, n *node) {
	environment, code, packages := b.environment(n)
	want := []string{"command", "program", "working directory", "commit", "changes that are not committed", "Python", "host", "user", "container"}
	if w.Facts == nil {
		for _, name := range want {
			w.Facts = append(w.Facts, Fact{Name: name})
		}
		w.Facts = append(w.Facts, Fact{Name: "packages"}, Fact{Name: "seed"})
	}
	known := map[string]any{}
	for _, f := range slices.Concat(environment, code) {
		known[f.Name] = f.Value.V
	}
	if len(packages) > 0 {
		known["packages"] = fmt.Sprintf("%d, listed with the training or in its environment record", len(packages))
	}
	for _, f := range b.own(n) {
		if named([]string{"seed", "*_seed", "random_state"}, f.Name) {
			known["seed"] = f.Value.V
		}
	}
	for i := range w.Facts {
		f := &w.Facts[i]
		switch v := known[f.Name]; {
		case v == nil:
		case f.Value.V == nil:
			f.Value = Value{v}
		case fmt.Sprint(f.Value.V) != fmt.Sprint(v) && f.Note == "":
			f.Note = fmt.Sprintf("other tasks of it: %s", cutText(fmt.Sprint(v), 200))
		}
	}
}

// gaps names all that a reader might look for and that is not recorded.
func (out *Result) gaps() []string {
	gaps := []string{}
	add := func(where string, facts []Fact) {
		for _, f := range facts {
			if f.Value.V == nil {
				gaps = append(gaps, where+": "+f.Name)
			}
		}
	}
	for _, t := range out.Training {
		add("training", slices.Concat(t.Metrics, t.Split, t.Telemetry, t.Environment, t.Code))
		if len(t.Packages) == 0 {
			gaps = append(gaps, "training: packages")
		}
		if len(t.Hyperparameters) == 0 {
			gaps = append(gaps, "training: hyperparameters")
		}
		if len(t.Datasets) == 0 {
			gaps = append(gaps, "training: datasets")
		}
	}
	for what, none := range map[string]bool{
		"plots": len(out.Plots) == 0, "a training": len(out.Training) == 0, "model files": len(out.Models) == 0,
		"transformations between raw and training data": len(out.Transformations) == 0, "raw inputs": len(out.Raw.Files) == 0,
		"parameters of the tasks that made the raw inputs": len(out.Raw.Space) == 0,
	} {
		if none {
			gaps = append(gaps, what)
		}
	}
	sort.Strings(gaps)
	return gaps
}
