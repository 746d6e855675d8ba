package taskquery

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// The expected numbers here are by hand or plain algebra; python/tests/test_correlation.py holds the API against pandas and
// scipy.

func startTrained(t *testing.T) *api {
	a := start(t)
	for i := range 8 {
		a.stores.load(t, event(fmt.Sprint("t", i), func(e *task.Event) {
			e.Used = map[string]any{
				"layers": int64(i), "flag": i%2 == 0, "opt": []string{"adam", "sgd"}[i%2], "path": fmt.Sprint("/m/", i),
				"seed": int64(7), "list": []any{int64(1)}, "cfg": map[string]any{"depth": int64(8 - i)},
			}
			e.Generated = map[string]any{"loss": 2 * float64(i), "odd": float64(i % 2)}
			if i == 0 {
				e.Generated["loss"] = math.NaN()
			}
			if i == 1 {
				e.Used["layers"] = nil
			}
		}))
	}
	return a
}

func correlate(a *api, parameters string) (answer map[string]any, cells map[string]map[string]any) {
	a.t.Helper()
	answer = a.ok("GET", "/api/v1/correlation?"+parameters, "")
	cells = map[string]map[string]any{}
	for _, c := range answer["cells"].([]any) {
		m := c.(map[string]any)
		cells[m["x"].(string)+" "+m["y"].(string)] = m
	}
	return answer, cells
}

func fieldsOf(answer map[string]any, side string) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, f := range answer[side].([]any) {
		m := f.(map[string]any)
		name := m["field"].(string)
		delete(m, "field")
		out[name] = m
	}
	return out
}

func TestCorrelationSaysWhatEachNumberRestsOn(t *testing.T) {
	a := startTrained(t)
	answer, cells := correlate(a, "campaign_id=c1&y=generated.*,elapsed")
	assert.Equal(t, []any{"pearson", "benjamini-hochberg", int64(3), int64(8), int64(8), false}, []any{
		answer["method"], answer["correction"], answer["min_n"], answer["tasks"], answer["read"], answer["sampled"],
	})
	assert.InDelta(t, 1, cells["used.layers generated.loss"]["value"], 1e-12)
	assert.Equal(t, int64(6), cells["used.layers generated.loss"]["n"], "one has no layers, another no finite loss")
	assert.InDelta(t, -1, cells["used.cfg.depth generated.loss"]["value"], 1e-12)
	assert.InDelta(t, -1, cells["used.flag generated.odd"]["value"], 1e-12)
	assert.Equal(t, "eta", cells["used.opt generated.odd"]["statistic"])
	assert.InDelta(t, 1, cells["used.opt generated.odd"]["value"], 1e-12)
	for pair, reason := range map[string]string{
		"used.seed generated.loss": "used.seed is constant among these tasks",
		"used.layers elapsed":      "elapsed is constant among these tasks",
		"used.path generated.odd":  "used.path names rather than groups: 8 categories in 8 tasks",
		"used.list generated.odd":  "used.list has neither numbers nor text",
	} {
		assert.Equal(t, reason, cells[pair]["reason"], pair)
		assert.NotContains(t, cells[pair], "value", pair)
	}
	x := fieldsOf(answer, "x")
	assert.Equal(t, map[string]any{
		"kind": "number", "n": int64(7), "null": int64(1), "constant": false, "min": 0.0, "max": 7.0,
		"mean": x["used.layers"]["mean"], "stddev": x["used.layers"]["stddev"],
	}, x["used.layers"])
	assert.Equal(t, "boolean", x["used.flag"]["kind"])
	assert.Equal(t, int64(8), x["used.flag"]["booleans"])
	assert.Equal(t, map[string]any{"kind": "none", "n": int64(0), "other": int64(8), "constant": false}, x["used.list"])
	assert.Equal(t, int64(2), x["used.opt"]["categories"])
	assert.Equal(t, int64(1), fieldsOf(answer, "y")["generated.loss"]["not_finite"])
}

func TestCorrelationOfNamedFields(t *testing.T) {
	a := startTrained(t)
	// A short name, a longer prefix, a filter, and names that hold a comma.
	a.stores.load(t, event("odd", func(e *task.Event) {
		e.Campaign, e.Used = "c2", map[string]any{"a,b": int64(1), "cfg": map[string]any{"depth": "deep"}}
	}))
	answer, cells := correlate(a, "x=used.depth,used.cfg.*&y=used.layers&filter="+url.QueryEscape(`{"used.layers": {"$gte": 4}}`))
	assert.Equal(t, int64(4), answer["tasks"])
	assert.InDelta(t, -1, cells["used.depth used.layers"]["value"], 1e-12)
	assert.InDelta(t, -1, cells["used.cfg.depth used.layers"]["value"], 1e-12)
	answer, _ = correlate(a, "x="+url.QueryEscape(`["used.a,b"]`)+"&y=elapsed&campaign_id=c2")
	assert.Equal(t, int64(1), fieldsOf(answer, "x")["used.a,b"]["n"])
	// One stray text does not turn a number into a category; it is counted.
	answer, cells = correlate(a, "x=used.cfg.depth&y=used.layers")
	assert.Equal(t, int64(1), fieldsOf(answer, "x")["used.cfg.depth"]["text"])
	assert.InDelta(t, -1, cells["used.cfg.depth used.layers"]["value"], 1e-12)
	// A field with itself is no test, and (a, b) is the test (b, a).
	answer, cells = correlate(a, "x=used.cfg.depth,used.layers&y=used.cfg.depth,used.layers")
	assert.Equal(t, int64(1), answer["tests"])
	assert.NotContains(t, cells["used.layers used.layers"], "p")
	assert.Equal(t, cells["used.layers used.cfg.depth"]["q"], cells["used.cfg.depth used.layers"]["q"])
}

func TestCorrelationHints(t *testing.T) {
	a := startTrained(t)
	answer, _ := correlate(a, "x=used.layrs&y=telemetry_peak.*,generated.odd")
	assert.Equal(t, []any{
		`used.layrs: no task has this field; did you mean "used.layers"?`,
		"y: telemetry_peak.*: none of the 8 tasks has a field below it",
	}, answer["warnings"])
	answer, _ = correlate(a, "campaign_id=nosuch")
	assert.Equal(t, []any{int64(0), []any{}}, []any{answer["tasks"], answer["cells"]})
}

func TestCorrelationMistakes(t *testing.T) {
	a := startTrained(t)
	wide := map[string]any{}
	for i := range 250 {
		wide[fmt.Sprint("k", i)] = int64(i)
	}
	a.stores.load(t, event("wide", func(e *task.Event) { e.Campaign, e.Used = "wide", wide }))
	many := strings.Repeat("used.k%d,", 80)
	numbers := make([]any, 80)
	for i := range numbers {
		numbers[i] = i
	}
	eighty := fmt.Sprintf(many, numbers...)
	for parameters, want := range map[string]string{
		"method=kendall":               `method: unknown method "kendall"; valid: pearson, spearman`,
		"method=spaerman":              `method: unknown method "spaerman"; did you mean "spearman"?; valid: pearson, spearman`,
		"correction=fdr":               `correction: unknown correction "fdr"; valid: benjamini-hochberg, holm, bonferroni, none`,
		"min_n=2":                      `min_n: "2" is not a number of tasks; want 3 or more`,
		"format=xml":                   `format: "xml" is no form of an answer; valid: json, csv`,
		"x=usd.layers":                 `x: unknown field "usd.layers"; did you mean "used.layers"?`,
		"y=,":                          `y: names no field;`,
		"x=[1]":                        "x: 1 is not the name of a field",
		"x=[":                          "x: not a list of fields;",
		"filter={":                     "filter: not JSON;",
		`filter={"statsu":1}`:          `filter.statsu: unknown field "statsu"; did you mean "status"?`,
		"campaign=c1":                  `campaign: unknown parameter; did you mean "campaign_id"?`,
		"campaign_id=wide":             "x: used.* names more than 200 fields; want 200 at most",
		"x=" + eighty + "&y=" + eighty: "y: 80 fields of x with 80 of y are 6400 pairs; want 5000 at most",
	} {
		query := strings.NewReplacer("{", "%7B", "}", "%7D", `"`, "%22", "[", "%5B", "]", "%5D").Replace(parameters)
		assert.Contains(t, a.refused(http.StatusBadRequest, "GET", "/api/v1/correlation?"+query, "")["message"], want, parameters)
	}
	for parameters, want := range map[string]string{
		"x=used.layers":                  "y: missing; want a field such as",
		"x=used.*&y=elapsed":             `x: "used.*" is not one field;`,
		"x=used.a&y=used.b&limit=100000": `limit: "100000" is not a number of points; want 1 to 10000`,
	} {
		assert.Contains(t, a.refused(http.StatusBadRequest, "GET", "/api/v1/correlation/scatter?"+parameters, "")["message"], want)
	}
	a = start(t, func(c *Config) { c.QueryTimeout = 1 })
	assert.Contains(t, a.refused(http.StatusGatewayTimeout, "GET", "/api/v1/correlation", "")["message"], "query_timeout")
}

func TestCorrelationAsCSV(t *testing.T) {
	a := startTrained(t)
	for _, c := range []struct{ parameters, accept string }{{"&format=csv", ""}, {"", "text/csv"}} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", a.url+"/api/v1/correlation?x=used.layers,used.path&y=generated.odd"+c.parameters, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+a.token)
		r.Header.Set("Accept", c.accept)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, []any{200, "text/csv; charset=utf-8; header=present"}, []any{response.StatusCode, response.Header.Get("Content-Type")})
		lines, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
		require.NoError(t, err)
		assert.Equal(t, []string{"x", "y", "statistic", "value", "n", "p", "q", "reason"}, lines[0])
		assert.Equal(t, []string{"used.layers", "generated.odd", "pearson"}, lines[1][:3])
		assert.Equal(t, []string{"used.path", "generated.odd", "eta", "", "8", "", "", "used.path names rather than groups: 8 categories in 8 tasks"}, lines[2])
		assert.Len(t, lines, 3)
	}
}

func TestScatter(t *testing.T) {
	a := startTrained(t)
	answer := a.ok("GET", "/api/v1/correlation/scatter?campaign_id=c1&x=used.layers&y=ended_at&limit=5", "")
	assert.Equal(t, []any{int64(8), true}, []any{answer["total"], answer["sampled"]})
	points := answer["points"].([]any)
	assert.Len(t, points, 5)
	for _, p := range points {
		m := p.(map[string]any)
		assert.Equal(t, 101.5, m["y"])
		assert.NotEmpty(t, m["id"])
		if m["task_id"] != "t1" {
			assert.Equal(t, "t"+fmt.Sprint(m["x"]), m["task_id"])
		}
	}
	assert.Equal(t, []any{false, int64(8)}, []any{
		a.ok("GET", "/api/v1/correlation/scatter?x=used.layers&y=elapsed", "")["sampled"],
		a.ok("GET", "/api/v1/correlation/scatter?x=used.layers&y=elapsed", "")["total"],
	})
}

// A third matrix waits for one of the two before it, no longer than the deadline.
func TestCorrelationsAtATime(t *testing.T) {
	a := start(t, func(c *Config) { c.QueryTimeout = 500 * time.Millisecond })
	for range correlations {
		a.server.correlations <- struct{}{}
	}
	assert.Contains(t, a.refused(http.StatusGatewayTimeout, "GET", "/api/v1/correlation", "")["message"], "query_timeout")
	<-a.server.correlations
	a.server.config.QueryTimeout = 0
	a.ok("GET", "/api/v1/correlation", "")
	assert.Len(t, a.server.correlations, correlations-1, "it gives its place back")
}
