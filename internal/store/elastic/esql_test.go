package elastic

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic/elastictest"
)

var esqlBlock = regexp.MustCompile("(?s)```esql\n(.*?)```")

// The ES|QL of docs/dashboards.md runs, and has the answers of the API.
func TestDocumentedESQL(t *testing.T) {
	text, err := os.ReadFile("../../../docs/dashboards.md")
	require.NoError(t, err)
	block := esqlBlock.FindSubmatch(text)
	require.NotNil(t, block)
	esql := map[string]string{} // by the title of the query that it repeats
	for part := range strings.SplitSeq(strings.TrimPrefix(string(block[1]), "// "), "\n// ") {
		title, body, _ := strings.Cut(part, "\n")
		esql[title] = body
	}
	queries := documentedQueries(t)
	require.Len(t, esql, len(queries))
	s, o := fresh(t, Options{Endpoints: []string{servers.URL(t, elastictest.ESQL)}})
	fillForQueries(t, s)
	for _, d := range queries {
		t.Run(d.title, func(t *testing.T) {
			body := esql[strings.ToLower(d.title)]
			require.NotEmpty(t, body)
			have, counted := esqlRows(t, s, strings.ReplaceAll(body, "FROM mida-", "FROM "+o.IndexPrefix+"-"))
			want, ordered := d.ask(t, s, have)
			if !counted {
				for _, r := range want {
					delete(r, "count")
				}
			}
			requireSame(t, want, have, ordered)
		})
	}
}

// esqlNames are the API's names of the columns that the documented queries name themselves.
var esqlNames = map[string]string{
	"n": "count", "loss": "min(generated.loss)", "mean": "avg(elapsed)", "longest": "max(elapsed)", "hour": "@timestamp",
}

func esqlRows(t *testing.T, s *Store, text string) (rows []map[string]any, counted bool) {
	t.Helper()
	var answer struct {
		Columns []struct{ Name, Type string }
		Values  [][]any
	}
	require.NoError(t, s.client.do(t.Context(), request{method: http.MethodPost, path: "/_query", body: object{"query": text}}, &answer))
	for _, values := range answer.Values {
		row := map[string]any{}
		for i, c := range answer.Columns {
			name := c.Name
			if esqlNames[name] != "" {
				name = esqlNames[name]
			}
			counted = counted || name == "count"
			switch v := values[i]; {
			case v == nil:
			case c.Type == "date":
				at, err := time.Parse(time.RFC3339, v.(string))
				require.NoError(t, err)
				row[name] = float64(at.UnixMilli())
			default:
				row[name] = v
			}
		}
		rows = append(rows, row)
	}
	return rows, counted
}
