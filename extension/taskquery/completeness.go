package taskquery

import (
	"context"
	"net/http"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/completeness"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// maxMissingRanges bounds the ranges that an answer names for each observer; their number is exact.
const maxMissingRanges = 100

// maxCountedRuns bounds the MLflow runs whose params and metrics are counted for an answer.
const maxCountedRuns = 2000

// completeness says whether all that was observed in a campaign has arrived, and what has not.
func (s *server) completeness(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	campaign := r.URL.Query().Get("campaign_id")
	if other := r.URL.Query().Get("campaign"); campaign == "" {
		campaign = other
	} else if other != "" && other != campaign {
		return nil, &query.Error{Field: "campaign", Problem: "not the same as campaign_id; want one of the two"}
	}
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	list, err := st.Checkpoints(ctx, campaign)
	if err != nil {
		return nil, err
	}
	var runs completeness.RunsInView
	if completeness.Runs(list) > 0 {
		if runs, err = runsInView(ctx, st, campaign); err != nil {
			return nil, err
		}
	}
	return form.completeness(completeness.Compare(list, runs, time.Now())), nil
}

// runsInView counts the MLflow runs of a campaign ("" = all), and what they hold, unless they are many.
func runsInView(ctx context.Context, st store.Store, campaign string) (found completeness.RunsInView, err error) {
	count := func(filter map[string]any) (*query.Answer, error) {
		q, err := query.Parse(map[string]any{"filter": filter, "projection": []any{"id"}, "limit": int64(maxCountedRuns)})
		if err != nil {
			return nil, err
		}
		return st.Query(ctx, q)
	}
	filter := map[string]any{"kind": "mlflow"}
	if campaign != "" {
		filter["campaign_id"] = campaign
	}
	here, err := count(filter)
	if err != nil {
		return found, err
	}
	found.Runs, found.Used, found.Generated = here.Total, -1, -1
	if campaign != "" {
		all, err := count(map[string]any{"kind": "mlflow"})
		if err != nil {
			return found, err
		}
		found.Elsewhere = all.Total - here.Total
	}
	if here.Total > maxCountedRuns {
		return found, nil
	}
	ids := make([]string, 0, len(here.Rows))
	for _, row := range here.Rows {
		if id, ok := row["id"].(string); ok {
			ids = append(ids, id)
		}
	}
	docs, err := st.Tasks(ctx, ids)
	if err != nil {
		return found, err
	}
	found.Used, found.Generated, found.Each = 0, 0, make(map[string][2]int64, len(docs))
	for _, doc := range docs {
		used, generated := leaves(doc["used"]), leaves(doc["generated"])
		found.Used += used
		found.Generated += generated
		if id, ok := doc["task_id"].(string); ok {
			found.Each[id] = [2]int64{used, generated}
		}
	}
	return found, nil
}

func leaves(v any) int64 {
	m, _ := v.(map[string]any)
	return int64(len(task.Leaves(m)))
}

func (c clock) completeness(a completeness.Answer) map[string]any {
	totals := map[completeness.State]int64{}
	observers := make([]any, len(a.Observers))
	for i, o := range a.Observers {
		observers[i] = c.observer(o)
		totals[o.State]++
	}
	witnesses := make([]any, len(a.Witnesses))
	for i, w := range a.Witnesses {
		m := map[string]any{"what": w.What, "of": w.Of, "expected": w.Expected, "found": w.Found, "state": string(w.State)}
		if w.Detail != "" {
			m["detail"] = w.Detail
		}
		witnesses[i] = m
	}
	out := map[string]any{
		"state": string(a.State), "observers": observers, "witnesses": witnesses,
		"complete": totals[completeness.Complete], "missing": totals[completeness.Missing], "unknown": totals[completeness.Unknown],
	}
	c.instant(out, "complete_up_to", a.UpTo)
	return out
}

func (c clock) observer(o completeness.Observer) map[string]any {
	m := map[string]any{
		"observer": o.Observer, "campaign_id": o.Campaign, "state": string(o.State), "final": o.Final, "last_seq": o.LastSeq,
		"arrived": o.Arrived, "dropped": o.DroppedCount, "missing": o.MissingCount,
	}
	if o.Host != "" {
		m["host"] = o.Host
	}
	if len(o.Dropped) > 0 {
		m["dropped_ranges"] = o.Dropped
	}
	if n := len(o.MissingRanges); n > 0 {
		ranges := make([]any, min(n, maxMissingRanges))
		for i := range ranges {
			ranges[i] = []any{o.MissingRanges[i][0], o.MissingRanges[i][1]}
		}
		m["missing_ranges"] = ranges
	}
	for _, key := range []string{"segments_removed", "errors"} {
		if v := o.Record[key]; v != nil {
			m[key] = v
		}
	}
	c.instant(m, "checkpoint_at", o.At)
	c.instant(m, "open_since", o.OpenSince)
	return m
}
