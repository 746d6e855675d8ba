package report

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sort"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/artifact"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// afterwards is how much later than its last known writer a file may have been written: clocks, and coarse times of files.
const afterwards = 2 * time.Second

// looked is what was found out about a file; several results share files.
type looked struct {
	bytes        Value
	modified     int64
	sha256       Value
	unread       string
	header       *artifact.Description
	notDescribed string
	picture      *artifact.Picture
	noPicture    string
}

// wish is what is wanted of a file.
type wish struct{ digest, header, picture bool }

// file describes an entity of the lineage.
func (b *builder) file(ctx context.Context, g *graph, entity string, w wish) (*File, *looked) {
	f := &File{Entity: cutText(entity, maxText), Class: b.names.classOf(entity), GeneratedBy: tasksOf(g.made[entity]), UsedBy: tasksOf(g.uses[entity])}
	f.Name = g.nameOf(entity)
	l := b.look(ctx, g, entity, w)
	f.Bytes, f.SHA256, f.Unread, f.ModifiedAt = l.bytes, l.sha256, l.unread, b.time(l.modified)
	if w.header {
		f.Header, f.NotDescribed = l.header, l.notDescribed
	}
	if last := g.lastWritten(entity); last != 0 && l.modified > last+int64(afterwards) {
		f.Changed = "it was written again " + time.Duration(l.modified-last).Round(time.Second).String() + " after the last task of this lineage that wrote it"
	}
	return f, l
}

func tasksOf(claims []store.TaskClaim) []string {
	out := []string{}
	for _, c := range claims {
		if !slices.Contains(out, c.TaskID) {
			out = append(out, c.TaskID)
		}
	}
	sort.Strings(out)
	if len(out) > maxFacts {
		out = out[:maxFacts]
	}
	return out
}

// nameOf is what a task called an entity; without a word of theirs it is the identity.
func (g *graph) nameOf(entity string) string {
	if label := g.labels[entity]; label != "" {
		return cutText(label, 1000)
	}
	return cutText(entity, 1000)
}

// lastWritten is when the last task of the lineage that wrote a file had ended, at the latest.
func (g *graph) lastWritten(entity string) (at int64) {
	for _, c := range g.made[entity] {
		n := g.nodes[c.TaskID]
		if n == nil || n.EndedAt == 0 && c.Time == 0 {
			return 0
		}
		at = max(at, c.Time, n.EndedAt)
	}
	return at
}

// look opens a file, once for each thing that is wanted of it.
func (b *builder) look(ctx context.Context, g *graph, entity string, w wish) *looked {
	l := b.looked[entity]
	if l == nil {
		l = &looked{}
		b.looked[entity] = l
	}
	before := b.wished[entity]
	w.digest, w.header, w.picture = w.digest && !before.digest, w.header && !before.header, w.picture && !before.picture
	if !w.digest && !w.header && !w.picture || l.unread != "" {
		return l
	}
	b.wished[entity] = wish{before.digest || w.digest, before.header || w.header, before.picture || w.picture}
	f, err := b.files.Open(ctx, artifact.Named{Entity: entity, Label: g.labels[entity], Cwd: g.cwdOf(entity)})
	if err != nil {
		l.unread = err.Error()
		return l
	}
	defer f.Close()
	l.bytes, l.modified = Value{f.Size}, f.ModTime.UnixNano()
	if w.digest {
		if sum, err := b.files.Digest(ctx, f); err == nil {
			l.sha256 = Value{sum}
		} else {
			l.unread = err.Error()
		}
	}
	if w.header {
		if l.header, err = b.files.Describe(f); err != nil {
			l.header, l.notDescribed = nil, err.Error()
		}
	}
	if w.picture {
		if l.picture, err = b.files.Picture(f); err != nil {
			l.noPicture = err.Error()
		}
	}
	return l
}

// cwdOf is where a task ran that named the entity by its label.
func (g *graph) cwdOf(entity string) string {
	for _, claims := range [][]store.TaskClaim{g.made[entity], g.uses[entity]} {
		for _, c := range claims {
			if n := g.nodes[c.TaskID]; n != nil {
				if cwd := text(mapping(n.doc, "attributes"), "process.working_directory"); cwd != "" {
					return cwd
				}
			}
		}
	}
	return ""
}

// plots are the images that tasks of the lineage wrote and none of its tasks used: results, not data.
func (b *builder) plots(ctx context.Context, g *graph, id string) []*Plot {
	out := []*Plot{}
	tasks := slices.Clone(g.order)
	slices.SortStableFunc(tasks, func(x, y string) int { return g.nodes[x].depth - g.nodes[y].depth })
	seen := map[string]bool{}
	for _, task := range tasks {
		for _, entity := range b.imagesOf(g, g.nodes[task], task == id) {
			if seen[entity] {
				continue
			}
			seen[entity] = true
			if len(out) == maxPlots {
				b.omit("plots after the first %d", maxPlots)
				return out
			}
			p := b.plot(ctx, g, entity)
			p.OfResult = task == id
			out = append(out, p)
		}
	}
	return out
}

func (b *builder) plot(ctx context.Context, g *graph, entity string) *Plot {
	f, l := b.file(ctx, g, entity, wish{picture: true})
	p := &Plot{File: f}
	switch {
	case l.picture != nil:
		p.MediaType, p.Width, p.Height, p.Data = l.picture.MediaType, l.picture.Width, l.picture.Height, l.picture.Data
	case l.noPicture != "" && f.Unread == "":
		f.Unread = l.noPicture
	}
	return p
}

// laterPlots are the images that those who used a model wrote.
func (b *builder) laterPlots(ctx context.Context, g *graph, nodes []*node) (out []*Plot) {
	for _, n := range nodes {
		for _, entity := range b.imagesOf(g, n, false) {
			if len(out) == maxPlots {
				b.omit("plots of those who used the model after the first %d", maxPlots)
				return out
			}
			p := b.plot(ctx, g, entity)
			p.Later = true
			out = append(out, p)
		}
	}
	return out
}

func (b *builder) imagesOf(g *graph, n *node, result bool) []string {
	return slices.DeleteFunc(n.entitiesOf(task.Generated, nil), func(e string) bool {
		return b.names.classOf(e) != classImage || len(g.uses[e]) > 0 && !result
	})
}

// modelFiles are the models that the training wrote, and their copies on the way to the result.
func (b *builder) modelFiles(ctx context.Context, g *graph, r *roles, id string) []*File {
	out := []*File{}
	seen := map[string]bool{}
	result := g.nodes[id]
	used := result.entitiesOf(task.Used, g.uses)
	for _, n := range slices.Concat(r.training, r.between) {
		for _, entity := range n.entitiesOf(task.Generated, nil) {
			onWay := len(g.uses[entity]) > 0 || n == result || slices.Contains(used, entity)
			if b.names.classOf(entity) != classModel || seen[entity] || !onWay || len(out) == maxModels {
				continue
			}
			seen[entity] = true
			f, _ := b.file(ctx, g, entity, wish{digest: true, header: true})
			if f.Header == nil {
				b.mlmodel(ctx, g, entity, f)
			}
			out = append(out, f)
		}
	}
	return out
}

// mlmodel reads what MLflow wrote about a model beside it: lineage names the directory.
func (b *builder) mlmodel(ctx context.Context, g *graph, entity string, f *File) {
	if path.Ext(entity) != "" && path.Base(entity) != "MLmodel" {
		return
	}
	dir := entity
	if path.Base(entity) == "MLmodel" {
		dir = path.Dir(entity)
	}
	meta, err := b.files.Open(ctx, artifact.Named{Entity: dir + "/MLmodel"})
	if err != nil {
		return // why the model itself cannot be read is said already
	}
	defer meta.Close()
	d, data, err := artifact.MLmodel(meta)
	if err != nil {
		f.NotDescribed = fmt.Sprintf("MLmodel: %s", err)
		return
	}
	f.Header, f.NotDescribed, f.Unread = d, "", ""
	for _, name := range data {
		part, err := b.files.Open(ctx, artifact.Named{Entity: dir + "/" + path.Clean("/" + name)[1:]})
		if err != nil {
			continue
		}
		if more, err := b.files.Describe(part); err == nil {
			d.Format += ", " + more.Format
			d.Facts, d.Arrays, d.Layers = append(d.Facts, more.Facts...), append(d.Arrays, more.Arrays...), append(d.Layers, more.Layers...)
		}
		part.Close()
	}
}
