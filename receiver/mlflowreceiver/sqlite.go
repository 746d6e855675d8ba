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

// sqliteFile is a database that MLflow keeps in a file.
type sqliteFile struct {
	path string
	busy time.Duration
	file os.FileInfo // the one that is open
}

func (s *sqliteFile) name() string { return s.path }

func (s *sqliteFile) local() string { return s.path }

// open opens the file read-only, never as immutable and never changing its journal mode: writers of both rollback journal
// and WAL go on as if nobody read.
func (s *sqliteFile) open(context.Context) (*sql.DB, error) {
	file, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && file.Size() == 0 {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	if file.IsDir() {
		return nil, fmt.Errorf("%s is a directory; want the file of an SQLite database", s.path)
	}
	if err := mayRead(s.path); err != nil {
		return nil, err
	}
	s.file = file
	return sql.Open("sqlite", dsn(s.path, s.busy))
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

func (s *sqliteFile) current(context.Context, *database) error {
	file, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errAbsent
	case err != nil:
		return err
	case !os.SameFile(file, s.file):
		return errReplaced
	}
	return nil
}

// version counts per connection.
func (s *sqliteFile) version(ctx context.Context, d *database) (string, error) {
	var v string
	err := d.one(ctx, "PRAGMA data_version", &v)
	return v, err
}

func (s *sqliteFile) cookie(ctx context.Context, d *database) (string, error) {
	var v string
	err := d.one(ctx, "PRAGMA schema_version", &v)
	return v, err
}

func (s *sqliteFile) columns() string {
	return "SELECT m.name, p.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p WHERE m.type = 'table'"
}

func (s *sqliteFile) begin() string { return "BEGIN" }

func (s *sqliteFile) placeholders(query string) string { return query }

func (s *sqliteFile) atMost() time.Duration { return 0 } // busy_timeout bounds the only wait there is

func (s *sqliteFile) pending() bool { return false }

func (s *sqliteFile) reset() {}

// SQLite's primary result codes that have a meaning of their own here.
const (
	sqliteBusy     = 5
	sqliteLocked   = 6
	sqliteReadOnly = 8 // a hot journal that only a writer may roll back
	sqliteCantOpen = 14
	sqliteSchema   = 17
	sqliteNotADB   = 26
)

func (s *sqliteFile) classify(err error) error {
	var se *sqlite.Error
	if !errors.As(err, &se) || errors.Is(err, errLocked) || errors.Is(err, errNotMLflow) {
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
