package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// session runs prepared statements on one connection, below database/sql: the writer executes several statements a task,
// and the checks and copies of that layer cost more than the statements.
type session struct {
	conn  driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue

	leaves, states, edges, claims *bulk
	// single says that every row is inserted by itself, so that the database refuses it where its task is known.
	single bool
}

func newSession(conn driver.Conn) *session {
	return &session{
		conn: conn, stmts: map[string]driver.Stmt{},
		leaves: newBulk(sqlPutLeaves), states: newBulk(sqlPutState), edges: newBulk(sqlPutEdge), claims: newBulk(sqlPutClaim),
	}
}

func (s *session) bulks() []*bulk { return []*bulk{s.leaves, s.states, s.edges, s.claims} }

// begin begins a write transaction.
func (s *session) begin() error {
	for _, b := range s.bulks() {
		b.clear() // of a transaction that failed
	}
	_, err := s.exec("BEGIN IMMEDIATE")
	return err
}

// flush inserts all rows that are still held.
func (s *session) flush() error {
	for _, b := range s.bulks() {
		if err := b.flush(s); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) close() {
	for _, st := range s.stmts {
		_ = st.Close() // a statement that cannot be finalised goes with its connection
	}
	s.stmts = map[string]driver.Stmt{}
}

func (s *session) prepare(query string) (driver.Stmt, error) {
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	p, ok := s.conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, fmt.Errorf("driver %T cannot prepare statements", s.conn)
	}
	st, err := p.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("%w (%.60s)", err, query)
	}
	s.stmts[query] = st
	return st, nil
}

// bind turns arguments into what the driver takes: nil, int64, float64, string, []byte.
func (s *session) bind(args []any) []driver.NamedValue {
	s.args = s.args[:0]
	for i, a := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return s.args
}

func (s *session) exec(query string, args ...any) (driver.Result, error) {
	st, err := s.prepare(query)
	if err != nil {
		return nil, err
	}
	e, ok := st.(driver.StmtExecContext)
	if !ok {
		return nil, fmt.Errorf("driver statement %T cannot be executed", st)
	}
	return e.ExecContext(context.Background(), s.bind(args))
}

// query calls row for every row of the answer; row must not keep the slice.
func (s *session) query(query string, row func([]driver.Value) error, args ...any) (err error) {
	st, err := s.prepare(query)
	if err != nil {
		return err
	}
	q, ok := st.(driver.StmtQueryContext)
	if !ok {
		return fmt.Errorf("driver statement %T cannot be queried", st)
	}
	rows, err := q.QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := row(values); err != nil {
			return err
		}
	}
}
