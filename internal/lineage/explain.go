package lineage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Explanation says how two tasks are linked, or why not.
type Explanation struct {
	From, To store.TaskFacts
	Links    []Link   // from the one to the other, or back
	Steps    []string // ids of tasks on the way from the one to the other, where others stand between
	// Generated and Used are what the first generated and the second used, as their identities.
	Generated, Used []string
	Reasons         []Reason
}

// Reason is one thing that keeps two tasks from being linked, with what to do about it.
type Reason struct {
	Kind string // reverse, nothing generated, nothing used, time, other maker, own output, host, path, digest, value, nothing shared
	Text string
}

// Documents returns whole tasks by id, as store.Reader does.
type Documents interface {
	Reader
	Tasks(ctx context.Context, ids []string) (map[string]map[string]any, error)
}

const (
	explainTasks = 5000 // that are looked at for a way from the one to the other
	named        = 20   // identities, reasons
)

// Explain says why the second task is not linked to the first one. Both must exist.
func Explain(ctx context.Context, r Documents, from, to string) (*Explanation, error) {
	up, err := Walk(ctx, r, []string{to}, Options{Direction: Upstream, MaxTasks: explainTasks})
	if err != nil {
		return nil, err
	}
	facts, err := r.Facts(ctx, []string{from})
	if err != nil {
		return nil, err
	}
	if _, ok := facts[from]; !ok {
		return nil, fmt.Errorf("task %q: %w", from, store.ErrNotFound)
	}
	x := &Explanation{From: facts[from], To: up.Tasks[to]}
	for _, l := range up.Links {
		if l.From == from && l.To == to {
			x.Links = append(x.Links, l)
		}
	}
	if len(x.Links) > 0 {
		return x, nil
	}
	if x.Steps = way(up.Links, from, to); x.Steps != nil {
		return x, nil
	}
	back, err := Walk(ctx, r, []string{from}, Options{Direction: Upstream, Depth: 1, MaxTasks: explainTasks})
	if err != nil {
		return nil, err
	}
	for _, l := range back.Links {
		if l.From == to && l.To == from {
			x.Links = append(x.Links, l)
			x.reason("reverse", "the link leads the other way: the second task generated %s, which the first one used", l.Entity)
		}
	}
	return x, x.look(ctx, r)
}

func (x *Explanation) reason(kind, format string, args ...any) {
	x.Reasons = append(x.Reasons, Reason{kind, fmt.Sprintf(format, args...)})
}

// way finds the tasks between two, by the fewest links.
func way(links []Link, from, to string) []string {
	makers := map[string][]string{}
	for _, l := range links {
		makers[l.To] = append(makers[l.To], l.From)
	}
	before := map[string]string{to: ""}
	queue := []string{to}
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		if id == from {
			var steps []string
			for next := id; next != ""; next = before[next] {
				steps = append(steps, next)
			}
			return steps
		}
		for _, m := range makers[id] {
			if _, seen := before[m]; !seen {
				before[m] = id
				queue = append(queue, m)
			}
		}
	}
	return nil
}

func (x *Explanation) look(ctx context.Context, r Documents) error {
	claims, err := r.ClaimsOf(ctx, []string{x.From.ID, x.To.ID})
	if err != nil {
		return err
	}
	docs, err := r.Tasks(ctx, []string{x.From.ID, x.To.ID})
	if err != nil {
		return err
	}
	var made, used []store.TaskClaim
	outputs := map[string]bool{} // of the second
	for _, c := range claims {
		switch {
		case c.TaskID == x.From.ID && c.Role == task.Generated:
			made = append(made, c)
		case c.TaskID == x.To.ID && c.Role == task.Used:
			used = append(used, c)
		case c.TaskID == x.To.ID && c.Role == task.Generated:
			outputs[c.Entity] = true
		}
	}
	x.Generated, x.Used = entities(made), entities(used)
	generated, _ := docs[x.From.ID]["generated"].(map[string]any)
	uses, _ := docs[x.To.ID]["used"].(map[string]any)
	if len(made) == 0 {
		x.reason("nothing generated", "the first task generated nothing that has an identity: %s", whatIs(generated, "generated"))
	}
	if len(used) == 0 {
		x.reason("nothing used", "the second task used nothing that has an identity: %s", whatIs(uses, "used"))
	}
	shared := false
	for _, g := range made {
		for _, u := range used {
			if g.Entity == u.Entity {
				shared = true
				if err := x.sharedBy(ctx, r, u, outputs[u.Entity]); err != nil {
					return err
				}
			}
		}
	}
	if !shared {
		x.misses(made, used)
		x.values(generated, uses)
		if len(made) > 0 && len(used) > 0 && len(x.Reasons) == 0 {
			x.reason("nothing shared", "nothing that the first task generated is like anything that the second one used")
		}
	}
	seen := map[Reason]bool{}
	x.Reasons = slices.DeleteFunc(x.Reasons, func(r Reason) bool { old := seen[r]; seen[r] = true; return old })
	x.Reasons = x.Reasons[:min(len(x.Reasons), named)]
	return nil
}

func entities(claims []store.TaskClaim) []string {
	var out []string
	for _, c := range claims {
		if !slices.Contains(out, c.Entity) {
			out = append(out, c.Entity)
		}
	}
	slices.Sort(out)
	return out
}

// whatIs says what there is in place of things with an identity.
func whatIs(m map[string]any, side string) string {
	leaves := task.Leaves(m)
	if len(leaves) == 0 {
		return fmt.Sprintf("it has no %s values at all. Either its tool records none, or a capture policy (capture:, MIDA_CAPTURE) leaves them out", side)
	}
	names := make([]string, 0, len(leaves))
	for name := range leaves {
		names = append(names, side+"."+name)
	}
	slices.Sort(names)
	if len(names) > 5 {
		names = append(names[:5], "…")
	}
	return fmt.Sprintf("there is %s, and these are no paths, URIs or ids. Values link only by a rule of the provenance processor (values:), and "+
		"fields under its ignore: never do", strings.Join(names, ", "))
}

// sharedBy says why a thing that one generated and the other used makes no link.
func (x *Explanation) sharedBy(ctx context.Context, r Documents, use store.TaskClaim, own bool) error {
	all, err := r.ClaimsOn(ctx, []string{use.Entity}, "")
	if err != nil {
		return err
	}
	ids := map[string]bool{}
	for _, c := range all {
		ids[c.TaskID] = true
	}
	facts, err := r.Facts(ctx, keys(ids))
	if err != nil {
		return err
	}
	if namesOutput(use, own) {
		x.reason("own output", "both name %s, but the second task also generated it: a path that a task writes is no use of it, unless it was seen "+
			"reading (docs/adr/008-output-paths.md)", use.Entity)
		return nil
	}
	for _, l := range Links(all, facts, map[string]bool{x.To.ID: true}) {
		if l.From != x.From.ID {
			x.reason("other maker", "both have to do with %s, but what the second task used is what %s generated at %s: of several versions, the "+
				"newest before the use is meant", use.Entity, facts[l.From].TaskID, at(l.GeneratedAt))
			return nil
		}
	}
	generations, _ := generationsOf(all, facts)
	for _, g := range generations {
		if g.claim.TaskID != x.From.ID {
			continue
		}
		used := cmp.Or(use.Time, x.To.StartedAt)
		x.reason("time", "both have to do with %s, but the first task generated it at %s, and the second one used it at %s and had ended at %s: "+
			"it was used before it was made. If that cannot be, the clocks or the time zone of a log differ (timezone: in its rules)",
			use.Entity, at(g.at), at(used), at(x.To.EndedAt))
		return nil
	}
	return nil
}

func at(ns int64) string {
	if ns == 0 {
		return "an unknown time"
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// misses finds things that are nearly the same.
func (x *Explanation) misses(made, used []store.TaskClaim) {
	for _, g := range made {
		for _, u := range used {
			x.miss(g, u)
		}
	}
}

func (x *Explanation) miss(g, u store.TaskClaim) {
	gs, gp, ok1 := fileOf(g.Entity)
	us, up, ok2 := fileOf(u.Entity)
	switch {
	case ok1 && ok2 && gp == up:
		x.reason("host", "both name the path %s, but on %q and on %q: these are two files. If both see one file system, its mount must be seen by "+
			"the observers (docs/provenance.md), or both collectors need the same site:", gp, gs, us)
	case ok1 && ok2 && path.Base(gp) == path.Base(up):
		x.reason("path", "the first task generated %s and the second one used %s: the same name in two directories. If it is one file, a relative "+
			"path was taken from the wrong directory (base_dir of the rules or of MLflow), or it was copied, which nobody saw", gp, up)
	case strings.HasPrefix(g.Entity, "digest:") && strings.HasPrefix(u.Entity, "digest:") && g.Label != "" && g.Label == u.Label:
		x.reason("digest", "both name %s, but its content differs: %s was generated, %s was used", g.Label, g.Entity, u.Entity)
	case g.Label != "" && g.Label == u.Label && g.Entity != u.Entity:
		x.reason("host", "both name %q, but it means %s for the first and %s for the second", g.Label, g.Entity, u.Entity)
	}
}

// fileOf takes the identity of a file apart: its place and its path.
func fileOf(entity string) (place, file string, ok bool) {
	rest, ok := strings.CutPrefix(entity, "file:")
	if !ok {
		return "", "", false
	}
	i := strings.Index(rest, ":/")
	if i < 0 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

// values finds equal values, which link only by rule.
func (x *Explanation) values(generated, used map[string]any) {
	type leaf struct{ path, text string }
	list := func(m map[string]any) (out []leaf) {
		leaves := task.Leaves(m)
		for _, name := range slices.Sorted(maps.Keys(leaves)) {
			switch v := leaves[name].(type) {
			case nil, bool:
			case string:
				if v != "" {
					out = append(out, leaf{name, v})
				}
			default:
				out = append(out, leaf{name, task.JSON(v)})
			}
		}
		return out
	}
	for _, g := range list(generated) {
		for _, u := range list(used) {
			if g.text != u.text {
				continue
			}
			text := fmt.Sprintf("generated.%s of the first and used.%s of the second are equal (%s), but equal values make no link", g.path, u.path, clipped(g.text))
			if len(g.text) <= 2 {
				text += ": this one is too common to mean one thing"
			} else {
				name := g.path[strings.LastIndex(g.path, ".")+1:]
				text += fmt.Sprintf(", unless a rule says so: processors: {provenance: {values: [{name: %s, fields: [generated.%s, used.%s]}]}}", name, g.path, u.path)
			}
			x.reason("value", "%s", text)
		}
	}
}

func clipped(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
