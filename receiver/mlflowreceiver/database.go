package mlflowreceiver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// What can keep a poll from reading. None is final: the next poll tries again.
var (
	errAbsent    = errors.New("the database does not exist yet")
	errNotMLflow = errors.New("this is not an MLflow database yet")
	errLocked    = errors.New("the database is locked")
	errReplaced  = errors.New("the database file was replaced by another")
)

// database is one read-only connection. SQLite's data_version counts per connection, so it is kept open between polls;
// a lock is held only inside read.
type database struct {
	path   string
	file   os.FileInfo
	pool   *sql.DB
	conn   *sql.Conn
	schema schema
	cookie int64 // schema_version of SQLite when schema was read

	held func(time.Duration) // told how long each transaction held its lock
}

// openDatabase opens the file read-only, never as immutable and never changing its journal mode: writers of both
// rollback journal and WAL go on as if nobody read.
func openDatabase(ctx context.Context, path string, busy time.Duration, held func(time.Duration)) (*database, error) {
	file, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && file.Size() == 0 {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	if file.IsDir() {
		return nil, fmt.Errorf("%s is a directory; want the file of an SQLite database", path)
	}
	pool, err := sql.Open("sqlite", dsn(path, busy))
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	d := &database{path: path, file: file, pool: pool, held: held}
	if d.conn, err = pool.Conn(ctx); err == nil {
		err = d.loadSchema(ctx)
	}
	if err != nil {
		d.close()
		return nil, classify(err)
	}
	return d, nil
}

func dsn(path string, busy time.Duration) string {
	parts := strings.Split(filepath.ToSlash(path), "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	name := strings.Join(parts, "/")
	if !strings.HasPrefix(name, "/") { // a Windows drive
		name = "/" + name
	}
	return fmt.Sprintf("file://%s?mode=ro&_pragma=busy_timeout(%d)&_pragma=query_only(1)", name, busy.Milliseconds())
}

func (d *database) close() {
	if d.conn != nil {
		d.conn.Close()
	}
	d.pool.Close()
}

// current fails when another file took the place of the one that is open, or none did.
func (d *database) current() error {
	file, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errAbsent
	case err != nil:
		return err
	case !os.SameFile(file, d.file):
		return errReplaced
	}
	return nil
}

// dataVersion changes when another connection committed.
func (d *database) dataVersion(ctx context.Context) (int64, error) {
	var v int64
	err := d.conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&v)
	return v, classify(err)
}

// migrated says that tables changed since the schema was read, and reads it again.
func (d *database) migrated(ctx context.Context) (bool, error) {
	var cookie int64
	if err := d.conn.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&cookie); err != nil {
		return false, classify(err)
	}
	if cookie == d.cookie {
		return false, nil
	}
	return true, classify(d.loadSchema(ctx))
}

// rows is one open read transaction.
type rows struct {
	ctx   context.Context
	conn  *sql.Conn
	count func(table string, n int)
}

// read runs fn in one transaction, so that what it reads belongs together. fn must be short: while it runs, writers of a
// rollback journal wait at their commit.
func (d *database) read(ctx context.Context, count func(string, int), fn func(rows) error) error {
	start := time.Now()
	if _, err := d.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return classify(err)
	}
	err := fn(rows{ctx: ctx, conn: d.conn, count: count})
	// The end must come even when ctx is over, or the lock would stay.
	_, rerr := d.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	d.held(time.Since(start))
	return classify(errors.Join(err, rerr))
}

// each calls fn for every row of a query.
func (r rows) each(table, query string, args []any, fn func(scan func(...any) error) error) error {
	res, err := r.conn.QueryContext(r.ctx, query, args...)
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

// SQLite's primary result codes that have a meaning of their own here.
const (
	sqliteBusy     = 5
	sqliteLocked   = 6
	sqliteReadOnly = 8 // a hot journal that only a writer may roll back
	sqliteCantOpen = 14
	sqliteSchema   = 17
	sqliteNotADB   = 26
)

func classify(err error) error {
	if err == nil {
		return nil
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return err
	}
	switch se.Code() & 0xff {
	case sqliteBusy, sqliteLocked, sqliteReadOnly, sqliteCantOpen, sqliteSchema:
		return fmt.Errorf("%w: %w", errLocked, err)
	case sqliteNotADB:
		return fmt.Errorf("%w: %w", errNotMLflow, err)
	}
	return err
}
