package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// checkAmbiguous refuses a field that is ambiguous in a task that counts, as the reference does (internal/query). Few
// tasks have such fields; they are in an index.
func checkAmbiguous(ctx context.Context, tx *sql.Tx, q *query.Query) error {
	shown := map[string]bool{}
	for _, f := range q.ShownFields() {
		shown[f.Name] = true
	}
	for _, f := range q.Fields() {
		if !f.Shortened() {
			continue
		}
		var found bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM leaves l WHERE l.ambiguous IS NOT NULL AND "+
			ambiguousIn("l.ambiguous", "?")+")", f.Path).Scan(&found)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := countAmbiguous(ctx, tx, q, f, shown[f.Name]); err != nil {
			return err
		}
	}
	return nil
}

// ambiguousIn tests a column with the ambiguous fields of a task for one of them.
func ambiguousIn(column, path string) string {
	return fmt.Sprintf("EXISTS (SELECT 1 FROM json_each(%s) WHERE key = %s)", column, path)
}

func countAmbiguous(ctx context.Context, tx *sql.Tx, q *query.Query, f query.Field, shown bool) error {
	st := &statement{ambiguous: true, leaves: true}
	pushed, rest, err := st.conditionsOf(q.Filter, possibly)
	if err != nil {
		return err
	}
	if !shown {
		// Only the filter has the field: where it matches whatever the field stands for, nothing is in doubt.
		sure, err := (&compiler{statement: st, bound: surely}).filter(q.Filter)
		if err != nil {
			return err
		}
		rest = conjunction(rest, "("+sure+") IS NOT TRUE")
	}
	path := st.arg(f.Path)
	pushed = conjunction(pushed, "l.ambiguous IS NOT NULL AND "+ambiguousIn("l.ambiguous", path))
	var tasks int64
	var names sql.NullString
	err = tx.QueryRowContext(ctx, "SELECT count(*), min((SELECT value FROM json_each(ambiguous) WHERE key = "+path+")) FROM "+
		st.from(pushed)+whereOf(rest), st.args...).Scan(&tasks, &names)
	if err != nil || tasks == 0 {
		return err
	}
	v, err := task.DecodeStored([]byte(names.String))
	if err != nil {
		return err
	}
	var full []string
	list, _ := v.([]any)
	for _, n := range list {
		if name, ok := n.(string); ok {
			full = append(full, name)
		}
	}
	sort.Strings(full)
	return query.AmbiguousError(f, tasks, full)
}

// bound says what a comparison of an ambiguous field counts as: nobody knows whether the task has it.
type bound byte

const (
	exactly  bound = iota // as the task is stored: without the field
	possibly              // true, so that the filter matches what may match
	surely                // false, so that it matches what matches in any case
)

func (b bound) inverse() bound {
	switch b {
	case possibly:
		return surely
	case surely:
		return possibly
	default:
		return exactly
	}
}

// within applies the bound to the SQL of a comparison.
func (b bound) within(s *statement, f query.Field, sqlText string) string {
	if b == exactly || !f.Shortened() {
		return sqlText
	}
	doubt := ambiguousIn("ambiguous", s.arg(f.Path))
	if b == possibly {
		return "(" + doubt + " OR " + sqlText + ")"
	}
	return "(NOT " + doubt + " AND " + sqlText + ")"
}
