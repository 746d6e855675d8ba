package mlflowreceiver

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
)

// store is where MLflow keeps its runs in a test.
type store interface {
	// fresh is the URI of a new, empty database.
	fresh(t testing.TB) string
	// copyOf is a copy that a test may change, and a connection that does.
	copyOf(t testing.TB, uri string) (string, *sql.DB)
}

// sqliteStore keeps each in a file.
type sqliteStore struct{}

func (sqliteStore) fresh(t testing.TB) string {
	return "sqlite:///" + filepath.Join(t.TempDir(), "mlflow.db")
}

func (sqliteStore) copyOf(t testing.TB, uri string) (string, *sql.DB) {
	path := filepath.Join(t.TempDir(), "a b#c%20.db")
	copyFile(t, fileOf(uri), path)
	return "sqlite:///" + path, writer(t, path)
}

func fileOf(uri string) string { return strings.TrimPrefix(uri, "sqlite:///") }

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.Create(to)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, errors.Join(err, out.Close()))
}

func writer(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", strings.Replace(dsn(path, 5*time.Second), "mode=ro&_pragma=busy_timeout(5000)&_pragma=query_only(1)", "mode=rw&_pragma=busy_timeout(5000)", 1))
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// server is a real PostgreSQL server.
type server struct {
	uri  string // of the database postgres
	dir  string
	stop func()
}

// databases gives each its own name.
var databases atomic.Int64

// startServer starts one that ends with the test, and with this process at the latest.
func startServer(t testing.TB) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "mida-postgresql-") //nolint:usetesting // started by root, the server is another user's, who cannot enter t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	s := &server{dir: dir}
	if err := s.start(t); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a PostgreSQL server is needed in CI: %v", err)
		}
		t.Skipf("NOT TESTED against a real PostgreSQL server: %v", err)
	}
	return s
}

// start starts the server, again with what it held and at its port, when it was stopped.
func (s *server) start(t testing.TB) error {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("..", "..", "tools", "servers", "postgresql.sh"))
	require.NoError(t, err)
	args := []string{script, "run", s.dir, "autovacuum=off"}
	if s.uri != "" {
		u, err := url.Parse(s.uri)
		require.NoError(t, err)
		args = append(args, "port="+u.Port())
	}
	cmd := exec.Command("bash", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %s", script, stderr.String()), cmd.Wait())
	}
	s.uri = strings.TrimSpace(strings.TrimPrefix(line, "STARTED "))
	s.stop = sync.OnceFunc(func() {
		require.NoError(t, stdin.Close())
		require.NoError(t, cmd.Wait())
	})
	t.Cleanup(s.stop)
	return nil
}

func (s *server) of(database string) string { return s.as(nil, database) }

func (s *server) as(user *url.Userinfo, database string) string {
	u, err := url.Parse(s.uri)
	if err != nil {
		panic(err)
	}
	u.Path = "/" + database
	if user != nil {
		u.User = user
	}
	return u.String()
}

func (s *server) fresh(t testing.TB) string {
	name := fmt.Sprintf("mlflow_%d", databases.Add(1))
	do(t, connect(t, s.uri), "CREATE DATABASE "+name)
	return s.of(name)
}

func (s *server) copyOf(t testing.TB, uri string) (string, *sql.DB) {
	name := fmt.Sprintf("copy_%d", databases.Add(1))
	do(t, connect(t, s.uri), "CREATE DATABASE "+name+" TEMPLATE "+uri[strings.LastIndexByte(uri, '/')+1:])
	return s.of(name), connect(t, s.of(name))
}

// connect opens a connection that may write.
func connect(t testing.TB, uri string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", uri)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func do(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	_, err := db.Exec(forDriver(db, query), args...)
	require.NoError(t, err)
}

// forDriver writes placeholders as the driver wants them.
func forDriver(db *sql.DB, query string) string {
	if _, ok := db.Driver().(*stdlib.Driver); ok {
		return (&postgres{}).placeholders(query)
	}
	return query
}
