package mlflowreceiver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What can keep a poll from reading. None is final: the next poll tries again.
var (
	errAbsent      = errors.New("the database does not exist yet")
	errNotMLflow   = errors.New("this is not an MLflow database yet")
	errLocked      = errors.New("the database is locked")
	errUnreachable = errors.New("the server cannot be reached")
	errDenied      = errors.New("access is denied")
	errReplaced    = errors.New("the database was replaced by another")
)

// dialect is what differs between the databases that MLflow writes. It outlives connections, and may keep what it found.
type dialect interface {
	// name is the database for messages, without its password.
	name() string
	// open prepares read-only connections, of which one is used.
	open(ctx context.Context) (*sql.DB, error)
	// current fails when another database took the place of the open one, or none did; errReplaced is the former.
	current(ctx context.Context, d *database) error
	// version changes when another connection committed.
	version(ctx context.Context, d *database) (string, error)
	// cookie changes with the schema.
	cookie(ctx context.Context, d *database) (string, error)
	// columns is a query of all pairs of table and column.
	columns() string
	// begin starts a transaction that sees one state of the database.
	begin() string
	// placeholders writes the ? of a query as the database wants them.
	placeholders(query string) string
	// atMost bounds the time of one transaction; 0 does not.
	atMost() time.Duration
	// classify wraps what the database said into one of the errors above.
	classify(err error) error
	// local is the file of a database that is one, else empty.
	local() string

	// tails reads what was inserted since the marks were made. Tables without a mark begin at their end, except runs:
	// whole runs are read anyway, and what they hold is in them.
	tails(ctx context.Context, d *database, version string, r *reader, old map[string]mark) (tailed, error)
	// pending says that tails has work though nothing was committed.
	pending() bool
	// advance reads points of a run that its history lacks, about limit, and says how many there were.
	advance(tx rows, h *history, id string, limit int) (int, error)
	// reset forgets what was found, because everything is read again.
	reset()
}

// database is one read-only connection, kept open between polls. Nothing is locked outside read.
type database struct {
	dialect
	pool   *sql.DB
	conn   *sql.Conn
	schema schema
	made   string // the cookie when schema was read

	held func(time.Duration) // told how long each transaction took
}

func openDatabase(ctx context.Context, from dialect, held func(time.Duration)) (*database, error) {
	pool, err := from.open(ctx)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	d := &database{dialect: from, pool: pool, held: held}
	if err = d.connect(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *database) connect(ctx context.Context) error {
	within, cancel := d.bounded(ctx)
	defer cancel()
	var err error
	if d.conn, err = d.pool.Conn(within); err != nil {
		return d.classify(err)
	}
	if d.made, err = d.cookie(ctx, d); err != nil {
		return err
	}
	return d.classify(d.loadSchema(ctx))
}

func (d *database) close() {
	if d.conn != nil {
		d.conn.Close()
	}
	d.pool.Close()
}

// migrated says that tables changed since the schema was read, and reads it again.
func (d *database) migrated(ctx context.Context) (bool, error) {
	now, err := d.cookie(ctx, d)
	if err != nil || now == d.made {
		return false, err
	}
	if err := d.loadSchema(ctx); err != nil {
		return true, d.classify(err)
	}
	d.made = now
	return true, nil
}

// one reads one row outside a transaction.
func (d *database) one(ctx context.Context, query string, dest ...any) error {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	return d.classify(d.conn.QueryRowContext(ctx, query).Scan(dest...))
}

func (d *database) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if n := d.atMost(); n > 0 {
		return context.WithTimeout(ctx, n)
	}
	return ctx, func() {}
}

// rows is one open read transaction.
type rows struct {
	ctx   context.Context
	db    *database
	count func(table string, n int)
}

// read runs fn in one transaction, so that what it reads belongs together. fn must be short: while it runs, writers of an
// SQLite rollback journal wait at their commit, and PostgreSQL keeps what it could clean up.
func (d *database) read(ctx context.Context, count func(string, int), fn func(rows) error) error {
	start := time.Now()
	within, cancel := d.bounded(ctx)
	defer cancel()
	if _, err := d.conn.ExecContext(within, d.begin()); err != nil {
		return d.classify(err)
	}
	err := fn(rows{ctx: within, db: d, count: count})
	// The end must come even when ctx is over, or the lock would stay.
	end, cancelEnd := d.bounded(context.WithoutCancel(ctx))
	defer cancelEnd()
	_, rerr := d.conn.ExecContext(end, "ROLLBACK")
	d.held(time.Since(start))
	return d.classify(errors.Join(err, rerr))
}

// each calls fn for every row of a query.
func (r rows) each(table, query string, args []any, fn func(scan func(...any) error) error) error {
	res, err := r.db.conn.QueryContext(r.ctx, r.db.placeholders(query), args...)
	if err != nil {
		return fmt.Errorf("table %s: %w", table, err)
	}
	defer res.Close()
	n := 0
	for res.Next() {
		if err := fn(res.Scan); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
		n++
	}
	r.count(table, n)
	if err := res.Err(); err != nil {
		return fmt.Errorf("table %s: %w", table, err)
	}
	return nil
}
