package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// rowsAtOnce is how many chosen tasks are read by one statement.
const rowsAtOnce = 5_000

// Scan implements store.Reader.
func (s *Store) Scan(ctx context.Context, sc *query.Scan, each func(row []any) error) (matching int64, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		if err := checkAmbiguous(ctx, tx, sc.Query()); err != nil {
			return err
		}
		r, err := newLeafReader(ctx, tx, sc)
		if err != nil {
			return err
		}
		defer r.close()
		if sc.Filter == nil && sc.First == 0 {
			return r.from(ctx, "", nil, func(_ int64, row []any, _ error) error {
				matching++
				return each(row)
			})
		}
		var chosen []int64
		if chosen, matching, err = chosenBy(ctx, tx, sc); err != nil {
			return err
		}
		return r.numbered(ctx, chosen, each)
	})
	return matching, err
}

// chosenBy returns the numbers of the tasks that a scan selects, and how many match its filter.
func chosenBy(ctx context.Context, tx *sql.Tx, sc *query.Scan) (chosen []int64, matching int64, err error) {
	st := &statement{}
	pushed, rest, err := st.conditions(sc.Filter)
	if err != nil {
		return nil, 0, err
	}
	from := st.from(pushed) + whereOf(rest)
	first := int64(sc.First)
	if first > 0 && rest == "" { // to count is cheap
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+from, st.args...).Scan(&matching); err != nil {
			return nil, 0, err
		}
	}
	if first == 0 || matching <= first {
		chosen, err = choose(ctx, tx, "SELECT n FROM "+from, st.args)
		if matching = int64(len(chosen)); err != nil || first == 0 || matching <= first {
			return chosen, matching, err
		}
	}
	chosen, err = choose(ctx, tx, fmt.Sprintf("SELECT n FROM %s ORDER BY id LIMIT %d", from, first), st.args)
	return chosen, matching, err
}

// choose returns the numbers of tasks, in the order of the file: they are in that of an index, and to read their leaves in
// any other order costs several times as much.
func choose(ctx context.Context, tx *sql.Tx, text string, args []any) (chosen []int64, err error) {
	err = each(ctx, tx, func(r *sql.Rows) error {
		var n int64
		err := r.Scan(&n)
		chosen = append(chosen, n)
		return err
	}, text, args...)
	slices.Sort(chosen)
	return chosen, err
}

func (r *leafReader) numbered(ctx context.Context, chosen []int64, each func(row []any) error) error {
	for part := range slices.Chunk(chosen, rowsAtOnce) {
		table, args := numbered(part)
		if err := r.from(ctx, table, args, func(_ int64, row []any, _ error) error { return each(row) }); err != nil {
			return err
		}
	}
	return nil
}
