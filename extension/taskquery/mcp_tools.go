package taskquery

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/correlation"
	"github.com/otelcol-mida/otelcol-mida/internal/analysis/report"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// tool is a route of the API as an assistant sees it.
type tool struct {
	name, title, about string
	less               string // how to ask for less
	route              route
	arguments          []argument
}

// argument is a parameter of the route, or a key of its body.
type argument struct {
	name     string
	schema   map[string]any
	required bool
}

func arg(name, kind, about string) argument {
	return argument{name: name, schema: map[string]any{"type": kind, "description": about}}
}

func list(name string, items map[string]any, about string) argument {
	return argument{name: name, schema: map[string]any{"type": "array", "items": items, "description": about}}
}

func oneOf[T ~string](name string, values []T, about string) argument {
	return argument{name: name, schema: map[string]any{"type": "string", "enum": values, "description": about}}
}

func needed(a argument) argument {
	a.required = true
	return a
}

var (
	textItems = map[string]any{"type": "string"}
	pairItems = map[string]any{"type": "array", "items": textItems}
)

const queryReference = `Filter, project, aggregate and sort the tasks of all workflows. No argument is needed; without a projection rows are whole tasks, which are large.

Fields: id (unique), task_id (the tool's own), kind, campaign_id, workflow_id, workflow_name, activity_id, status (UNKNOWN SUBMITTED RUNNING FINISHED FAILED CANCELLED), attempt, submitted_at, started_at, ended_at (RFC 3339), elapsed (seconds), host, user, site, stdout, stderr, parent, dependencies, tags; and paths below used, generated, error (error.type, error.message), environment, job, custom, attributes, telemetry_start, telemetry_end, telemetry_peak, telemetry_delta, such as used.layers or generated.loss. The tool "fields" lists those that tasks have.
Filter: MongoDB's $eq $ne $lt $lte $gt $gte $in $nin $exists $regex on fields, $and $or $nor $not around them.
Aggregation: pairs of min max avg sum count stddev median p95 and a field; the other projected fields are the groups; columns are named "min(generated.loss)" and "count". Without aggregation each row also has its id.
Sort: pairs of a field or column and "ascending" or "descending"; missing values come last.

The 5 trainings with the least loss: {"filter": {"activity_id": "train", "status": "FINISHED"}, "projection": ["used.layers", "generated.loss"], "sort": [["generated.loss", "ascending"]], "limit": 5}
Mean loss by layers: {"projection": ["used.layers", "generated.loss"], "aggregation": [["avg", "generated.loss"]]}
Out of memory: {"filter": {"error.type": {"$in": ["gpu_out_of_memory", "out_of_memory", "oom_killed"]}}, "projection": ["activity_id", "host", "error.message"]}`

// tools are what assistants may do: to read.
func (s *server) tools() []tool {
	filter := arg("filter", "object", `only tasks that match this filter, in the language of the tool "query", such as {"activity_id": "train"}`)
	campaign := arg("campaign_id", "string", "only this campaign; all unless given")
	directions := []string{"upstream", "downstream", "both"}
	tools := []tool{
		{
			name: "campaigns", title: "Campaigns", route: route{path: "/api/v1/campaigns"},
			about: "All campaigns, with their number of workflows and of tasks by status, and when they ran.",
			less:  `Count with the tool "query" instead: {"projection": ["campaign_id", "id"], "aggregation": [["count", "id"]]}.`,
		},
		{
			name: "fields", title: "Fields of tasks", route: route{path: "/api/v1/fields"},
			about: "Which activities there are, with tasks by status, and which fields tasks have below used, generated, error, telemetry_peak, …, with type, range and values, from a sample of the tasks that match. Prefixes in more_fields_below are only counted.",
			less:  "Narrow the filter to one activity, or name a prefix in below.",
			arguments: []argument{
				filter, arg("below", "string", `only fields with this prefix, all of them, such as "generated" or "environment.packages"`),
			},
		},
		{
			name: "query", title: "Query tasks", about: queryReference, route: route{path: "/api/v1/query"},
			less: "Name the fields that you need in a projection, aggregate, narrow the filter, or page with a smaller limit and the cursor.",
			arguments: []argument{
				arg("filter", "object", "which tasks; all unless given"), list("projection", textItems, "the fields to show"),
				list("aggregation", pairItems, `pairs of operation and field, such as [["min", "generated.loss"]]`),
				list("sort", pairItems, `pairs of field and direction, such as [["elapsed", "descending"]]`),
				arg("limit", "integer", "rows at most; 100 unless given, 10,000 at most"), arg("cursor", "string", "next_cursor of the same query's last answer"),
			},
		},
		{
			name: "task", title: "One task", route: route{path: "/api/v1/tasks/{id}"},
			about:     "One task whole: used, generated, error, telemetry, logs, environment, and the tasks directly upstream with the evidence of each link.",
			less:      `Read single fields with the tool "query": {"filter": {"id": "…"}, "projection": ["used.…"]}.`,
			arguments: []argument{needed(arg("id", "string", "the id of the task, or its task_id where that is unique"))},
		},
		{
			name: "lineage", title: "Lineage and cost", route: route{path: "/api/v1/lineage"},
			about: "Where results came from (upstream), or what was made of them (downstream): tasks, files and other entities, and links with evidence and confidence. With cost, what all that they came from cost: elapsed, CPU and GPU time, energy, CO2e, with the trials discarded on the way.",
			less:  "Set depth to 1 or 2 and go on from the tasks found.",
			arguments: []argument{
				needed(list("id", textItems, "ids of tasks to start from")), oneOf("direction", directions, "upstream unless given"),
				arg("depth", "integer", "steps at most; all unless given"), arg("cost", "boolean", "add what it cost"),
			},
		},
		{
			name: "correlation", title: "Correlations", route: route{path: "/api/v1/correlation"},
			about: `How fields go together, such as hyperparameters with metrics, telemetry and elapsed time: a coefficient for each pair, the strongest first, with n, p and corrected q. Tasks of one activity have the same fields: filter for it. The tasks behind a pair: "query" with the same filter and both fields in its projection.`,
			less:  "Name fewer fields in x and y.",
			arguments: []argument{
				campaign, filter, list("x", textItems, `fields or prefixes; ["used.*"] unless given`), list("y", textItems, `["generated.*", "elapsed"] unless given`),
				oneOf("method", correlation.Methods, ""), oneOf("correction", correlation.Corrections, "for many tests"),
				arg("min_n", "integer", "tasks that a pair needs; 3 unless given"),
			},
		},
		{
			name: "report", title: "Report on the best results", route: route{path: "/api/v1/report"},
			about: "The life of the best results by a metric, as Markdown, back to the raw data: training, hyperparameters, data, transformations, environment, cost, how to do it again, and what nobody recorded. Long: for a single question about many results, lineage is shorter.",
			arguments: []argument{
				needed(arg("metric", "string", "a field that holds numbers, such as generated.loss")), campaign, filter,
				arg("k", "integer", fmt.Sprintf("results; %d unless given, %d at most", report.DefaultK, report.MaxK)),
				oneOf("order", []string{"ascending", "descending"}, "ascending (the least is the best) unless given"),
			},
		},
		{
			name: "origins", title: "Raw data behind tasks", route: route{path: "/api/v1/origins"},
			about: "The raw data behind tasks, such as failed ones: a row for each task, data set that it used, and raw file behind that, with metadata, transformations and the parameters of the instrument. With against, what tells these tasks from others, the clearest first.",
			less:  "Narrow the filter, or set limit.",
			arguments: []argument{
				needed(arg("filter", "object", `the tasks, such as {"error.type": "out_of_memory"}`)), arg("against", "object", "a filter for other tasks, to be told apart"),
				campaign, list("fields", textItems, "more fields of the tasks"), arg("limit", "integer", "tasks of each group at most; 1000 unless given"),
			},
		},
		{
			name: "completeness", title: "Completeness", route: route{path: "/api/v1/completeness"}, arguments: []argument{campaign},
			about: "Whether all that was observed has arrived: state complete, missing or unknown, by observer, with what is missing. Look here before you say that something did not happen.",
			less:  "Ask for one campaign.",
		},
	}
	table := s.table()
	for i := range tools {
		t := &tools[i]
		t.route = table[slices.IndexFunc(table, func(rt route) bool { return rt.path == t.route.path && rt.method != http.MethodDelete })]
		switch t.name {
		case "fields":
			t.route.handle, t.route.parameters = s.fieldsInShort, append(slices.Clone(t.route.parameters), "below")
		case "query":
			t.route.handle = s.queryWithHint
		case "report":
			t.route.handle = s.tellReport
		case "correlation":
			t.route.handle = s.strongestFirst
		}
	}
	return tools
}

func (t tool) describe() *mcp.Tool {
	properties, required := map[string]any{}, []string{}
	for _, a := range t.arguments {
		properties[a.name] = a.schema
		if a.required {
			required = append(required, a.name)
		}
	}
	closed := false
	return &mcp.Tool{
		Name: t.name, Title: t.title, Description: t.about,
		InputSchema: map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false},
		Annotations: &mcp.ToolAnnotations{Title: t.title, ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &closed},
	}
}

// request asks the tool's route for what the arguments say; the route checks their values.
func (t tool) request(ctx context.Context, arguments json.RawMessage) (*http.Request, error) {
	given := map[string]any{}
	if len(arguments) > 0 {
		v, err := task.DecodeJSON(arguments)
		m, ok := v.(map[string]any)
		if err != nil || !ok && v != nil {
			return nil, &query.Error{Field: "arguments", Problem: "not a JSON object"}
		}
		maps.Copy(given, m)
	}
	maps.DeleteFunc(given, func(_ string, v any) bool { return v == nil }) // as some clients fill in what is not given
	if err := t.check(given); err != nil {
		return nil, err
	}
	values := url.Values{}
	if slices.Contains(t.route.parameters, "time") {
		values.Set("time", "iso")
	}
	var body []byte
	if t.route.method == http.MethodPost {
		body = task.AppendJSON(nil, withID(given))
	} else {
		for k, v := range given {
			values[k] = parameter(k, v)
		}
	}
	id := values.Get("id")
	if strings.HasSuffix(t.route.path, "{id}") {
		values.Del("id")
	}
	target := url.URL{Path: t.route.path, RawQuery: values.Encode()}
	r, err := http.NewRequestWithContext(ctx, t.route.method, target.String(), strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	r.SetPathValue("id", id)
	return r, nil
}

func (t tool) check(given map[string]any) error {
	var names []string
	for _, a := range t.arguments {
		names = append(names, a.name)
		v, ok := given[a.name]
		if l, isList := v.([]any); a.required && (!ok || v == "" || isList && len(l) == 0) {
			return &query.Error{Field: a.name, Problem: fmt.Sprintf("missing; want %s", a.schema["description"])}
		}
		_, isList := v.([]any)
		if _, isMap := v.(map[string]any); isMap && a.schema["type"] != "object" || isList && a.schema["type"] != "array" {
			return &query.Error{Field: a.name, Problem: fmt.Sprintf("want %s: %s", a.schema["type"], a.schema["description"])}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, k) {
			return &query.Error{
				Field: k, Problem: fmt.Sprintf("the tool %q has no such argument", t.name), Valid: names, Suggestion: query.Nearest(k, names),
			}
		}
	}
	return nil
}

// withID adds the id to rows of fields, so that what is said of them can name it.
func withID(q map[string]any) map[string]any {
	fields, ok := q["projection"].([]any)
	groups, _ := q["aggregation"].([]any)
	if ok && len(fields) > 0 && len(groups) == 0 && !slices.Contains(fields, any("id")) {
		q["projection"] = append([]any{"id"}, fields...)
	}
	return q
}

// parameter is a value as the route reads it from a URL.
func parameter(name string, v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)} // 3.0 is a number of steps, too
	case []any:
		if name == "id" {
			var out []string
			for _, e := range v {
				out = append(out, parameter("", e)...)
			}
			return out
		}
	}
	return []string{task.JSON(v)}
}

// strongestFirst orders the pairs of a correlation, so that what is cut from a large answer is what says least.
func (s *server) strongestFirst(ctx context.Context, r *http.Request) (any, error) {
	answer, err := s.correlation(ctx, r)
	if err != nil {
		return nil, err
	}
	strength := func(cell any) float64 {
		if v, ok := cell.(map[string]any)["value"].(float64); ok {
			return math.Abs(v)
		}
		return -1
	}
	slices.SortStableFunc(answer.(map[string]any)["cells"].([]any), func(a, b any) int { return cmp.Compare(strength(b), strength(a)) })
	return answer, nil
}

// tellReport is the report as Markdown, with the ids of its results.
func (s *server) tellReport(ctx context.Context, r *http.Request) (any, error) {
	o, _, err := reportOptions(r)
	if err != nil {
		return nil, err
	}
	found, err := s.makeReport(ctx, o)
	if err != nil {
		return nil, err
	}
	results := make([]any, len(found.Results))
	ids := make([]string, len(found.Results))
	for i, o := range found.Results {
		results[i] = map[string]any{"rank": int64(o.Rank), "id": o.Task.ID, "task_id": shorten(o.Task.TaskID, shortText), "value": o.Value.V}
		ids[i] = fmt.Sprintf("%d. %s", o.Rank, o.Task.ID)
	}
	structured := map[string]any{"results": results, "total": found.Total, "truncated": false}
	var out []string
	if len(ids) > 0 {
		out = append(out, "Ids of the results: "+strings.Join(ids, ", "))
	}
	page, cut := fitReport(found, maxToolAnswer-len(task.JSON(structured))-maxToolAnswer/16)
	if cut != "" {
		structured["truncated"], structured["cut"] = true, cut
		out = append(out, cut)
	}
	structured["markdown"] = page
	return told{structured: structured, texts: append(out, page)}, nil
}

// fitReport leaves out the longest parts of each result first, so that all results are there, and then what comes last.
func fitReport(found *report.Report, room int) (page, cut string) {
	whole := string(found.Text(false))
	if len(task.JSON(whole)) <= room {
		return whole, ""
	}
	page = string(found.Text(true))
	if len(task.JSON(page)) <= room {
		return page, "This report was cut to fit: of each result, the lineage and how to do it again are left out. Set k to 1 to see them."
	}
	for len(task.JSON(page)) > room {
		page = page[:len(page)*9/10]
		page = page[:strings.LastIndexByte(page, '\n')+1]
	}
	return page, fmt.Sprintf("This report was cut: %d of %d KiB shown. Set k to 1, or narrow the filter to one result.", len(page)>>10, len(whole)>>10)
}
