package sqlite

import (
	"fmt"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// statement builds one SELECT. Every field that a query touches becomes one column (x0, x1, …) of an inner SELECT, which
// evaluates it once a row; the filter, the order and the answer look at the columns only.
type statement struct {
	args    []any
	columns []column
	byName  map[string]int
	env     bool // environments are joined
	leaves  bool // leaves are joined
	// ambiguous says that the names of ambiguous fields are selected; wants leaves.
	ambiguous bool
}

// column is a field as SQL sees it.
type column struct {
	field query.Field
	expr  string // in the inner SELECT
	// encoded says that the column holds a leaf in stored form (see encodeLeaf), rather than a plain value.
	encoded bool
	// object is the JSONB object that holds the leaf, "" for a promoted column.
	object string
}

// promoted are the fields that have a column in tasks.
var promoted = map[string]bool{
	"id": true, "task_id": true, "kind": true, "status": true, "campaign_id": true, "workflow_id": true,
	"workflow_name": true, "activity_id": true, "attempt": true, "submitted_at": true, "started_at": true,
	"ended_at": true, "host": true, "user": true, "site": true, "scope": true, "execution": true,
	"workflow_parent_id": true, "parent": true,
}

// objects says which JSONB object holds the leaves of a field of the document.
var objects = map[string]string{
	"used": "l.main", "generated": "l.main", "telemetry_start": "l.main", "telemetry_end": "l.main",
	"telemetry_peak": "l.main", "telemetry_delta": "l.main", "telemetry_coverage": "l.main",
	"custom": "l.main", "job": "l.main", "tags": "l.main", "dependencies": "l.main",
	"error": "l.extra", "attributes": "l.extra", "stdout": "l.extra", "stderr": "l.extra", "environment": "e.leaves",
}

// arg adds an argument and returns its placeholder.
func (s *statement) arg(v any) string {
	s.args = append(s.args, v)
	return fmt.Sprintf("?%d", len(s.args))
}

// column returns the name and the description of a field's column.
func (s *statement) column(f query.Field) (string, column, error) {
	if i, ok := s.byName[f.Name]; ok {
		return fmt.Sprintf("x%d", i), s.columns[i], nil
	}
	c := column{field: f}
	switch {
	case f.Name == "elapsed":
		c.expr = "CAST(max(t.ended_at - t.started_at, 0) AS REAL) / 1e9" // as query.Elapsed
	case promoted[f.Name]:
		c.expr = "t." + f.Name
	case f.Name == "environment":
		// A task has an environment also when the record has not arrived yet.
		c.expr = "t.environment"
	case objects[f.Root] != "":
		c.object, c.encoded = objects[f.Root], true
		c.expr = "json_extract(" + c.object + ", " + s.arg(leafPath(f.Name)) + ")"
		s.env = s.env || c.object == "e.leaves"
		s.leaves = s.leaves || c.object != "e.leaves"
	default:
		return "", c, &query.Error{Field: f.Name, Problem: fmt.Sprintf("the SQLite store has no field %q", f.Name)}
	}
	if s.byName == nil {
		s.byName = map[string]int{}
	}
	s.byName[f.Name] = len(s.columns)
	s.columns = append(s.columns, c)
	return fmt.Sprintf("x%d", len(s.columns)-1), c, nil
}

// from is the inner SELECT with the conditions on promoted columns, as a table to select from.
func (s *statement) from(where string) string {
	var b strings.Builder
	b.WriteString("(SELECT t.n AS n, t.id AS id, t.environment AS environment")
	for i, c := range s.columns {
		fmt.Fprintf(&b, ", %s AS x%d", c.expr, i)
	}
	if s.leaves {
		b.WriteString(", l.main AS main, l.extra AS extra")
	}
	if s.ambiguous {
		b.WriteString(", l.ambiguous AS ambiguous")
	}
	if s.env {
		b.WriteString(", e.leaves AS env")
	}
	b.WriteString(" FROM tasks t")
	if s.leaves {
		b.WriteString(" CROSS JOIN leaves l ON l.n = t.n")
	}
	if s.env {
		b.WriteString(" LEFT JOIN environments e ON e.digest = t.environment")
	}
	if where != "" {
		b.WriteString(" WHERE " + where)
	}
	if s.leaves || s.env {
		// A LIMIT keeps SQLite from merging both SELECTs, which would evaluate a column wherever it is named.
		b.WriteString(" LIMIT -1")
	}
	b.WriteString(")")
	return b.String()
}

// inside is the name that the object of a leaf has outside of the inner SELECT.
func (c column) inside() string {
	switch c.object {
	case "l.main":
		return "main"
	case "l.extra":
		return "extra"
	default:
		return "env"
	}
}
