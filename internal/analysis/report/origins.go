package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of origins.
const (
	DefaultOrigins = 1000
	MaxOrigins     = 10_000
	maxOriginRows  = 50_000
	maxColumns     = 1000
)

// The groups of tasks that are told apart.
const (
	GroupFilter  = "filter"
	GroupAgainst = "against"
)

// OriginOptions say whose raw data are asked for.
type OriginOptions struct {
	Filter   query.Filter
	Against  query.Filter // other tasks, from which those of Filter are told apart; nil = none
	Fields   []query.Field
	Limit    int // tasks of each group
	Names    Conventions
	MaxTasks int // of all lineages together; 0 = as many as a report takes, of each
}

// Origins are the raw data behind tasks: a row for each task, data set that it used, and raw file behind that.
type Origins struct {
	Columns  []string
	Rows     []map[string]any
	Groups   map[string]*Group
	Contrast *Contrast // nil without Against
	Warnings []string
}

// Group is how many tasks matched, and how many of them the rows are about.
type Group struct{ Total, Tasks int64 }

// columns of every row; the fields that were asked for come behind them.
var rowFields = []string{"id", "task_id", "activity_id", "status", "error.type", "error.message"}

// places are what the names of the columns begin with, in their order.
var places = []string{"used.", "dataset", "through", "raw"}

type originBuilder struct {
	*builder
	graph  *graph
	out    *Origins
	shown  map[string]bool     // columns
	behind map[string][]source // by data
	left   bool                // columns or rows beyond the bounds
}

// FindOrigins walks backward from tasks to the data that nobody made of other data.
func FindOrigins(ctx context.Context, reader Reader, o OriginOptions) (*Origins, error) {
	b := &originBuilder{
		builder: &builder{reader: reader, names: o.Names.withUsual(), given: map[string][]Fact{}}, shown: map[string]bool{}, behind: map[string][]source{},
		out: &Origins{Rows: []map[string]any{}, Groups: map[string]*Group{}, Warnings: []string{}},
	}
	fields, err := o.fields()
	if err != nil {
		return nil, err
	}
	found, err := b.tasks(ctx, o, fields)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(found))
	for i, f := range found {
		ids[i] = f.id
	}
	if err := b.walk(ctx, ids, cmp.Or(o.MaxTasks, lineageTasks)); err != nil {
		return nil, err
	}
	for _, f := range found {
		b.rows(f)
	}
	if b.left {
		b.warn("there are more than %d rows or %d columns; narrow the filter", maxOriginRows, maxColumns)
	}
	b.out.Columns = b.ordered(fields)
	if o.Against != nil {
		b.out.Contrast, err = contrast(ctx, b.out)
	}
	return b.out, err
}

func (o OriginOptions) fields() ([]query.Field, error) {
	var out []query.Field
	for _, name := range rowFields {
		f, err := query.LookupField("fields", name)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	for _, f := range o.Fields {
		if !slices.ContainsFunc(out, func(have query.Field) bool { return have.Name == f.Name }) {
			out = append(out, f)
		}
	}
	return out, nil
}

func (b *originBuilder) warn(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(b.out.Warnings, w) {
		b.out.Warnings = append(b.out.Warnings, w)
	}
}

// selected is a task whose raw data are asked for.
type selected struct {
	id, group string
	row       map[string]any
}

func (b *originBuilder) tasks(ctx context.Context, o OriginOptions, fields []query.Field) (found []selected, err error) {
	seen := map[string]bool{}
	both := 0
	for _, g := range []struct {
		name   string
		filter query.Filter
	}{{GroupFilter, o.Filter}, {GroupAgainst, o.Against}} {
		if g.filter == nil {
			continue
		}
		q := &query.Query{Filter: g.filter, Projection: fields, Limit: o.Limit}
		answer, err := b.reader.Query(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, w := range answer.Warnings {
			b.warn("%s", w)
		}
		b.out.Groups[g.name] = &Group{Total: answer.Total, Tasks: int64(len(answer.Rows))}
		if answer.Truncated {
			b.warn("%s: the rows are about %d of %d tasks, those with the lowest ids, which are hashes: a fair sample", g.name, len(answer.Rows), answer.Total)
		}
		for _, row := range answer.Rows {
			id, _ := row["id"].(string)
			if seen[id] {
				both++
				b.out.Groups[g.name].Tasks--
				continue
			}
			seen[id] = true
			out := map[string]any{}
			if o.Against != nil {
				b.put(out, "group", g.name)
			}
			for name, v := range row {
				b.spread(out, strings.TrimSuffix(name, ".*"), v)
			}
			found = append(found, selected{id: id, group: g.name, row: out})
		}
	}
	if both > 0 {
		b.warn("%d tasks match both filters; they count to the first", both)
	}
	return found, nil
}

func (b *originBuilder) walk(ctx context.Context, ids []string, most int) error {
	walk, err := lineage.Walk(ctx, b.reader, ids, lineage.Options{Direction: lineage.Upstream, MaxTasks: most, TasksOnly: true})
	if err != nil {
		return err
	}
	if walk.Truncated {
		b.warn("the lineages have more than %d tasks; those further away are left out, and raw data with them", most)
	}
	b.graph, err = b.read(ctx, walk)
	return err
}

// put sets a column of a row.
func (b *originBuilder) put(row map[string]any, column string, v any) {
	if !b.shown[column] {
		if len(b.shown) == maxColumns {
			b.left = true
			return
		}
		b.shown[column] = true
	}
	row[column] = v
}

// spread sets a column, or one for each leaf of a map.
func (b *originBuilder) spread(row map[string]any, name string, v any) {
	m, ok := v.(map[string]any)
	if !ok || task.IsMarker(m) {
		b.put(row, name, v)
		return
	}
	for path, leaf := range task.Leaves(m) {
		b.put(row, name+"."+path, leaf)
	}
}

func (b *originBuilder) facts(row map[string]any, prefix string, facts []Fact) {
	for _, f := range facts {
		b.put(row, prefix+f.Name, cutValue(f.Value.V))
	}
}

// rows adds what a task came from; one whose raw data nobody knows has a row, too.
func (b *originBuilder) rows(s selected) {
	n := b.graph.nodes[s.id]
	if n == nil {
		b.add(s.row)
		return
	}
	b.facts(s.row, "used.", b.own(n))
	sets := b.dataOf(n)
	for _, d := range sets {
		row := maps.Clone(s.row)
		b.put(row, "dataset", d.name)
		b.facts(row, "dataset.", d.metadata)
		for _, raw := range b.rawBehind(d) {
			full := maps.Clone(row)
			b.raw(full, raw)
			b.add(full)
		}
	}
	if len(sets) == 0 {
		b.add(s.row)
	}
}

func (b *originBuilder) add(row map[string]any) {
	if len(b.out.Rows) == maxOriginRows {
		b.left = true
		return
	}
	b.out.Rows = append(b.out.Rows, row)
}

func (b *originBuilder) raw(row map[string]any, s source) {
	b.put(row, "raw", s.name)
	if s.maker != nil {
		b.put(row, "raw.activity_id", s.maker.ActivityID)
		b.put(row, "raw.task_id", s.maker.TaskID)
		b.put(row, "raw.id", s.maker.ID)
		b.facts(row, "raw.used.", b.own(s.maker))
		b.facts(row, "raw.generated.", b.values(s.maker))
	}
	var names []string
	given := map[string][]any{}
	for _, n := range s.through {
		if !slices.Contains(names, n.ActivityID) {
			names = append(names, n.ActivityID)
		}
		for _, f := range b.own(n) {
			if column := "through." + n.ActivityID + "." + f.Name; !slices.ContainsFunc(given[column], func(v any) bool { return task.JSON(v) == task.JSON(f.Value.V) }) {
				given[column] = append(given[column], cutValue(f.Value.V))
			}
		}
	}
	if len(names) > 0 {
		b.put(row, "through", strings.Join(names, " → "))
	}
	for column, values := range given {
		if len(values) == 1 {
			b.put(row, column, values[0])
		} else {
			b.put(row, column, values)
		}
	}
}

// ordered are the columns: those of the task as they were asked for, then the others by where they are from, and by name.
func (b *originBuilder) ordered(fields []query.Field) []string {
	place := func(name string) int {
		if name == "group" {
			return -1
		}
		for i, f := range fields {
			if of := strings.TrimSuffix(f.Name, ".*"); name == of || i >= len(rowFields) && strings.HasPrefix(name, of+".") {
				return i
			}
		}
		return len(fields) + slices.IndexFunc(places, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	}
	for _, f := range fields[:len(rowFields)] {
		b.shown[f.Name] = true
	}
	return slices.SortedFunc(maps.Keys(b.shown), func(x, y string) int {
		return cmp.Or(cmp.Compare(place(x), place(y)), cmp.Compare(x, y))
	})
}
