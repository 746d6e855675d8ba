package elastic

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// panel is a saved object that shows data: a visualization, or a list of tasks with columns.
type panel struct {
	id, index, kql string
	columns        []string
	sort           [][2]string
	state          struct {
		Aggs   []aggregation
		Params struct{ Spec string }
	}
	vega struct {
		Signals []struct{ Name, Value string }
		Data    []struct {
			URL struct {
				Index     string
				Body      map[string]any
				TimeField string `json:"%timefield%"`
				Context   bool   `json:"%context%"`
			}
		}
	}
}

type aggregation struct {
	ID, Type, Schema string
	Enabled          bool
	Params           struct {
		Field, OrderBy, Order, Interval string
		Size, MinDocCount               int
		MissingBucket                   bool
	}
}

func (a aggregation) isBucket() bool { return a.Schema != "metric" }

// use is a field that a panel needs, and the types that do for it.
type use struct {
	field string
	types []string
}

func (p panel) uses(timeField string) (out []use) {
	numbers, anyType := []string{"double", "long"}, []string{"double", "long", "keyword", "date"}
	out = append(out, use{timeField, []string{"date"}})
	if m := kqlPattern.FindStringSubmatch(p.kql); m != nil {
		out = append(out, use{m[1], []string{"keyword"}})
	}
	for _, c := range p.columns {
		out = append(out, use{c, anyType})
	}
	for _, s := range p.sort {
		out = append(out, use{s[0], anyType})
	}
	for _, a := range p.state.Aggs {
		switch a.Type {
		case "count":
		case "terms":
			out = append(out, use{a.Params.Field, []string{"keyword"}})
		case "date_histogram":
			out = append(out, use{a.Params.Field, []string{"date"}})
		default:
			out = append(out, use{a.Params.Field, append(numbers, "date")})
		}
	}
	for _, s := range p.vega.Signals {
		out = append(out, use{s.Value, numbers})
	}
	for _, d := range p.vega.Data {
		out = append(out, use{d.URL.TimeField, []string{"date"}})
		for _, key := range []string{"_source", "fields"} {
			for _, f := range d.URL.Body[key].([]any) {
				out = append(out, use{f.(string), anyType})
			}
		}
		for _, s := range d.URL.Body["sort"].([]any) {
			for f := range s.(map[string]any) {
				out = append(out, use{f, anyType})
			}
		}
	}
	return out
}

// check says which fields of a panel the index does not have as the panel needs them.
func (p panel) check(types map[string]string, timeField string) error {
	var errs []error
	for _, u := range p.uses(timeField) {
		root, all := strings.CutSuffix(u.field, ".*")
		got := types[root]
		there := got != "" || all && slices.ContainsFunc(sortedKeys(types), func(f string) bool { return strings.HasPrefix(f, root+".") })
		switch {
		case !there:
			errs = append(errs, fmt.Errorf("%s: no field %q", p.id, u.field))
		case !all && !slices.Contains(u.types, got):
			errs = append(errs, fmt.Errorf("%s: field %q is of type %s, want one of %v", p.id, u.field, got, u.types))
		}
	}
	return errors.Join(errs...)
}

// kqlPattern is as much of the query language as the panels use.
var kqlPattern = regexp.MustCompile(`^([\w.]+) : "(\w+)"$`)

func (p panel) where(t *testing.T, timeField string, from time.Time) object {
	t.Helper()
	parts := []any{object{"range": object{timeField: object{"gte": from.UTC().Format(time.RFC3339), "format": "strict_date_optional_time"}}}}
	if p.kql != "" {
		m := kqlPattern.FindStringSubmatch(p.kql)
		require.NotNil(t, m, p.kql)
		parts = append(parts, object{"bool": object{"should": []object{{"match_phrase": object{m[1]: m[2]}}}, "minimum_should_match": 1}})
	}
	return object{"bool": object{"filter": parts}}
}

// request is the search that the products make of a panel: of its aggregations as AggConfig.toDsl does, of a list as
// Discover does.
func (p panel) request(t *testing.T, timeField string, from time.Time) json.RawMessage {
	t.Helper()
	body := object{"query": p.where(t, timeField, from), "size": 0}
	if p.columns != nil {
		body["size"], body["_source"] = 500, p.columns
		var order []object
		for _, s := range p.sort {
			order = append(order, object{s[0]: object{"order": s[1], "unmapped_type": "boolean"}})
		}
		body["sort"] = order
		return json.RawMessage(toJSON(t, body))
	}
	inner := object{}
	for _, a := range p.state.Aggs {
		require.True(t, a.Enabled)
		if !a.isBucket() && a.Type != "count" {
			inner[a.ID] = object{a.Type: object{"field": a.Params.Field}}
		}
	}
	for _, a := range slices.Backward(p.state.Aggs) {
		if !a.isBucket() {
			continue
		}
		params := object{"field": a.Params.Field}
		switch a.Type {
		case "terms":
			require.Equal(t, "count", p.state.Aggs[slices.IndexFunc(p.state.Aggs, func(m aggregation) bool { return m.ID == a.Params.OrderBy })].Type)
			params["order"], params["size"] = object{"_count": a.Params.Order}, a.Params.Size
			if a.Params.MissingBucket {
				params["missing"] = missing
			}
		case "date_histogram":
			require.Equal(t, "auto", a.Params.Interval)
			params["fixed_interval"], params["time_zone"], params["min_doc_count"] = fmt.Sprintf("%dm", int(bucketWidth.Minutes())), "UTC", 1
		default:
			t.Fatalf("aggregation %s", a.Type)
		}
		def := object{a.Type: params}
		if len(inner) > 0 {
			def["aggs"] = inner
		}
		inner = object{a.ID: def}
	}
	body["aggs"] = inner
	return json.RawMessage(toJSON(t, body))
}

// bucketWidth is what the products could choose for "auto".
const bucketWidth = 5 * time.Minute

// points are what the Vega specification draws, computed as its transforms do.
func (p panel) points(t *testing.T, s *Store, timeField string, from time.Time) (out []map[string]any) {
	t.Helper()
	url := p.vega.Data[0].URL
	require.True(t, url.Context)
	require.NotContains(t, url.Body, "query", "both products refuse it beside the context")
	body := maps.Clone(url.Body)
	body["query"] = p.where(t, url.TimeField, from)
	var answer struct {
		Hits struct {
			Hits []struct {
				Source map[string]any `json:"_source"`
				Fields map[string][]any
			}
		}
	}
	require.NoError(t, s.client.do(t.Context(), request{method: http.MethodPost, path: "/" + p.index + "/_search", body: body}, &answer))
	for _, h := range answer.Hits.Hits {
		row := h.Source
		for _, axis := range p.vega.Signals {
			if v := h.Fields[axis.Value]; len(v) == 1 {
				row[pathOf(axis.Value)] = v[0]
			}
		}
		if isNumber(row[pathOf(p.vega.Signals[0].Value)]) && isNumber(row[pathOf(p.vega.Signals[1].Value)]) {
			out = append(out, row)
		}
	}
	return out
}

// filter is the panel's own filter, as the API has it.
func (p panel) filter(t *testing.T) string {
	t.Helper()
	if p.kql == "" {
		return "{}"
	}
	m := kqlPattern.FindStringSubmatch(p.kql)
	require.NotNil(t, m, p.kql)
	return toJSON(t, object{m[1]: m[2]})
}

// since selects what lies in a span of time for the dashboard: by the start, else by the submission.
func since(from, to time.Time) string {
	span := fmt.Sprintf(`{"$gte": %q, "$lt": %q}`, from.UTC().Format(time.RFC3339), to.Add(time.Second).UTC().Format(time.RFC3339))
	return fmt.Sprintf(`{"$or": [{"started_at": %s}, {"started_at": {"$exists": false}, "submitted_at": %s}]}`, span, span)
}

// ask asks the API for what the panel's aggregations show, and names the columns as the panel does.
func (p panel) ask(t *testing.T, s *Store, from, to time.Time) []map[string]any {
	t.Helper()
	groups, aggregates, overTime := []string{}, [][2]string{{"count", "id"}}, false
	for _, a := range p.state.Aggs {
		switch {
		case a.Type == "date_histogram":
			overTime = true
		case a.isBucket():
			groups = append(groups, a.Params.Field)
		case a.Type != "count":
			aggregates = append(aggregates, [2]string{a.Type, strings.Replace(a.Params.Field, "@timestamp", "started_at", 1)})
		}
	}
	in := func(from, to time.Time) []map[string]any {
		rows := apiRows(t, s, fmt.Sprintf(`{"filter": {"$and": [%s, %s]}, "projection": %s, "aggregation": %s, "limit": 1000}`,
			p.filter(t), since(from, to), toJSON(t, groups), toJSON(t, aggregates)))
		for _, r := range rows {
			delete(r, "count(id)")
			if ns, ok := r["max(started_at)"].(float64); ok {
				delete(r, "max(started_at)")
				r["max(@timestamp)"] = math.Floor(ns / 1e6)
			}
			for _, a := range aggregates {
				if column := a[0] + "(" + a[1] + ")"; a[0] == "sum" && r[column] == nil {
					r[column] = 0.0 // the server's sum of nothing, which the API leaves out
				}
			}
		}
		return rows
	}
	if !overTime {
		return in(from, to)
	}
	var rows []map[string]any
	for at := to.Truncate(bucketWidth).Add(-2 * time.Hour); !at.After(to); at = at.Add(bucketWidth) {
		for _, r := range in(at, at.Add(bucketWidth-time.Second)) {
			r["@timestamp"] = float64(at.UnixMilli())
			rows = append(rows, r)
		}
	}
	return rows
}
