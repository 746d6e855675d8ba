package copycmd

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic/elastictest"
	"github.com/otelcol-mida/otelcol-mida/internal/store/sqlite"
	"github.com/otelcol-mida/otelcol-mida/internal/store/storetest"
)

var servers elastictest.Servers

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

func run1(args ...string) (status int, out, notes string) {
	var stdout, stderr bytes.Buffer
	status = Main(args, &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

// database makes a database; it stays open for the test, as in a collector.
func database(t *testing.T, path string, campaigns ...string) *sqlite.Store {
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Synchronous: sqlite.Normal})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	for _, c := range campaigns {
		_, err = s.Write(t.Context(), storetest.Campaign(c, 200))
		require.NoError(t, err)
	}
	return s
}

// equalKinds are the kinds with equal checksums and counts in the table.
var equalKinds = regexp.MustCompile(`(?m)^(\w+) +(\d+) +(\d+)  (\w{16}) (\w{16})  equal$`)

func requireEqual(t *testing.T, out string) {
	t.Helper()
	rows := equalKinds.FindAllStringSubmatch(out, -1)
	require.Len(t, rows, 6, out)
	for _, r := range rows {
		require.Equal(t, r[2], r[3], out)
		require.Equal(t, r[4], r[5], out)
		require.NotEqual(t, "0", r[2], out)
	}
}

func TestCopyFromARunningCollector(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	database(t, a, "c1", "c2")
	status, out, notes := run1("--from", "sqlite:///"+a, "--to", b)
	require.Zero(t, status, out+notes)
	require.Contains(t, notes, "tasks: 400 copied")
	requireEqual(t, out)
	left, err := filepath.Glob(b + ".copy*")
	require.NoError(t, err)
	require.Empty(t, left)

	status, out, _ = run1("--from", a, "--to", filepath.Join(dir, "c.db"), "--campaign", "c2")
	require.Zero(t, status)
	requireEqual(t, out)
	require.Contains(t, out, "tasks                  200          200")
}

func TestTargetInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	database(t, a, "c1")
	database(t, b)
	status, _, notes := run1("--from", a, "--to", b)
	require.Equal(t, 2, status)
	require.Contains(t, notes, fmt.Sprintf("in use by the collector with pid %d", os.Getpid()))
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	newer, other := filepath.Join(dir, "newer.db"), filepath.Join(dir, "other.db")
	for path, statement := range map[string]string{newer: "PRAGMA user_version = 99", other: "CREATE TABLE t (x)"} {
		if path == newer {
			require.NoError(t, database(t, path).Close(t.Context()))
		}
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		_, err = db.Exec(statement)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	for from, want := range map[string]string{
		newer: "has schema_version 99, written by a newer collector", other: "is a SQLite database of another program",
		filepath.Join(dir, "no.db"): "there is no database", dir: "is no file", "redis://x": `scheme "redis" is unknown`,
		"elasticsearch://ada:secret@h:9200": "set MIDA_FROM_USERNAME and MIDA_FROM_PASSWORD",
		"https://h:9200/mida?x=1":           "x=1 is unknown; want ca_file", "sqlite://mida.db": "not the form of a file",
		"elasticsearch://127.0.0.1:1": "connection refused", "http://h/UPPER": "index_prefix",
		filepath.Join(dir, "to.db"): "are both",
	} {
		status, _, notes := run1("--from", from, "--to", filepath.Join(dir, "to.db"))
		require.Equal(t, 2, status, from)
		require.Contains(t, notes, want, from)
		require.NotContains(t, notes, "secret")
	}
	require.NoFileExists(t, filepath.Join(dir, "to.db"))
	status, _, notes := run1("--from", other, "--to", newer, "more")
	require.Equal(t, 2, status)
	require.Contains(t, notes, `"more" is not understood`)
}

func TestTargetThatLacksSomethingIsSaid(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	database(t, a, "c1")
	require.NoError(t, database(t, b, "c1").Close(t.Context()))
	db, err := sql.Open("sqlite", b)
	require.NoError(t, err)
	_, err = db.Exec(`UPDATE states SET state = replace(state, '"train"', '"trainz"') WHERE n = 8`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	status, out, _ := run1("--from", a, "--to", b)
	require.Equal(t, 1, status)
	require.Contains(t, out, "DIFFER: 0 missing, 1 different")
	require.Contains(t, out, "NOT COMPLETE")
}

// There and back again, through each kind of cluster, everything is the same.
func TestCopyThroughAClusterAndBack(t *testing.T) {
	dir := t.TempDir()
	a := filepath.Join(dir, "a.db")
	database(t, a, "c1", "c2")
	for _, kind := range elastictest.Kinds {
		t.Run(kind, func(t *testing.T) {
			address := servers.URL(t, kind)
			t.Cleanup(http.DefaultClient.CloseIdleConnections)
			host := strings.TrimPrefix(address, "http://")
			cluster := kind + "://" + host + "/copy"
			status, _, notes := run1("--from", cluster, "--to", filepath.Join(dir, kind+".db"))
			require.Equal(t, 2, status)
			require.Contains(t, notes, "there is no view in "+address+"/copy")
			state := filepath.Join(dir, kind+".state")
			for _, way := range [][]string{
				{"--from", a, "--to", cluster}, {"--from", cluster, "--to", filepath.Join(dir, kind+".db")},
				{"--from", a, "--to", filepath.Join(dir, kind+".db")}, {"--from", cluster, "--to", "http://" + host + "/other", "--campaign", "c2"},
			} {
				status, out, notes := run1(append(way, "--state", state)...)
				require.Zero(t, status, out+notes)
				requireEqual(t, out)
			}
			require.NoFileExists(t, state)
		})
	}
}
