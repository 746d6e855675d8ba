package elastic

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// documented are the queries of docs/dashboards.md: each search of the server comes before the API's way to its answer.
type documented struct{ title, kind, search, api string }

var (
	blocks    = regexp.MustCompile("(?ms)^### ([^\n]*)$|^```(\\w*)\n(.*?)\n```$")
	searching = regexp.MustCompile(`(?s)^POST mida-(\w+)-v1/_search\n(.*)$`)
)

func documentedQueries(t *testing.T) (out []documented) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/dashboards.md")
	require.NoError(t, err)
	title := ""
	for _, m := range blocks.FindAllStringSubmatch(string(text), -1) {
		search := searching.FindStringSubmatch(m[3])
		switch {
		case m[1] != "":
			title = m[1]
		case m[2] != "": // of another language
		case search != nil:
			out = append(out, documented{title: title, kind: search[1], search: search[2]})
		default:
			require.NotEmpty(t, out)
			require.Empty(t, out[len(out)-1].api, "%s: two ways to one answer", title)
			out[len(out)-1].api = m[3]
		}
	}
	for _, d := range out {
		require.NotEmpty(t, d.api, "%s: nothing to compare with", d.title)
	}
	return out
}

const documentedFile = "file:node-3:/data/cells.h5"

// fillForQueries writes a campaign that every documented query finds something in, and another that none should find.
func fillForQueries(t *testing.T, s *Store) {
	t.Helper()
	start := time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)
	var events []*task.Event
	for i := range 60 {
		events = append(events, event(fmt.Sprintf("t%02d", i), func(e *task.Event) {
			at := start.Add(time.Duration(i) * 100 * time.Second)
			e.Campaign, e.Activity = "my_campaign_1", []string{"train", "test", "load"}[i%3]
			e.StartedAt, e.EndedAt = at.UnixNano(), at.Add(time.Duration(i*i)*time.Second/7).UnixNano()
			e.Resource = map[string]any{"host.name": fmt.Sprintf("node-%d", i%4)}
			e.Used, e.Generated = map[string]any{"layers": int64(1 + i%4), "batch": int64(i)}, map[string]any{"loss": float64(60-i) / 7}
			if e.Activity == "load" {
				e.Used, e.Generated = map[string]any{"path": "/data/cells.h5"}, nil
				e.Claims = []task.Claim{{Role: task.Used, Entity: documentedFile, Evidence: "path", Confidence: 1}}
			}
			switch i % 5 {
			case 3:
				e.Name, e.Status = task.EventStarted, task.StatusRunning
				e.EndedAt = 0
			case 4:
				e.Name, e.Status, e.Generated = task.EventFailed, task.StatusFailed, nil
				if i%10 == 4 {
					e.Attributes = map[string]any{"exception.type": []string{"ValueError", "MemoryError"}[i%20/10]}
				}
			}
		}))
	}
	for i := range 9 {
		events = append(events, event(fmt.Sprintf("other%d", i), func(e *task.Event) {
			e.Campaign, e.Activity, e.StartedAt, e.EndedAt = "other", "train", start.UnixNano(), start.Add(time.Hour).UnixNano()
			e.Used, e.Generated = map[string]any{"layers": int64(i)}, map[string]any{"loss": -1.0}
			e.Claims = []task.Claim{{Role: task.Used, Entity: "file:node-3:/data/other.h5", Evidence: "path", Confidence: 1}}
		}))
	}
	events = append(events, event("maker", func(e *task.Event) {
		e.Campaign, e.Activity, e.StartedAt, e.EndedAt = "other", "make", start.Add(-time.Hour).UnixNano(), start.Add(-time.Minute).UnixNano()
		e.Used = nil
		e.Claims = []task.Claim{{Role: task.Generated, Entity: documentedFile, Evidence: "path", Confidence: 1}}
	}))
	write(t, s, events...)
	require.NoError(t, s.refresh(t.Context(), s.indices(tasks, claims)))
}

// The queries of docs/dashboards.md run, and have the answers of the API.
func TestDocumentedQueries(t *testing.T) {
	queries := documentedQueries(t)
	require.Len(t, queries, 10)
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		fillForQueries(t, s)
		for _, d := range queries {
			t.Run(d.title, func(t *testing.T) {
				require.Contains(t, kinds, d.kind)
				have := searchRows(t, s, s.index(d.kind), json.RawMessage(d.search))
				want, ordered := d.ask(t, s, have)
				requireSame(t, want, have, ordered)
			})
		}
	})
}

// ask follows the documented way to the same answer.
func (d documented) ask(t *testing.T, s *Store, have []map[string]any) (rows []map[string]any, ordered bool) {
	t.Helper()
	if strings.HasPrefix(d.api, "GET /api/v1/lineage?") {
		require.Contains(t, d.api, "direction=downstream&depth=1&id=<task>")
		graph, err := lineage.Walk(t.Context(), s, []string{event("maker").ID()}, lineage.Options{Direction: lineage.Downstream, Depth: 1, MaxTasks: 1000})
		require.NoError(t, err)
		i := slices.IndexFunc(graph.Entities, func(e lineage.Entity) bool { return e.ID == documentedFile })
		require.GreaterOrEqual(t, i, 0)
		for _, id := range graph.Entities[i].UsedBy {
			rows = append(rows, map[string]any{"task": id})
		}
		return rows, false
	}
	body, ok := strings.CutPrefix(d.api, "POST /api/v1/query\n")
	require.True(t, ok, d.api)
	if !strings.Contains(body, "<from>") {
		return withoutCount(apiRows(t, s, body)), strings.Contains(body, `"sort"`)
	}
	seen := map[any]bool{}
	for _, r := range have {
		key := r["@timestamp"]
		if seen[key] {
			continue
		}
		seen[key] = true
		from := time.UnixMilli(int64(key.(float64))).UTC()
		bounds := strings.NewReplacer("<from>", from.Format(time.RFC3339), "<to>", from.Add(time.Hour).Format(time.RFC3339))
		for _, row := range withoutCount(apiRows(t, s, bounds.Replace(body))) {
			row["@timestamp"] = key
			rows = append(rows, row)
		}
	}
	require.Greater(t, len(seen), 1)
	return rows, false
}

// withoutCount leaves out count(id), which is count.
func withoutCount(rows []map[string]any) []map[string]any {
	for _, r := range rows {
		delete(r, "count(id)")
	}
	return rows
}
