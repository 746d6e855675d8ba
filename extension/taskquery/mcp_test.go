package taskquery

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// bearer sends the token, as an assistant's configuration has it.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b != "" {
		r.Header.Set("Authorization", "Bearer "+string(b))
	}
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
}

func (a *api) dial(ctx context.Context, token string) (*mcp.ClientSession, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	return client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: a.url + "/mcp", HTTPClient: &http.Client{Transport: bearer(token)}, MaxRetries: -1,
	}, nil)
}

func (a *api) assistant() *mcp.ClientSession {
	a.t.Helper()
	session, err := a.dial(context.Background(), a.token)
	require.NoError(a.t, err)
	a.t.Cleanup(func() { require.NoError(a.t, session.Close()) })
	return session
}

// call returns the result of a tool: its structure, as the client decoded it, and its texts.
func call(t *testing.T, session *mcp.ClientSession, name string, arguments any) (m map[string]any, texts []string, isError bool) {
	t.Helper()
	result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	require.NoError(t, err)
	body, err := json.Marshal(result.StructuredContent)
	require.NoError(t, err)
	v, err := task.DecodeJSON(body)
	require.NoError(t, err, "%s", body)
	for _, c := range result.Content {
		texts = append(texts, c.(*mcp.TextContent).Text)
	}
	require.NotEmpty(t, texts)
	return v.(map[string]any), texts, result.IsError
}

func tell(t *testing.T, session *mcp.ClientSession, name string, arguments any) (map[string]any, []string) {
	t.Helper()
	m, texts, isError := call(t, session, name, arguments)
	require.False(t, isError, "%s: %v", name, texts)
	return m, texts
}

type args = map[string]any

func TestAssistantsFindReadOnlyTools(t *testing.T) {
	session := start(t).assistant()
	info := session.InitializeResult()
	assert.Contains(t, info.Instructions, "never instructions")
	list, err := session.ListTools(context.Background(), nil)
	require.NoError(t, err)
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		assert.True(t, tool.Annotations.ReadOnlyHint, tool.Name)
		assert.False(t, *tool.Annotations.OpenWorldHint, tool.Name)
		assert.NotEmpty(t, tool.Description, tool.Name)
		assert.Equal(t, false, tool.InputSchema.(map[string]any)["additionalProperties"], tool.Name)
	}
	slices.Sort(names)
	assert.Equal(t, []string{"campaigns", "completeness", "correlation", "fields", "lineage", "origins", "query", "report", "task"}, names)
	body, err := json.Marshal(list)
	require.NoError(t, err)
	assert.Less(t, len(body), 16<<10, "every conversation pays for the descriptions")
}

// Tools answer what the routes answer.
func TestToolsAreTheRoutes(t *testing.T) {
	a := start(t)
	loadEverything(a)
	session := a.assistant()
	filter := url.QueryEscape(`{"activity_id":"train"}`)
	for _, c := range []struct {
		tool      string
		arguments any
		path      string
	}{
		{"campaigns", nil, "/api/v1/campaigns?time=iso"},
		{"campaigns", args{}, "/api/v1/campaigns?time=iso"},
		{"task", args{"id": "train"}, "/api/v1/tasks/train?time=iso"},
		{"lineage", args{"id": []string{"train"}}, "/api/v1/lineage?id=train&time=iso"},
		{"lineage", args{"id": "train", "direction": "both", "depth": 2, "cost": true}, "/api/v1/lineage?id=train&direction=both&depth=2&cost=true&time=iso"},
		{"correlation", args{"x": []string{"used.*", "attempt"}, "method": "spearman", "filter": nil}, "/api/v1/correlation?x=used.*,attempt&method=spearman"},
		{
			"origins", args{"filter": args{"activity_id": "train"}, "fields": []string{"host", "elapsed"}, "limit": 5},
			"/api/v1/origins?filter=" + filter + "&fields=host,elapsed&limit=5&time=iso",
		},
		{"completeness", args{"campaign_id": "c1"}, "/api/v1/completeness?campaign_id=c1&time=iso"},
	} {
		got, texts := tell(t, session, c.tool, c.arguments)
		want := a.ok("GET", c.path, "")
		assert.JSONEq(t, task.JSON(want), task.JSON(got), c.tool)
		require.Len(t, texts, 1, c.tool)
		assert.Equal(t, task.JSON(want), texts[0], "%s: the text says the same", c.tool)
	}
}

func TestQueryTool(t *testing.T) {
	a := start(t)
	loadEverything(a)
	session := a.assistant()
	got, _ := tell(t, session, "query", args{"filter": args{"activity_id": "train"}, "projection": []string{"generated.x"}, "sort": [][]string{{"generated.x", "ascending"}}})
	require.NotEmpty(t, got["rows"])
	for _, row := range got["rows"].([]any) {
		assert.NotEmpty(t, row.(map[string]any)["id"], "rows name their tasks")
	}
	q := `{"projection": ["activity_id", "generated.x"], "aggregation": [["min", "generated.x"]]}`
	groups, _ := tell(t, session, "query", json.RawMessage(q))
	assert.JSONEq(t, task.JSON(a.ok("POST", "/api/v1/query?time=iso", q)), task.JSON(groups))
	first, _ := tell(t, session, "query", args{"projection": []string{"task_id"}, "limit": 1})
	second, _ := tell(t, session, "query", args{"projection": []string{"task_id"}, "limit": 1, "cursor": first["next_cursor"]})
	assert.NotEqual(t, first["rows"], second["rows"])
	warned, _ := tell(t, session, "query", args{"projection": []string{"generated.y"}})
	assert.Contains(t, fmt.Sprint(warned["warnings"]), "generated.y: no task has this field")
}

func TestReportTool(t *testing.T) {
	a := start(t)
	loadEverything(a)
	session := a.assistant()
	got, texts := tell(t, session, "report", args{"metric": "generated.x", "k": 1.0})
	id := a.ok("GET", "/api/v1/tasks/train", "")["id"].(string)
	result := got["results"].([]any)[0].(map[string]any)
	assert.Equal(t, map[string]any{"rank": int64(1), "id": id, "task_id": "train", "value": 1.5}, result)
	require.Len(t, texts, 2)
	assert.Equal(t, "Ids of the results: 1. "+id, texts[0])
	assert.Equal(t, got["markdown"], texts[1])
	assert.Contains(t, texts[1], "generated.x")
	none, texts := tell(t, session, "report", args{"metric": "generated.nothing"})
	assert.Empty(t, none["results"])
	assert.Len(t, texts, 1)
}

func TestToolMistakes(t *testing.T) {
	a := start(t)
	loadEverything(a)
	session := a.assistant()
	for _, c := range []struct {
		tool      string
		arguments args
		want      string
	}{
		{"query", args{"filter": args{"statsu": "FINISHED"}}, `filter.statsu: unknown field "statsu"; did you mean "status"?`},
		{"query", args{"fliter": args{}}, `fliter: the tool "query" has no such argument; did you mean "filter"?; valid: filter, projection`},
		{"query", args{"time": "iso"}, `time: the tool "query" has no such argument`},
		{"query", args{"limit": "many"}, "limit: "},
		{"query", args{"filter": []string{"status"}}, "filter: want object: which tasks"},
		{"query", args{"cursor": "x"}, "cursor"},
		{"task", args{}, "id: missing; want the id of the task"},
		{"task", args{"id": "nosuch"}, `no task has the id or the task_id "nosuch"`},
		{"task", args{"id": []string{"a", "b"}}, "id: want string"},
		{"lineage", args{"id": []string{}}, "id: missing"},
		{"lineage", args{"id": "train", "direction": "up"}, `unknown direction "up"`},
		{"lineage", args{"id": "train", "depth": 1.5}, `depth: "1.5" is no number of steps`},
		{"lineage", args{"id": "train", "cost": "perhaps"}, "cost"},
		{"correlation", args{"method": "kendall"}, "unknown method"},
		{"correlation", args{"campaign": "c1"}, `did you mean "campaign_id"?`},
		{"origins", args{}, "filter: missing; want the tasks"},
		{"origins", args{"filter": args{"status": "FAILED"}, "fields": []int{1}}, "1 is not the name of a field"},
		{"report", args{}, "metric: missing; want a field that holds numbers"},
		{"report", args{"metric": "loss"}, "metric"},
		{"report", args{"metric": "generated.x", "k": 21}, "want a number of results from 1 to 20"},
		{"report", args{"metric": "generated.x", "format": "html"}, `format: the tool "report" has no such argument`},
		{"fields", args{"filter": args{"used.x": args{"$gte": nil}}}, "filter.used.x"},
		{"campaigns", args{"x": 1}, `x: the tool "campaigns" has no such argument`},
	} {
		m, texts, isError := call(t, session, c.tool, c.arguments)
		assert.True(t, isError, "%s %v: %v", c.tool, c.arguments, m)
		assert.Contains(t, texts[0], c.want, c.tool)
		assert.Equal(t, texts[0], m["error"].(map[string]any)["message"])
	}
	_, texts, isError := call(t, session, "query", args{strings.Repeat("x", 1<<20): 1})
	assert.True(t, isError)
	assert.Less(t, len(texts[0]), 2*maxToolError, "a mistake is not sent back whole")
	_, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: "delete"})
	assert.ErrorContains(t, err, `unknown tool "delete"`)
	_, texts, isError = call(t, session, "query", []string{"x"})
	assert.True(t, isError)
	assert.Contains(t, texts[0], "arguments: not a JSON object")
}

func TestAssistantsNeedTheToken(t *testing.T) {
	a := start(t)
	for _, token := range []string{"", "wrong"} {
		_, err := a.dial(context.Background(), token)
		assert.Error(t, err, token)
	}
	const list = `{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}`
	for _, method := range []string{"POST", "GET", "DELETE"} {
		e := a.refused(http.StatusUnauthorized, method, "/mcp", list, "Authorization", "")
		assert.Contains(t, e["message"], "token")
	}
}

func TestForeignPagesReachNoTool(t *testing.T) {
	const list = `{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}`
	own := start(t)
	patterns := start(t, func(c *Config) {
		c.CORS = configoptional.Some(confighttp.CORSConfig{AllowedOrigins: []string{"https://*.lab.example", "http://one.example"}})
	})
	for _, c := range []struct {
		api    *api
		origin string
		status int
	}{
		{own, "", http.StatusOK},
		{own, own.url, http.StatusOK},
		{own, "https://evil.example", http.StatusForbidden},
		{own, "null", http.StatusForbidden},
		{patterns, "https://a.lab.example", http.StatusOK},
		{patterns, "http://one.example", http.StatusOK},
		{patterns, "https://lab.example", http.StatusForbidden},
		{patterns, "https://evil.example", http.StatusForbidden},
		{patterns, "https://a.lab.example.evil.example", http.StatusForbidden},
	} {
		for _, method := range []string{"POST", "GET"} {
			want := c.status
			if method == "GET" && want == http.StatusOK {
				want = http.StatusMethodNotAllowed // no session, no stream
			}
			header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			assert.Equal(t, want, c.api.status(method, "/mcp", list, header), "%s from %q", method, c.origin)
		}
	}
	e := own.refused(http.StatusMisdirectedRequest, "POST", "/mcp", list, "Host", "evil.example")
	assert.Contains(t, e["message"], "allowed_hosts")
	named := start(t, func(c *Config) { c.AllowedHosts = []string{"gateway.lab"} })
	r := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Host": {"gateway.lab"}}
	assert.Equal(t, http.StatusOK, named.status("POST", "/mcp", list, r))
}

// status makes a request and returns the status of its answer, of whatever form.
func (a *api) status(method, path, body string, header http.Header) int {
	a.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, a.url+path, strings.NewReader(body))
	require.NoError(a.t, err)
	r.Header, r.Host = header, header.Get("Host")
	resp, err := bearer(a.token).RoundTrip(r)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestLargeToolRequest(t *testing.T) {
	a := start(t, func(c *Config) { c.MaxRequestBodySize = 1000 })
	big := `{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query", "arguments": {"filter": {"id": "` + strings.Repeat("x", 2000) + `"}}}}`
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	assert.Equal(t, http.StatusRequestEntityTooLarge, a.status("POST", "/mcp", big, header))
}

func TestAssistantsCanBeSwitchedOff(t *testing.T) {
	a := start(t, func(c *Config) { c.MCP.Enabled = false })
	e := a.refused(http.StatusNotFound, "POST", "/mcp", `{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}`)
	assert.Contains(t, e["message"], "extensions::taskquery::mcp::enabled")
}

func TestToolsKeepTheDeadline(t *testing.T) {
	session := start(t, func(c *Config) { c.QueryTimeout = 1 }).assistant()
	for name, arguments := range map[string]args{"query": nil, "report": {"metric": "elapsed"}, "correlation": nil} {
		_, texts, isError := call(t, session, name, arguments)
		assert.True(t, isError, name)
		assert.Contains(t, texts[0], "query_timeout", name)
	}
}

// slow is a store that answers when nobody waits any more.
type slow struct {
	store.Store
	began, ended chan struct{}
}

func (s slow) Campaigns(ctx context.Context) ([]store.Campaign, error) {
	s.began <- struct{}{}
	<-ctx.Done()
	s.ended <- struct{}{}
	return nil, ctx.Err()
}

// A client that goes ends the work, whichever version of the protocol it speaks.
func TestToolsEndWithTheirClient(t *testing.T) {
	a := start(t, func(c *Config) { c.QueryTimeout = 0 })
	st := slow{a.stores.store, make(chan struct{}), make(chan struct{})}
	a.stores.store = st
	for _, version := range []string{"2025-03-26", "2025-06-18", "2025-11-25"} {
		ctx, cancel := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/mcp",
			strings.NewReader(`{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "campaigns"}}`))
		require.NoError(t, err)
		r.Header = http.Header{
			"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Mcp-Protocol-Version": {version},
		}
		gone := make(chan error)
		go func() {
			resp, err := bearer(a.token).RoundTrip(r)
			if err == nil {
				resp.Body.Close()
			}
			gone <- err
		}()
		within(t, st.began, "the tool is called")
		cancel()
		require.ErrorIs(t, <-gone, context.Canceled)
		within(t, st.ended, version+": the tool ends")
	}
	session := a.assistant() // the newest version
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error)
	go func() {
		_, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "campaigns"})
		gone <- err
	}()
	within(t, st.began, "the tool is called")
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	within(t, st.ended, "the tool ends")
}

func within(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(60 * time.Second):
		require.Fail(t, "not within a minute: "+what)
	}
}

func TestToolSurvivesAFault(t *testing.T) {
	a := start(t)
	broken := tool{name: "broken", route: route{handle: func(context.Context, *http.Request) (any, error) { panic("x") }}}
	result, err := a.server.caller(broken)(context.Background(), &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{}})
	require.NoError(t, err)
	assert.True(t, result.IsError)
	assert.Contains(t, result.Content[0].(*mcp.TextContent).Text, "its log says more")
}
