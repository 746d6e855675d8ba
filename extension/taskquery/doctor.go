package taskquery

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/completeness"
	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// future is how far a campaign's last moment may lie ahead of this machine's clock.
const future = 2 * time.Minute

// doctor answers GET /api/v1/doctor?campaign_id=…: how the observers of this collector are doing, and what looks wrong.
func (s *server) doctor(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	form, _ := timeForm(r) // checked before
	campaign := r.URL.Query().Get("campaign_id")
	observers := []any{}
	var of []string // campaigns
	for _, rep := range s.Reports() {
		if campaign == "" || rep.Campaign == campaign || rep.Campaign == "" {
			observers = append(observers, form.report(rep))
		}
		of = append(of, rep.Campaign)
	}
	if c, ok := control.FromHost(s.host); ok { // those that do not run have no say of their own
		for _, o := range c.Observers() {
			if text, _ := o.Config["campaign"].(string); o.State != control.Running && (campaign == "" || text == campaign) {
				observers = append(observers, form.stopped(o, text))
			}
		}
	}
	findings, err := campaignFindings(ctx, st, campaign, of)
	if err != nil {
		return nil, err
	}
	if len(observers) == 0 {
		findings = append(findings, finding("observers", "nothing is observed: list receivers in the collector's configuration (mida init writes one), "+
			"or add observers while it runs (mida observers add)"))
	}
	list, err := st.Checkpoints(ctx, campaign)
	if err != nil {
		return nil, err
	}
	a := completeness.Compare(list, completeness.RunsInView{}, time.Now())
	missing := 0
	for _, o := range a.Observers {
		if o.State == completeness.Missing {
			missing++
			findings = append(findings, finding(o.Observer, fmt.Sprintf("%d of its events were dropped by it and %d did not arrive: "+
				"`mida completeness` says which", o.DroppedCount, o.MissingCount)))
		}
	}
	return map[string]any{"observers": observers, "findings": findings, "known_observers": int64(len(a.Observers))}, nil
}

func finding(about, problem string) any {
	return map[string]any{"about": about, "problem": problem}
}

// campaignFindings compares the campaign that is asked for with those that there are, and their times with the clock.
func campaignFindings(ctx context.Context, st store.Store, campaign string, observed []string) (out []any, err error) {
	out = []any{}
	list, err := st.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	there := false
	var names, shown []string
	for _, c := range list {
		there = there || c.ID == campaign
		if c.ID != "" {
			names = append(names, c.ID)
			shown = append(shown, fmt.Sprintf("%q (%d tasks)", c.ID, c.Tasks))
		}
		if ahead := time.Until(time.Unix(0, c.LastAt)); c.LastAt != 0 && ahead > future && (campaign == "" || c.ID == campaign) {
			out = append(out, finding("campaign "+c.ID, fmt.Sprintf("its last task is %s ahead of this machine's clock: a log's times are of another "+
				"time zone (set timezone: in its rules), or the clock of a machine is wrong", ahead.Round(time.Minute))))
		}
	}
	if campaign == "" || there {
		return out, nil
	}
	text := fmt.Sprintf("no task is in the campaign %q", campaign)
	if len(shown) > 0 {
		text += "; there is " + strings.Join(shown, ", ")
	}
	if near := query.Nearest(campaign, names); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	if len(observed) > 0 {
		have := map[string]bool{}
		var as []string
		for _, c := range observed {
			if !have[c] {
				have[c] = true
				as = append(as, fmt.Sprintf("%q", c))
			}
		}
		if !have[campaign] {
			text += "; the observers here write to " + strings.Join(as, ", ") + ": ask for that, set campaign: (or MIDA_CAMPAIGN) to the name that " +
				"you want, or move tasks with `mida campaign assign`"
		}
	}
	return append(out, finding("campaign "+campaign, text)), nil
}

func (c clock) report(r control.Report) map[string]any {
	parts := []any{}
	state := control.Reached
	for _, p := range r.Parts {
		parts = append(parts, c.part(p))
		if p.State == control.Trouble || p.State == control.Waiting && state == control.Reached {
			state = p.State
		}
	}
	return map[string]any{"id": r.ID, "kind": r.Kind, "campaign_id": r.Campaign, "state": string(state), "parts": parts}
}

func (c clock) part(p control.Part) map[string]any {
	m := map[string]any{"what": p.What, "state": string(p.State)}
	if p.Problem != "" {
		m["problem"] = p.Problem
	}
	for key, counts := range map[string][]control.Count{"saw": p.Saw, "dropped": p.Dropped} {
		if len(counts) > 0 {
			by := map[string]any{}
			for _, n := range counts {
				by[n.What] = n.N
			}
			m[key] = by
		}
	}
	if len(p.Lines) > 0 {
		list := []any{}
		for _, l := range p.Lines {
			line := map[string]any{"path": l.Path, "offset": l.Offset, "text": l.Text}
			if l.Why != "" {
				line["why"] = l.Why
			}
			list = append(list, line)
		}
		m["unmatched_lines"] = list
	}
	if len(p.Errors) > 0 {
		list := []any{}
		for _, e := range p.Errors {
			one := map[string]any{"error": e.Text}
			c.instant(one, "at", e.At.UnixNano())
			list = append(list, one)
		}
		m["errors"] = list
	}
	return m
}

// stopped is a registered observer that does not run.
func (c clock) stopped(o control.Observer, campaign string) map[string]any {
	state, problem := control.Waiting, "it is stopped; `mida observers start "+o.ID+"` starts it"
	if o.State == control.Failed {
		state, problem = control.Trouble, o.Problem
	}
	return map[string]any{
		"id": o.Kind + "/" + o.ID, "kind": o.Kind, "campaign_id": campaign, "state": string(state),
		"parts": []any{map[string]any{"what": "observer " + o.ID, "state": string(state), "problem": problem}},
	}
}

// explain answers GET /api/v1/doctor/link?from=…&to=…: how two tasks are linked, or why not.
func (s *server) explain(ctx context.Context, r *http.Request) (any, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, key := range []string{"from", "to"} {
		name := r.URL.Query().Get(key)
		if name == "" {
			return nil, &query.Error{Field: key, Problem: "missing; want the id of a task"}
		}
		if ids[key], err = resolveID(ctx, st, key, name); err != nil {
			return nil, err
		}
	}
	x, err := lineage.Explain(ctx, st, ids["from"], ids["to"])
	if err != nil {
		return nil, err
	}
	form, _ := timeForm(r)
	linked := len(x.Steps) > 0
	links := []any{}
	for _, l := range x.Links {
		m := link(l)
		form.instant(m, "generated_at", l.GeneratedAt)
		form.instant(m, "used_at", l.UsedAt)
		links = append(links, m)
		linked = linked || l.From == ids["from"]
	}
	reasons := []any{}
	for _, reason := range x.Reasons {
		reasons = append(reasons, map[string]any{"kind": reason.Kind, "text": reason.Text})
	}
	out := map[string]any{"linked": linked, "links": links, "reasons": reasons, "generated": texts(x.Generated), "used": texts(x.Used)}
	if len(x.Steps) > 0 {
		out["steps"] = texts(x.Steps)
	}
	for key, f := range map[string]store.TaskFacts{"from": x.From, "to": x.To} {
		out[key] = map[string]any{"id": f.ID, "task_id": f.TaskID, "kind": f.Kind, "activity_id": f.ActivityID, "campaign_id": f.CampaignID}
	}
	return out, nil
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
