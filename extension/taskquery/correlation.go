package taskquery

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/correlation"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var correlationParameters = []string{"campaign_id", "filter", "x", "y", "method", "correction", "min_n", "format"}

// What is correlated without x and y.
const (
	defaultX = "used.*"
	defaultY = "generated.*,elapsed"
)

// correlations is how many matrices are made at a time: ranks of many tasks take some hundred megabytes. Others wait, no
// longer than query_timeout.
const correlations = 2

// correlation answers GET /api/v1/correlation.
func (s *server) correlation(ctx context.Context, r *http.Request) (any, error) {
	asCSV, err := wantsCSV(r)
	if err != nil {
		return nil, err
	}
	req, err := correlationRequest(r.URL.Query())
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	select {
	case s.correlations <- struct{}{}:
		defer func() { <-s.correlations }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	res, err := correlation.Correlate(ctx, st, req)
	if err != nil {
		return nil, err
	}
	if res.Sampled {
		res.Warnings = append(res.Warnings, fmt.Sprintf("ranks are made of %d of the %d tasks, those with the lowest ids, which are hashes: a fair sample",
			res.Read, res.Tasks))
	}
	q, seen := lookedAt(req, res)
	res.Warnings = append(res.Warnings, hints(ctx, st, q, seen)...)
	res.Warnings = append(res.Warnings, emptyPrefixes(req, res)...)
	if asCSV {
		return matrixCSV(res), nil
	}
	return matrix(req, res), nil
}

// wantsCSV says whether the answer is to be a table of text.
func wantsCSV(r *http.Request) (bool, error) {
	switch v := r.URL.Query().Get("format"); v {
	case "":
		return strings.HasPrefix(r.Header.Get("Accept"), "text/csv"), nil
	case "csv", "json":
		return v == "csv", nil
	default:
		return false, &query.Error{Field: "format", Problem: fmt.Sprintf("%q is no form of an answer", v), Valid: []string{"json", "csv"}}
	}
}

func correlationRequest(v url.Values) (*correlation.Request, error) {
	req := &correlation.Request{MinN: correlation.LeastN}
	var err error
	if req.Filter, err = selection(v); err != nil {
		return nil, err
	}
	if req.X, err = selectors("x", v.Get("x"), defaultX); err != nil {
		return nil, err
	}
	if req.Y, err = selectors("y", v.Get("y"), defaultY); err != nil {
		return nil, err
	}
	if req.Method, err = choice("method", v.Get("method"), correlation.Methods); err != nil {
		return nil, err
	}
	if req.Correction, err = choice("correction", v.Get("correction"), correlation.Corrections); err != nil {
		return nil, err
	}
	if text := v.Get("min_n"); text != "" {
		if req.MinN, err = strconv.Atoi(text); err != nil || req.MinN < correlation.LeastN {
			return nil, &query.Error{Field: "min_n", Problem: fmt.Sprintf("%q is not a number of tasks; want %d or more", text, correlation.LeastN)}
		}
	}
	return req, nil
}

// selection is the filter of a URL: `filter` as JSON, within `campaign_id`.
func selection(v url.Values) (query.Filter, error) {
	var filter query.Filter
	if text := v.Get("filter"); text != "" {
		m, err := task.DecodeJSON([]byte(text))
		if err != nil {
			return nil, &query.Error{Field: "filter", Problem: `not JSON; want an object such as {"activity_id": "train"}: ` + err.Error()}
		}
		if filter, err = query.ParseFilter(m); err != nil {
			return nil, err
		}
	}
	if !v.Has("campaign_id") {
		return filter, nil
	}
	mine, err := query.ParseFilter(map[string]any{"campaign_id": v.Get("campaign_id")})
	if err != nil || filter == nil {
		return mine, err
	}
	return query.And{Parts: []query.Filter{mine, filter}}, nil
}

// selectors reads fields parted by commas, or a JSON list where a name holds one.
func selectors(at, text, otherwise string) ([]correlation.Selector, error) {
	if text == "" {
		text = otherwise
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "[") {
		return correlation.ParseSelectors(at, strings.Split(text, ","))
	}
	v, err := task.DecodeJSON([]byte(text))
	list, _ := v.([]any)
	names := make([]string, len(list))
	for i, e := range list {
		name, ok := e.(string)
		if !ok {
			return nil, &query.Error{Field: at, Problem: task.JSON(e) + " is not the name of a field"}
		}
		names[i] = name
	}
	if err != nil {
		return nil, &query.Error{Field: at, Problem: `not a list of fields; want some such as ["used.layers", "elapsed"]: ` + err.Error()}
	}
	return correlation.ParseSelectors(at, names)
}

func choice[T ~string](at, text string, valid []T) (T, error) {
	if text == "" {
		return valid[0], nil
	}
	if slices.Contains(valid, T(text)) {
		return T(text), nil
	}
	names := make([]string, len(valid))
	for i, v := range valid {
		names[i] = string(v)
	}
	return "", &query.Error{Field: at, Problem: fmt.Sprintf("unknown %s %q", at, text), Valid: names, Suggestion: query.Nearest(text, names)}
}

// lookedAt is the request as a query, with one row that shows the fields which some task has: what hints ask for.
func lookedAt(req *correlation.Request, res *correlation.Result) (*query.Query, *query.Answer) {
	q, row := &query.Query{Filter: req.Filter}, map[string]any{}
	for _, sel := range slices.Concat(req.X, req.Y) {
		if !sel.All {
			q.Projection = append(q.Projection, sel.Field)
		}
	}
	for _, f := range slices.Concat(res.X, res.Y) {
		if f.Missing < res.Read {
			row[f.Name] = true
		}
	}
	if res.Read == 0 {
		return q, &query.Answer{}
	}
	return q, &query.Answer{Rows: []map[string]any{row}}
}

// emptyPrefixes are the warnings about prefixes that stand for no field.
func emptyPrefixes(req *correlation.Request, res *correlation.Result) []string {
	var out []string
	if res.Read == 0 {
		return nil
	}
	for _, s := range []struct {
		at        string
		selectors []correlation.Selector
		fields    []correlation.Field
	}{{"x", req.X, res.X}, {"y", req.Y, res.Y}} {
		for _, sel := range s.selectors {
			prefix := sel.Field.Root + "." + sel.Below
			if sel.All && !slices.ContainsFunc(s.fields, func(f correlation.Field) bool { return strings.HasPrefix(f.Name, prefix) }) {
				out = append(out, fmt.Sprintf("%s: %s: none of the %d tasks has a field below it", s.at, sel.Name, res.Read))
			}
		}
	}
	return out
}
