package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/ownfile"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// Store is a store.Store in one SQLite database. Make one with Open.
type Store struct {
	opts      Options
	path      string // absolute, without symbolic links
	log       *zap.Logger
	lock      *lockFile
	exclusive bool

	write *sql.DB // one connection
	read  *sql.DB // a pool; the same as write when exclusive

	columns *columns // nil when exclusive
	tallies *tallies // nil when exclusive

	queue      chan *call
	writerDone chan struct{}

	mu     sync.RWMutex // guards closed; held for reading while a call runs
	closed bool

	tasksChanged, tasksUnchanged, transactions atomic.Int64
	batches                                    store.Batches

	// Of the writer alone.
	session   *session
	meet      meeting
	states    *view.Cache[cachedState]
	loose     map[string]bool // tasks that are not known yet and have claims
	observers map[view.Observer]*observerRow
	changed   []int64         // rows written in the present transaction
	campaigns map[string]bool // of these tasks, before and now
	same      int64           // tasks of the present transaction that did not change
	// rewritten says that the present transaction changes more than it lists in changed.
	rewritten bool
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Counted = (*Store)(nil)
)

// Open opens the database, makes or migrates it, and keeps others away from it until Close.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	return open(ctx, opts, networkType)
}

// open opens a database; network names the network file system that holds a directory, "" for a local one.
func open(ctx context.Context, opts Options, network func(dir string) (string, error)) (_ *Store, err error) {
	opts = opts.withDefaults()
	// Without symbolic links, so that all ways to a database meet the same lock.
	dir, err := ownfile.Directory(filepath.Dir(opts.Path))
	if err != nil {
		return nil, fmt.Errorf("directory of %s: %w", opts.Path, err)
	}
	path := filepath.Join(dir, filepath.Base(opts.Path))
	fs, err := network(dir)
	if err != nil {
		return nil, fmt.Errorf("file system of %s: %w", dir, err)
	}
	s := &Store{
		opts: opts, path: path, log: opts.Logger, queue: make(chan *call, 64), writerDone: make(chan struct{}),
		states: view.NewCache[cachedState](opts.CacheBytes), observers: map[view.Observer]*observerRow{}, loose: map[string]bool{},
		meet: meeting{longest: opts.BatchWait}, campaigns: map[string]bool{},
	}
	if fs != "" {
		if opts.NetworkFilesystem == Refuse {
			return nil, fmt.Errorf("path %s lies on a network file system (%s), where SQLite is not safe with several "+
				"processes; choose a local directory such as %s, or set network_filesystem: %s",
				opts.Path, fs, filepath.Join(os.TempDir(), "mida", filepath.Base(path)), Exclusive)
		}
		s.exclusive = true
		s.log.Warn("The database lies on a network file system: it is opened for this process alone, with a rollback "+
			"journal, so that queries wait for writes. A local directory is faster and safer.",
			zap.String("path", opts.Path), zap.String("file_system", fs))
	}
	if s.lock, err = acquireLock(path + ".lock"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if err := s.ownFiles(); err != nil {
		return nil, err
	}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	go s.writer()
	return s, nil
}

const busyTimeout = 10 * time.Second

var commonPragmas = []string{
	fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "temp_store(MEMORY)", "trusted_schema(OFF)",
}

func (s *Store) connect(ctx context.Context) error {
	writing := slices.Clone(commonPragmas)
	if s.exclusive {
		writing = append(writing, "locking_mode(EXCLUSIVE)", "journal_mode(TRUNCATE)")
	} else {
		writing = append(writing, "journal_mode(WAL)", "journal_size_limit(67108864)")
	}
	writing = append(writing, "synchronous("+string(s.opts.Synchronous)+")", "cache_size(-32768)", "wal_autocheckpoint(4000)")
	s.write = openDB(s.path, writing)
	s.write.SetMaxOpenConns(1)
	if err := s.prepareFile(ctx); err != nil {
		return err
	}
	s.read = s.write
	if !s.exclusive {
		s.columns, s.tallies = newColumns(s.opts.ColumnsBytes), newTallies()
		s.read = openDB(s.path, append(slices.Clone(commonPragmas), "query_only(1)", "cache_size(-16384)"))
		s.read.SetMaxOpenConns(s.opts.Readers)
		s.read.SetMaxIdleConns(s.opts.Readers)
	}
	return nil
}

func (s *Store) prepareFile(ctx context.Context) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.opts.Path, err)
	}
	defer conn.Close()
	if err := migrate(ctx, conn, s.opts.Path); err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, "SELECT DISTINCT task FROM claims WHERE task IS NOT NULL")
	if err != nil {
		return fmt.Errorf("open %s: %w", s.opts.Path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		s.loose[id] = true
	}
	return rows.Err()
}

// connector opens connections of this package's own driver, which has its functions.
type connector struct{ dsn string }

func (c connector) Connect(context.Context) (driver.Conn, error) { return sqliteDriver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return sqliteDriver }

func openDB(path string, pragmas []string) *sql.DB {
	q := url.Values{"_pragma": pragmas}
	// A relative or odd path must not be read as part of the query.
	return sql.OpenDB(connector{dsn: path + "?" + q.Encode()})
}

// Counters implements store.Counted.
func (s *Store) Counters() store.Counters {
	return store.Counters{
		TasksChanged: s.tasksChanged.Load(), TasksUnchanged: s.tasksUnchanged.Load(), Transactions: s.transactions.Load(),
	}
}

// LastBatch implements store.Counted.
func (s *Store) LastBatch() (store.Batch, bool) { return s.batches.Last() }

// enter admits a call; leave ends it. Close waits for all of them.
func (s *Store) enter() error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return store.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.mu.RUnlock() }

// Close implements store.Store. It waits for running calls whatever ctx says: a transaction cannot be left half-way.
func (s *Store) Close(context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.queue)
	<-s.writerDone
	return s.release()
}

func (s *Store) release() error {
	var errs []error
	if s.session != nil {
		s.session.close()
	}
	if s.read != nil && s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close()) // the last connection folds the WAL into the database
	}
	if s.lock != nil {
		s.lock.release()
	}
	return errors.Join(errs...)
}
