package taskquery

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	barsShown     = 4000    // up to so many tasks are answered one by one
	lanesShown    = 200     // the busiest; the others are one lane
	mostSampled   = 200_000 // tasks looked at for one answer
	normalSample  = 100_000
	byWorker      = "worker"
	otherLanes    = "(others)"
	unnamedLane   = "(none)"
	maxLaneLength = 200
)

// workerFields say where a task ran, the best first; the lane begins with the host.
var workerFields = []string{"attributes.dask.worker.name", "attributes.dask.worker.address", "attributes.process.pid"}

// timeline answers GET /api/v1/timeline: what ran when, by lane. Few tasks are answered one by one, many as the time that
// each lane was busy in each of equal parts of the window.
func (s *server) timeline(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	t, err := timelineOf(r)
	if err != nil {
		return nil, err
	}
	total, err := t.bounds(ctx, st)
	if err != nil {
		return nil, err
	}
	if total > 0 {
		if _, err = st.Scan(ctx, &query.Scan{Filter: t.within(), Fields: t.fields(), First: t.sample}, t.add); err != nil {
			return nil, err
		}
	}
	form, _ := timeForm(r) // checked before
	return t.show(form, int64(len(t.bars)), total), nil
}

type timeline struct {
	filter          query.Filter
	by              []query.Field
	places          []int // of the fields of by in a row
	worker          bool
	from, to        int64 // the window
	first, last     int64 // of all tasks that match
	now             int64
	buckets, sample int
	bars            []bar
}

type bar struct {
	id, taskID, activity, status, lane string
	start, end                         int64
	open                               bool // it has not ended, as far as is known
}

func timelineOf(r *http.Request) (*timeline, error) {
	t := &timeline{now: time.Now().UnixNano()}
	var err error
	if t.filter, err = filterOf(r); err != nil {
		return nil, err
	}
	by := r.URL.Query().Get("by")
	names := []string{by}
	switch by {
	case "":
		names = []string{"activity_id"}
	case byWorker:
		t.worker, names = true, append([]string{"host"}, workerFields...)
	}
	for _, name := range names {
		f, err := query.LookupField("by", name)
		if err == nil && f.Type == query.Object {
			err = &query.Error{Field: "by", Problem: name + " is a map; name one of its fields"}
		}
		if err != nil {
			return nil, err
		}
		t.by = append(t.by, f)
	}
	if t.from, err = instantOf(r, "from"); err != nil {
		return nil, err
	}
	if t.to, err = instantOf(r, "to"); err != nil {
		return nil, err
	}
	if t.from != 0 && t.to != 0 && t.from >= t.to {
		return nil, &query.Error{Field: "to", Problem: "the window ends before it begins"}
	}
	if t.buckets, err = number(r, "buckets", 200, 1, 2000); err != nil {
		return nil, err
	}
	t.sample, err = number(r, "sample", normalSample, 1, mostSampled)
	return t, err
}

var (
	startedField = query.Field{Name: "started_at", Root: "started_at", Type: query.Time}
	endedField   = query.Field{Name: "ended_at", Root: "ended_at", Type: query.Time}
)

func compare(f query.Field, op query.Op, v any) query.Filter {
	return query.Compare{Field: f, Op: op, Value: v}
}

// bounds finds when the first task began and the last one ended, and how many lie in the window.
func (t *timeline) bounds(ctx context.Context, st querier) (int64, error) {
	q := &query.Query{
		Filter:      and(t.filter, compare(startedField, query.Exists, true)),
		Aggregation: []query.Aggregate{{Op: "min", Field: startedField}, {Op: "max", Field: startedField}, {Op: "max", Field: endedField}},
	}
	answer, err := st.Query(ctx, q)
	if err != nil {
		return 0, err
	}
	if len(answer.Rows) == 0 {
		return 0, nil
	}
	row := answer.Rows[0]
	t.first, _ = row[q.Aggregation[0].Column()].(int64)
	begun, _ := row[q.Aggregation[1].Column()].(int64)
	ended, _ := row[q.Aggregation[2].Column()].(int64)
	t.last = max(begun, ended)
	n, _ := row[query.ColumnCount].(int64)
	if n == 0 {
		return 0, nil
	}
	running, err := st.Query(ctx, &query.Query{Filter: and(t.filter, compare(startedField, query.Exists, true), unended()), Limit: 1,
		Projection: []query.Field{{Name: "id", Root: "id", Type: query.String}}})
	if err != nil {
		return 0, err
	}
	if running.Total > 0 {
		t.last = max(t.last, t.now)
	}
	whole := t.from == 0 && t.to == 0
	if t.from == 0 {
		t.from = t.first
	}
	if t.to == 0 {
		t.to = t.last
	}
	t.to = max(t.to, t.from+1)
	if whole {
		return n, nil
	}
	inside, err := st.Query(ctx, &query.Query{Filter: t.within(), Aggregation: []query.Aggregate{{Op: "count", Field: startedField}}})
	if err != nil || len(inside.Rows) == 0 {
		return 0, err
	}
	n, _ = inside.Rows[0][query.ColumnCount].(int64)
	return n, nil
}

type querier interface {
	Query(ctx context.Context, q *query.Query) (*query.Answer, error)
}

// unended matches tasks that run on, as far as is known.
func unended() query.Filter {
	status := query.Field{Name: "status", Root: "status", Type: query.Enum}
	return and(compare(endedField, query.Exists, false), compare(status, query.Eq, "RUNNING"))
}

// within matches the tasks that ran at some time of the window.
func (t *timeline) within() query.Filter {
	parts := []query.Filter{t.filter, compare(startedField, query.Exists, true)}
	if t.to < t.last {
		parts = append(parts, compare(startedField, query.Lt, t.to))
	}
	if t.from > t.first {
		parts = append(parts, query.Or{Parts: []query.Filter{compare(endedField, query.Gt, t.from), compare(startedField, query.Gte, t.from), unended()}})
	}
	return and(parts...)
}

// fields are those of a bar, and then those of by.
func (t *timeline) fields() []query.Field {
	fields := []query.Field{startedField, endedField}
	for _, name := range []string{"id", "task_id", "activity_id", "status"} {
		f, _ := query.LookupField("", name)
		fields = append(fields, f)
	}
	t.places = nil
	for _, f := range t.by {
		if !slices.Contains(fields, f) {
			fields = append(fields, f)
		}
		t.places = append(t.places, slices.Index(fields, f))
	}
	return fields
}

func (t *timeline) add(row []any) error {
	b := bar{lane: t.lane(row)}
	b.start, _ = row[0].(int64)
	b.end, _ = row[1].(int64)
	b.id, _ = row[2].(string)
	b.taskID, _ = row[3].(string)
	b.activity, _ = row[4].(string)
	b.status, _ = row[5].(string)
	if b.end == 0 {
		b.open = b.status == "RUNNING"
		if b.end = b.start; b.open {
			b.end = max(b.start, t.now)
		}
	}
	b.end = max(b.end, b.start)
	t.bars = append(t.bars, b)
	return nil
}

func (t *timeline) lane(row []any) string {
	text := ""
	for i, f := range t.by {
		v := row[t.places[i]]
		if v == query.Absent || v == nil {
			continue
		}
		part, isText := v.(string)
		if !isText {
			part = task.JSON(v)
		}
		if text != "" {
			text += " / "
		}
		text += part
		if t.worker && f.Name != "host" {
			break // the first that is known names the worker
		}
	}
	if len(text) > maxLaneLength {
		text = string([]rune(text)[:min(len([]rune(text)), maxLaneLength)]) + "…"
	}
	if text == "" {
		return unnamedLane
	}
	return text
}

func (t *timeline) show(form clock, looked, total int64) map[string]any {
	out := map[string]any{"looked_at": looked, "total": total, "lanes": []any{}}
	if t.first == 0 {
		return out
	}
	form.instant(out, "first_at", t.first)
	form.instant(out, "last_at", t.last)
	form.instant(out, "from", t.from)
	form.instant(out, "to", t.to)
	lanes, index := t.lanes()
	if len(t.bars) <= barsShown {
		out["tasks"] = t.showBars(form, index)
	} else {
		t.fill(lanes, index)
		out["buckets"] = int64(t.buckets)
	}
	rows := make([]any, len(lanes))
	for i, l := range lanes {
		m := map[string]any{"lane": l.name, "tasks": l.tasks}
		if l.busy != nil {
			m["busy"], m["failed"] = floats(l.busy), ints(l.failed)
		}
		rows[i] = m
	}
	out["lanes"] = rows
	return out
}

type lane struct {
	name   string
	tasks  int64
	first  int64
	busy   []float64 // seconds of tasks in each part of the window
	failed []int64   // tasks that failed there
}

// lanes are those of the tasks looked at, in the order of their first task; index finds them.
func (t *timeline) lanes() ([]*lane, map[string]int) {
	byName := map[string]*lane{}
	for _, b := range t.bars {
		l := byName[b.lane]
		if l == nil {
			l = &lane{name: b.lane, first: b.start}
			byName[b.lane] = l
		}
		l.tasks++
		l.first = min(l.first, b.start)
	}
	list := make([]*lane, 0, len(byName))
	for _, l := range byName {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *lane) int { return cmp.Or(cmp.Compare(b.tasks, a.tasks), cmp.Compare(a.name, b.name)) })
	var others *lane
	if len(list) > lanesShown {
		others = &lane{name: fmt.Sprintf("%s: %d lanes", otherLanes, len(list)-lanesShown)}
		for _, l := range list[lanesShown:] {
			others.tasks += l.tasks
		}
		list = list[:lanesShown]
	}
	slices.SortFunc(list, func(a, b *lane) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.name, b.name)) })
	index := make(map[string]int, len(byName))
	for i, l := range list {
		index[l.name] = i
	}
	if others != nil {
		for name := range byName {
			if _, ok := index[name]; !ok {
				index[name] = len(list)
			}
		}
		list = append(list, others)
	}
	return list, index
}

func (t *timeline) showBars(form clock, index map[string]int) []any {
	slices.SortFunc(t.bars, func(a, b bar) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.id, b.id)) })
	rows := make([]any, len(t.bars))
	for i, b := range t.bars {
		m := map[string]any{
			"id": b.id, "task_id": b.taskID, "activity_id": b.activity, "status": b.status, "lane": int64(index[b.lane]),
		}
		form.instant(m, "started_at", b.start)
		form.instant(m, "ended_at", b.end)
		if b.open {
			m["open"] = true
		}
		rows[i] = m
	}
	return rows
}

// fill adds each task's time to the parts of the window in which it ran.
func (t *timeline) fill(lanes []*lane, index map[string]int) {
	for _, l := range lanes {
		l.busy, l.failed = make([]float64, t.buckets), make([]int64, t.buckets)
	}
	width := float64(t.to-t.from) / float64(t.buckets)
	at := func(ns int64) int { return min(max(int(float64(ns-t.from)/width), 0), t.buckets-1) }
	for _, b := range t.bars {
		l := lanes[index[b.lane]]
		if b.status == "FAILED" && b.end >= t.from && b.end <= t.to {
			l.failed[at(b.end)]++
		}
		for i := at(b.start); i <= at(b.end); i++ {
			begin, end := float64(t.from)+float64(i)*width, float64(t.from)+float64(i+1)*width
			if part := min(end, float64(b.end)) - max(begin, float64(b.start)); part > 0 {
				l.busy[i] += part / 1e9
			}
		}
	}
}

func floats(list []float64) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

func ints(list []int64) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
