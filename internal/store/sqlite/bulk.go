package sqlite

import (
	"fmt"
	"strings"
)

// bulkRows is how many rows one statement inserts: of more, each row costs the same.
const bulkRows = 16

// bulk collects the rows that a transaction adds to one table and inserts many by one statement, which costs half of as
// many statements. What it holds is not in the table yet.
type bulk struct {
	one, many string
	width     int
	values    []any
}

// newBulk takes a statement that inserts one row.
func newBulk(one string) *bulk {
	// The transaction is rolled back after any error: to FAIL spares SQLite the means to undo the statement alone.
	many := strings.Replace(one, "INSERT", "INSERT OR FAIL", 1)
	_, row, _ := strings.Cut(one, "VALUES ")
	return &bulk{one: one, many: many + strings.Repeat(","+row, bulkRows-1), width: strings.Count(row, "?")}
}

// severalError says that the database can never take one of several rows.
type severalError struct{ err error }

func (e *severalError) Error() string { return fmt.Sprintf("one of several rows: %v", e.err) }

// add adds a row, which is inserted at once if the session must know whose row is refused.
func (b *bulk) add(ses *session, values ...any) error {
	if ses.single {
		_, err := ses.exec(b.one, values...)
		return err
	}
	if b.values = append(b.values, values...); len(b.values) < bulkRows*b.width {
		return nil
	}
	_, err := ses.exec(b.many, b.values...)
	b.clear()
	return several(err)
}

// flush inserts the rows that are left.
func (b *bulk) flush(ses *session) error {
	defer b.clear()
	for rest := b.values; len(rest) > 0; rest = rest[b.width:] {
		if _, err := ses.exec(b.one, rest[:b.width]...); err != nil {
			return several(err)
		}
	}
	return nil
}

// clear forgets the rows, and what they refer to.
func (b *bulk) clear() {
	clear(b.values)
	b.values = b.values[:0]
}

func several(err error) error {
	if refused(err) {
		return &severalError{err}
	}
	return err
}
