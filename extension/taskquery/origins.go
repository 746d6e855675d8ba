package taskquery

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/report"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var originParameters = []string{"campaign_id", "filter", "against", "fields", "limit", "format", "time"}

// origins answers GET /api/v1/origins: the raw data behind tasks, and what tells them from other tasks.
func (s *server) origins(ctx context.Context, r *http.Request) (any, error) {
	asCSV, err := wantsCSV(r)
	if err != nil {
		return nil, err
	}
	form, err := timeForm(r)
	if err != nil {
		return nil, err
	}
	o, err := originOptions(r)
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	select { // as many lineages as a report reads
	case s.reports <- struct{}{}:
		defer func() { <-s.reports }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	o.Names = s.config.Report.Conventions
	found, err := report.FindOrigins(ctx, st, o)
	if err != nil {
		return nil, err
	}
	q := &query.Query{Filter: o.Filter, Projection: o.Fields}
	for i, row := range found.Rows {
		found.Rows[i] = form.row(row, timeColumns(q))
	}
	found.Warnings = append(found.Warnings, hints(ctx, st, q, &query.Answer{Rows: found.Rows})...)
	if asCSV {
		return originsCSV(found), nil
	}
	return showOrigins(found), nil
}

func originOptions(r *http.Request) (o report.OriginOptions, err error) {
	given := r.URL.Query()
	if given.Get("filter") == "" {
		return o, &query.Error{Field: "filter", Problem: `missing; want the tasks whose raw data are asked for, such as {"status": "FAILED"}`}
	}
	if o.Filter, err = selection(given); err != nil {
		return o, err
	}
	if text := given.Get("against"); text != "" {
		against := url.Values{"filter": {text}}
		if given.Has("campaign_id") {
			against.Set("campaign_id", given.Get("campaign_id"))
		}
		if o.Against, err = selection(against); err != nil {
			return o, err
		}
	}
	names, err := namesOfFields("fields", given.Get("fields"))
	if err != nil {
		return o, err
	}
	for _, name := range names {
		f, err := query.LookupField("fields", name)
		if err != nil {
			return o, err
		}
		o.Fields = append(o.Fields, f)
	}
	o.Limit, err = number(r, "limit", report.DefaultOrigins, 1, report.MaxOrigins)
	return o, err
}

// namesOfFields reads names parted by commas, or a JSON list.
func namesOfFields(at, text string) (names []string, err error) {
	list := []any{}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		v, err := task.DecodeJSON([]byte(text))
		if err != nil {
			return nil, &query.Error{Field: at, Problem: `not a list of fields; want some such as ["elapsed", "host"]: ` + err.Error()}
		}
		list = v.([]any)
	} else {
		for _, name := range strings.Split(text, ",") {
			list = append(list, name)
		}
	}
	for _, e := range list {
		name, ok := e.(string)
		if !ok {
			return nil, &query.Error{Field: at, Problem: task.JSON(e) + " is not the name of a field"}
		}
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

func showOrigins(found *report.Origins) map[string]any {
	rows := make([]any, len(found.Rows))
	for i, row := range found.Rows {
		rows[i] = row
	}
	groups := map[string]any{}
	for name, g := range found.Groups {
		groups[name] = map[string]any{"total": g.Total, "tasks": g.Tasks}
	}
	out := map[string]any{"columns": found.Columns, "rows": rows, "groups": groups}
	if len(found.Warnings) > 0 {
		out["warnings"] = found.Warnings
	}
	if c := found.Contrast; c != nil {
		columns := make([]any, len(c.Columns))
		for i, d := range c.Columns {
			columns[i] = showDifference(d)
		}
		out["contrast"] = map[string]any{
			"method": string(c.Method), "correction": string(c.Correction), "tests": int64(c.Tests), "columns": columns,
		}
	}
	return out
}

func showDifference(d report.Difference) map[string]any {
	m := map[string]any{
		"column": d.X, "n": d.N, report.GroupFilter: showRange(d.Filter), report.GroupAgainst: showRange(d.Against),
	}
	for k, v := range map[string]*float64{"value": d.Value, "p": d.P, "q": d.Q} {
		if v != nil {
			m[k] = *v
		}
	}
	for k, v := range map[string]string{"statistic": string(d.Statistic), "reason": d.Reason} {
		if v != "" {
			m[k] = v
		}
	}
	return m
}

func showRange(r report.Range) map[string]any {
	m := map[string]any{"tasks": int64(r.Tasks), "distinct": int64(r.Distinct)}
	for k, v := range map[string]any{"min": r.Min.V, "max": r.Max.V} {
		if v != nil {
			m[k] = v
		}
	}
	if len(r.Values) > 0 {
		values := make([]any, len(r.Values))
		for i, v := range r.Values {
			values[i] = v.V
		}
		m["values"] = values
	}
	return m
}

// originsCSV is one line a row; what a row does not have is empty. What is no text and no number is JSON.
func originsCSV(found *report.Origins) document {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(found.Columns) // into memory
	for _, row := range found.Rows {
		line := make([]string, len(found.Columns))
		for i, c := range found.Columns {
			switch v := row[c].(type) {
			case nil:
			case string:
				line[i] = v
			case bool:
				line[i] = fmt.Sprint(v)
			default:
				line[i] = task.JSON(v)
			}
		}
		_ = w.Write(line)
	}
	w.Flush()
	return document{contentType: "text/csv; charset=utf-8; header=present", body: b.Bytes()}
}
