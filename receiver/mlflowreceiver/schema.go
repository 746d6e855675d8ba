package mlflowreceiver

import (
	"context"
	"fmt"
	"strings"
)

// schema is which tables and columns exist. MLflow 1, 2 and 3 differ in their optional tables; presence decides, not a
// version number.
type schema map[string]map[string]bool

// needed are the tables without which nothing can be read; all versions have them.
var needed = []string{"experiments", "runs", "params", "metrics", "latest_metrics", "tags"}

func (d *database) loadSchema(ctx context.Context) error {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	res, err := d.conn.QueryContext(ctx, d.columns())
	if err != nil {
		return err
	}
	defer res.Close()
	s := schema{}
	for res.Next() {
		var table, column string
		if err := res.Scan(&table, &column); err != nil {
			return err
		}
		if s[table] == nil {
			s[table] = map[string]bool{}
		}
		s[table][column] = true
	}
	if err := res.Err(); err != nil {
		return err
	}
	var missing []string
	for _, t := range needed {
		if s[t] == nil {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: it has no table %s", errNotMLflow, strings.Join(missing, ", "))
	}
	d.schema = s
	return nil
}

func (s schema) has(table string) bool { return s[table] != nil }

// columns writes a select list in which a column that this version of MLflow lacks is NULL. alias qualifies the columns.
func (s schema) columns(table, alias string, names ...string) string {
	out := make([]string, len(names))
	for i, n := range names {
		switch {
		case s[table][n]:
			out[i] = alias + `."` + n + `"`
		default:
			out[i] = "NULL"
		}
	}
	return strings.Join(out, ", ")
}

// marks writes n placeholders.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func anys(l []string) []any {
	out := make([]any, len(l))
	for i, s := range l {
		out[i] = s
	}
	return out
}
