package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// childPath, when set, makes the test binary a second collector on that database.
const childPath = "MIDA_TEST_CHILD_DATABASE"

func init() {
	path := os.Getenv(childPath)
	if path == "" {
		return
	}
	s, err := Open(context.Background(), Options{Path: path})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		e := &task.Event{Name: task.EventFinished, Time: 1, Kind: "k", Key: fmt.Sprint(i), Attempt: task.NoAttempt, Campaign: "c", ObserverID: "o", Seq: int64(i + 1)}
		if _, err := s.Write(context.Background(), []*task.Event{e}); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("written", i)
	}
}

// startChild runs the second collector until it wrote n tasks, and returns a function that kills it.
func startChild(t *testing.T, path string, n int) (kill func()) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil { // the test failed before it killed the child
			_ = cmd.Process.Kill() // one that has ended needs no kill
			_ = cmd.Wait()
		}
	})
	lines := bufio.NewScanner(out)
	for range n {
		require.True(t, lines.Scan())
		require.Contains(t, lines.Text(), "written")
	}
	return func() {
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() {
			n++
		}
		require.Error(t, cmd.Wait())
	}
}

func mustOpen(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return s
}

func TestSecondCollectorIsRefusedUntilTheFirstIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	const acknowledged = 25
	kill := startChild(t, path, acknowledged)
	_, err := Open(t.Context(), Options{Path: path})
	host, herr := os.Hostname()
	require.NoError(t, herr)
	require.ErrorContains(t, err, "is in use by the collector with pid ")
	require.ErrorContains(t, err, "on host "+host)
	kill()

	// After kill -9 the lock is free and everything that was acknowledged is there.
	s := mustOpen(t, Options{Path: path})
	a, err := s.Query(t.Context(), &query.Query{Limit: 1})
	require.NoError(t, err)
	require.GreaterOrEqual(t, a.Total, int64(acknowledged))
	c, err := s.Checkpoints(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, a.Total, c[0].Arrived)
}

func TestSecondStoreOfTheSameProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	mustOpen(t, Options{Path: path})
	_, err := Open(t.Context(), Options{Path: path})
	require.ErrorContains(t, err, fmt.Sprintf("pid %d", os.Getpid()))
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	dir := filepath.Join(t.TempDir(), "new", "data")
	s := mustOpen(t, Options{Path: filepath.Join(dir, "mida.db")})
	_, err := s.Write(t.Context(), []*task.Event{{Name: task.EventStarted, Kind: "k", Key: "1", Attempt: task.NoAttempt}})
	require.NoError(t, err)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 3) // database, WAL, lock
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), f.Name())
	}
}

func edit(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	s, err := Open(t.Context(), Options{Path: path})
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	edit(t, path, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion+1))
	_, err = Open(t.Context(), Options{Path: path})
	require.ErrorContains(t, err, fmt.Sprintf("schema_version %d, written by a newer collector; this one knows up to %d", schemaVersion+1, schemaVersion))
	// A refusal leaves no lock behind.
	edit(t, path, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	mustOpen(t, Options{Path: path})
}

// TestOlderSchemaIsMigrated: a database of version 1 is opened with all that it holds.
func TestOlderSchemaIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	edit(t, path, schema1,
		`INSERT INTO observers (n, observer, campaign, at, seq, last_seq, dropped, final, host) VALUES (1,'o','c',5,0,3,'[]',0,'h')`,
		`INSERT INTO seqs (observer, first, last) VALUES (1,1,2)`,
		fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA user_version = 1")
	s := mustOpen(t, Options{Path: path})
	want := store.Checkpoint{
		Observer: "o", Campaign: "c", At: 5, LastSeq: 3, Dropped: []any{}, Host: "h", Arrived: 2, Highest: 2, Gaps: [][2]int64{{3, 3}},
	}
	c, err := s.Checkpoints(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, []store.Checkpoint{want}, c)
	_, err = s.Write(t.Context(), []*task.Event{{
		Name: task.EventCheckpoint, Time: 6, Campaign: "c", ObserverID: "o",
		Record: map[string]any{"last_seq": int64(3), "final": true, "redacted": int64(1)},
	}})
	require.NoError(t, err)
	c, err = s.Checkpoints(t.Context(), "c")
	require.NoError(t, err)
	require.True(t, c[0].Final)
	require.Equal(t, map[string]any{"redacted": int64(1)}, c[0].Record)
}

func TestForeignFilesAreRefusedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "mlflow.db")
	edit(t, other, "CREATE TABLE runs (id)")
	_, err := Open(t.Context(), Options{Path: other})
	require.ErrorContains(t, err, "another program")

	text := filepath.Join(dir, "notes.txt")
	content := strings.Repeat("these are my notes\n", 1000)
	require.NoError(t, os.WriteFile(text, []byte(content), 0o600))
	_, err = Open(t.Context(), Options{Path: text})
	require.Error(t, err)
	after, err := os.ReadFile(text)
	require.NoError(t, err)
	require.Equal(t, content, string(after))

	_, err = Open(t.Context(), Options{Path: dir})
	require.Error(t, err)
}

func TestNetworkFileSystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mida.db")
	_, err := open(t.Context(), Options{Path: path, NetworkFilesystem: Refuse}, on("nfs"))
	require.ErrorContains(t, err, "network file system (nfs)")
	require.ErrorContains(t, err, "choose a local directory such as")

	core, logs := observer.New(zap.WarnLevel)
	s, err := open(t.Context(), Options{Path: path, Logger: zap.New(core)}, on("lustre"))
	require.NoError(t, err)
	require.Equal(t, 1, logs.FilterField(zap.String("file_system", "lustre")).Len())
	var mode string
	require.NoError(t, s.write.QueryRow("PRAGMA journal_mode").Scan(&mode))
	require.Equal(t, "truncate", mode)
	require.NoFileExists(t, path+"-shm")
	require.NoError(t, s.Close(t.Context()))

	// The same database on a local disk later.
	s = mustOpen(t, Options{Path: path})
	require.NoError(t, s.write.QueryRow("PRAGMA journal_mode").Scan(&mode))
	require.Equal(t, "wal", mode)
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		options Options
		want    string
	}{
		{Options{}, "path: empty"},
		{Options{Path: ":memory:"}, "path:"},
		{Options{Path: "file:x"}, "path:"},
		{Options{Path: "a?b"}, "path:"},
		{Options{Path: "x", Synchronous: "off"}, `synchronous: "off"; want "full" or "normal"`},
		{Options{Path: "x", NetworkFilesystem: "yes"}, `network_filesystem: "yes"`},
		{Options{Path: "x", MaxTaskBytes: 5}, "max_task_bytes: 5"},
		{Options{Path: "x", Readers: -1}, "readers: -1"},
		{Options{Path: "x", CacheBytes: -1}, "cache_bytes: -1"},
		{Options{Path: "x", ColumnsBytes: 5}, "columns_bytes: 5"},
		{Options{Path: "x", BatchEvents: -1}, "batch_events: -1; want at least 1"},
		{Options{Path: "x", BatchEvents: 2_000_000}, "batch_events: 2000000; want at most 1000000"},
		{Options{Path: "x", BatchWait: time.Minute}, "batch_wait: 1m0s; want 1ms to 1s, or 0 for 25ms"},
		{Options{Path: "x", BatchWait: -1}, "batch_wait: -1ns"},
	} {
		require.ErrorContains(t, tc.options.Validate(), tc.want)
	}
	require.NoError(t, Options{Path: "./mida-data/mida.db"}.Validate())
}
