package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// Reader reads a database, which a collector may have open and go on writing to.
type Reader struct {
	db   *sql.DB
	path string
}

// OpenReader opens a database that exists, and changes nothing in it.
func OpenReader(ctx context.Context, path string) (_ *Reader, err error) {
	if err := (Options{Path: path}).Validate(); err != nil {
		return nil, err
	}
	real, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	switch info, err := os.Stat(real); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no database %s", real)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", real)
	}
	r := &Reader{db: openDB(real, append(slices.Clone(commonPragmas), "query_only(1)", "cache_size(-16384)")), path: real}
	r.db.SetMaxOpenConns(1)
	conn, err := r.db.Conn(ctx)
	if err == nil {
		var version int
		if version, err = readable(ctx, conn, real); err == nil && version < schemaVersion {
			err = fmt.Errorf("%s has schema_version %d, this collector reads %d: open it with this collector once, which "+
				"migrates it", real, version, schemaVersion)
		}
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	return r, nil
}

// Snapshot opens the view as of this moment.
func (r *Reader) Snapshot(ctx context.Context) (store.Snapshot, error) {
	return openParts(ctx, r.db, r.path, func() error { return nil })
}

// Close closes the database.
func (r *Reader) Close() error { return r.db.Close() }
