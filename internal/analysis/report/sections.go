package report

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// training tells all about a task that made the model.
func (b *builder) training(ctx context.Context, g *graph, n *node) *Training {
	t := &Training{Task: b.task(n), Metrics: bounded(b.withExpected(b.metrics(n))), Hyperparameters: bounded(slices.Clone(b.hyperparameters(n)))}
	var shape []Fact
	for _, f := range b.hyperparameters(n) {
		if named(b.names.Architecture, f.Name) {
			shape = append(shape, f)
		}
	}
	t.Architecture, t.Split, t.Datasets = bounded(shape), b.split(n), b.datasets(ctx, g, n)
	var all []Reading
	t.Telemetry, all = b.telemetry(n)
	t.Telemetry, t.AllTelemetry = bounded(t.Telemetry), all
	t.Environment, t.Code, t.Packages = b.environment(n)
	return t
}

// split is what a training says of how data were divided: values with usual names, and contexts of MLflow's inputs.
func (b *builder) split(n *node) []Fact {
	var out []Fact
	for _, f := range b.own(n) {
		if named(b.names.Split, f.Name) {
			out = append(out, f)
		}
	}
	for _, leaf := range sortedKeys(n.generated) {
		if v := n.generated[leaf]; named(b.names.Split, leaf) && plain(v) && !b.ignored(leaf) {
			out = append(out, Fact{Name: leaf, Value: Value{v}, Note: "as the task said afterwards"})
		}
	}
	byContext := map[string][]any{}
	for _, in := range inputsOf(n) {
		if c := text(in, "context"); c != "" {
			byContext[c] = append(byContext[c], text(in, "name"))
		}
	}
	for _, c := range sortedKeys(byContext) {
		out = append(out, Fact{Name: "inputs for " + c, Value: Value{byContext[c]}})
	}
	if len(out) == 0 {
		out = []Fact{{Name: "train/validation split"}}
	}
	return bounded(out)
}

// inputsOf are the datasets that MLflow recorded for a run.
func inputsOf(n *node) (out []map[string]any) {
	for _, key := range []string{"inputs", "mlflow_inputs"} {
		list, _ := mapping(n.doc, "used")[key].([]any)
		for _, e := range list {
			if m, ok := e.(map[string]any); ok && (m["digest"] != nil || m["source"] != nil) {
				out = append(out, m)
			}
		}
	}
	return out
}

// datasets are the data that a task used, with what their maker and the task itself say about them.
func (b *builder) datasets(ctx context.Context, g *graph, n *node) []*Dataset {
	out := []*Dataset{}
	for _, entity := range n.entitiesOf(task.Used, g.uses) {
		if c := b.names.classOf(entity); c != classData && c != classImage {
			continue
		}
		if len(out) == maxFileList {
			b.omit("datasets of a training after the first %d", maxFileList)
			break
		}
		f, _ := b.file(ctx, g, entity, wish{digest: true, header: true})
		out = append(out, &Dataset{File: f, Metadata: bounded(b.about(g, n, entity))})
	}
	return out
}

// about is what tasks said of an entity: values beside it in the argument that named it, what its maker generated with it,
// and MLflow's digest.
func (b *builder) about(g *graph, user *node, entity string) (out []Fact) {
	seen := map[string]bool{}
	add := func(name string, v any, note string) {
		if !seen[name] && plain(v) {
			seen[name] = true
			out = append(out, Fact{Name: name, Value: Value{v}, Note: note})
		}
	}
	for _, c := range g.made[entity] {
		maker := g.nodes[c.TaskID]
		if maker == nil {
			continue
		}
		for _, f := range b.values(maker) {
			add(f.Name, f.Value.V, "said by "+maker.ActivityID)
		}
	}
	for _, c := range user.claims {
		argument, ok := strings.CutPrefix(c.Field, "used.")
		dot := strings.LastIndexByte(argument, '.')
		if c.Entity != entity || !ok || dot < 0 || structural(argument) {
			continue
		}
		for _, leaf := range sortedKeys(user.used) {
			if name, beside := strings.CutPrefix(leaf, argument[:dot+1]); beside && !looksLikePath(leaf, user.used[leaf]) {
				add(name, user.used[leaf], "said to "+user.ActivityID)
			}
		}
	}
	for _, in := range inputsOf(user) {
		if source := text(in, "source"); source != "" && strings.HasSuffix(entity, path.Base(source)) {
			for _, k := range []string{"name", "digest", "context", "source_type"} {
				if in[k] != nil {
					add("MLflow "+k, in[k], "")
				}
			}
		}
	}
	return out
}

// steps tell of tasks with their inputs and outputs.
func (b *builder) steps(g *graph, list []*node) []*Step {
	out := []*Step{}
	for _, n := range list {
		if len(out) == maxSteps {
			b.omit("tasks of one part after the first %d", maxSteps)
			break
		}
		out = append(out, &Step{
			Task: b.task(n), Parameters: bounded(b.own(n)), Values: bounded(b.values(n)),
			Inputs: g.names(n.entitiesOf(task.Used, g.uses)), Outputs: g.names(n.entitiesOf(task.Generated, nil)),
		})
	}
	return out
}

func (g *graph) names(entities []string) []string {
	out := make([]string, 0, len(entities))
	for _, e := range entities {
		if len(out) == maxFacts {
			return append(out, fmt.Sprintf("… and %d more", len(entities)-maxFacts))
		}
		out = append(out, g.nameOf(e))
	}
	return out
}

// settings are the files of the lineage that steered.
func (b *builder) settings(ctx context.Context, g *graph) []*File {
	out := []*File{}
	for _, entity := range sortedKeys(g.uses) {
		if !isFile(entity) || b.names.classOf(entity) != classSettings || len(out) == maxFileList {
			continue
		}
		f, _ := b.file(ctx, g, entity, wish{digest: true})
		out = append(out, f)
	}
	return out
}

// raw is where the lineage of the training data ends: files that a task made of no other data, and files that nobody is known
// to have made.
func (b *builder) raw(ctx context.Context, g *graph, r *roles) Raw {
	out := Raw{Files: []*File{}, Makers: b.steps(g, r.makers), Space: b.space(r.makers)}
	for _, entity := range b.sources(g, slices.Concat(r.training, r.transform), r.makers) {
		if len(out.Files) == maxFileList {
			b.omit("raw files after the first %d", maxFileList)
			break
		}
		f, _ := b.file(ctx, g, entity, wish{digest: true, header: true})
		out.Files = append(out.Files, f)
	}
	return out
}

// sources lists the data that some tasks used and that one of the makers, or nobody known, generated.
func (b *builder) sources(g *graph, users, makers []*node) []string {
	made := map[string]bool{}
	for _, m := range makers {
		for _, l := range m.out {
			made[l.Entity] = true
		}
	}
	seen := map[string]bool{}
	for _, n := range users {
		for _, entity := range n.entitiesOf(task.Used, g.uses) {
			if c := b.names.classOf(entity); (c == classData || c == classImage) && (made[entity] || len(g.made[entity]) == 0) {
				seen[entity] = true
			}
		}
	}
	return sortedKeys(seen)
}

// space is the parameter space of the tasks that made raw data: of an instrument, mostly.
func (b *builder) space(makers []*node) []Range {
	type key struct{ activity, name string }
	found := map[key]map[string]any{}
	tasks := map[key]int{}
	for _, n := range makers {
		for _, f := range b.own(n) {
			k := key{n.ActivityID, f.Name}
			if found[k] == nil {
				if len(found) == maxFacts {
					b.omit("parameters of raw data after the first %d", maxFacts)
					continue
				}
				found[k] = map[string]any{}
			}
			tasks[k]++
			found[k][task.JSON(f.Value.V)] = f.Value.V
		}
	}
	out := []Range{}
	for k, values := range found {
		out = append(out, rangeOf(Range{Activity: k.activity, Name: cutText(k.name, 300), Tasks: tasks[k], Distinct: len(values)}, values))
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Activity != out[j].Activity {
			return out[i].Activity < out[j].Activity
		}
		return out[i].Name < out[j].Name
	})
	return out
}

func rangeOf(r Range, values map[string]any) Range {
	all := make([]any, 0, len(values))
	for _, k := range sortedKeys(values) {
		all = append(all, values[k])
	}
	numbers := len(all) > 0
	for _, v := range all {
		_, ok := number(v)
		numbers = numbers && ok
	}
	if numbers {
		sort.Slice(all, func(i, j int) bool { a, _ := number(all[i]); b, _ := number(all[j]); return a < b })
		r.Min, r.Max = Value{all[0]}, Value{all[len(all)-1]}
	}
	r.Values = []Value{}
	if len(all) <= 12 {
		for _, v := range all {
			r.Values = append(r.Values, Value{cutValue(v)})
		}
	}
	return r
}

// evaluation is what a result was measured on, and whether the training had seen it.
func (b *builder) evaluation(ctx context.Context, g *graph, r *roles, id string, raw Raw) *Evaluation {
	self := g.nodes[id]
	e := &Evaluation{Files: []*File{}, Made: b.steps(g, r.measured), Facts: b.split(self), Overlap: []string{}}
	trained := map[string]bool{}
	for _, f := range raw.Files {
		trained[f.Entity] = true
	}
	for _, n := range r.training {
		for _, entity := range n.entitiesOf(task.Used, g.uses) {
			trained[entity] = true
		}
	}
	for _, entity := range b.sources(g, append([]*node{self}, r.measured...), slices.Concat(r.measured, r.makers)) {
		if len(e.Files) == maxFileList {
			b.omit("files of the evaluation after the first %d", maxFileList)
			break
		}
		f, _ := b.file(ctx, g, entity, wish{digest: true, header: true})
		e.Files = append(e.Files, f)
		if trained[entity] {
			e.Overlap = append(e.Overlap, f.Name)
		}
	}
	return e
}
