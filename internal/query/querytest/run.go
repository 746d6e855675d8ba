package querytest

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/query/testdata"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Run runs every script, each against targets of its own.
func Run(t *testing.T, newTarget func(t *testing.T) Target) {
	for _, name := range scripts(t) {
		t.Run(strings.TrimSuffix(name, ".txt"), func(t *testing.T) { runScript(t, name, read(t, name), newTarget) })
	}
}

// Contract returns, for each case of the scripts, the sentences that it tests.
func Contract(t *testing.T) map[string][]string {
	cases := map[string][]string{}
	for _, name := range scripts(t) {
		for _, c := range read(t, name) {
			if c.isCase() {
				cases[fmt.Sprintf("%s:%d", name, c.line)] = c.contract
			}
		}
	}
	return cases
}

func scripts(t *testing.T) []string {
	names, err := fs.Glob(testdata.Scripts, "*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

func read(t *testing.T, name string) []*command {
	text, err := testdata.Scripts.ReadFile(name)
	require.NoError(t, err)
	commands, err := parse(string(text))
	require.NoError(t, err, name)
	return commands
}

func runScript(t *testing.T, name string, commands []*command, newTarget func(t *testing.T) Target) {
	ctx := context.Background()
	target, n := newTarget(t), 0
	for _, c := range commands {
		switch c.name {
		case "clear":
			target = newTarget(t)
		case "load":
			var events []*task.Event
			for _, doc := range c.tasks {
				n++
				list, err := eventsOf(doc, n)
				require.NoError(t, err, "%s:%d", name, c.line)
				events = append(events, list...)
			}
			require.NoError(t, target.Load(ctx, events), "%s:%d", name, c.line)
		default:
			t.Run(fmt.Sprintf("line %d", c.line), func(t *testing.T) {
				for _, sentence := range c.contract {
					t.Attr("contract", sentence)
				}
				t.Logf("%s:%d: %s %s", name, c.line, c.name, c.body)
				c.run(ctx, t, target)
			})
		}
	}
}

func (c *command) run(ctx context.Context, t *testing.T, target Target) {
	body := c.body
	if c.name == "filter" {
		body = `{"filter": ` + c.body + `, "projection": ["task_id"], "sort": ["task_id"], "limit": 1000}`
		for _, id := range c.ids {
			c.rows = append(c.rows, map[string]any{"task_id": id})
		}
	}
	q, err := query.ParseJSON([]byte(body))
	var answer *query.Answer
	if err == nil {
		answer, err = target.Query(ctx, q)
	}
	if c.err != "" {
		require.ErrorContains(t, err, c.err)
		var mistake *query.Error
		require.ErrorAs(t, err, &mistake)
		return
	}
	require.NoError(t, err)
	assert.Equal(t, lines(q, c.rows, true), lines(q, answer.Rows, false))
	total := c.total
	if total < 0 {
		total = len(c.rows)
	}
	assert.EqualValues(t, total, answer.Total, "total")
	assert.Equal(t, c.truncated, answer.Truncated, "truncated")
	assert.Equal(t, c.truncated, answer.NextCursor != "", "next_cursor")
	assert.Equal(t, c.live, answer.Live, "live")
	assert.Len(t, answer.Warnings, len(c.warnings), "warnings")
	for i := range min(len(c.warnings), len(answer.Warnings)) {
		assert.Contains(t, answer.Warnings[i], c.warnings[i])
	}
	if !strings.Contains(body, `"limit"`) || c.name == "filter" {
		assert.Equal(t, lines(q, c.rows, true), lines(q, pages(ctx, t, target, q, 2), false), "in pages of two")
	}
	if target, ok := target.(scanner); ok && len(q.Aggregation) == 0 {
		compareScan(ctx, t, target, q)
	}
}

// pages reads a whole answer in pages of n rows.
func pages(ctx context.Context, t require.TestingT, target Target, q *query.Query, n int) []map[string]any {
	page := *q
	page.Limit, page.Cursor = n, ""
	var rows []map[string]any
	for range 10_000 {
		a, err := target.Query(ctx, &page)
		require.NoError(t, err)
		rows = append(rows, a.Rows...)
		if a.NextCursor == "" {
			return rows
		}
		require.NotEmpty(t, a.Rows, "a page with a cursor and no rows")
		page.Cursor = a.NextCursor
	}
	require.Fail(t, "the cursor does not end")
	return nil
}

// lines shows rows for a comparison, one a line. Times of answers become seconds, as scripts have them. Numbers of
// aggregates are compared as numbers, to twelve digits; values of tasks with their types.
func lines(q *query.Query, rows []map[string]any, fromScript bool) string {
	times := map[string]bool{}
	for _, f := range q.Projection {
		times[f.Name] = f.Type == query.Time
	}
	for _, a := range q.Aggregation {
		times[a.Column()] = a.Field.Type == query.Time && a.Op != query.Count
	}
	if len(q.Projection) == 0 && len(q.Aggregation) == 0 {
		times["submitted_at"], times["started_at"], times["ended_at"] = true, true, true
	}
	var b strings.Builder
	for _, row := range rows {
		shown := make(map[string]any, len(row))
		for k, v := range row {
			if times[k] {
				v = seconds(v, fromScript)
			}
			if len(q.Aggregation) > 0 {
				v = number(v)
			}
			shown[k] = v
		}
		b.WriteString(task.JSON(shown))
		b.WriteByte('\n')
	}
	return b.String()
}

func seconds(v any, fromScript bool) any {
	if fromScript {
		return float64(nanoseconds(v)/1e3) / 1e6
	}
	if ns, ok := v.(int64); ok {
		return float64(ns/1e3) / 1e6
	}
	return v
}

func number(v any) any {
	f, ok := v.(float64)
	if i, isInt := v.(int64); isInt {
		f, ok = float64(i), math.Abs(float64(i)) < 1<<53
	}
	if !ok {
		return v
	}
	return fmt.Sprintf("%.12g", f+0) // -0 is 0
}
