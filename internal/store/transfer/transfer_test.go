package transfer

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/sqlite"
	"github.com/otelcol-mida/otelcol-mida/internal/store/storetest"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func TestMain(m *testing.M) {
	groupParts = 100
	if path := os.Getenv(childSource); path != "" {
		child(path, os.Getenv(childTarget))
	}
	goleak.VerifyTestMain(m)
}

// With these set, the test binary is a copy that stands still after three groups.
const (
	childSource = "MIDA_TEST_COPY_SOURCE"
	childTarget = "MIDA_TEST_COPY_TARGET"
)

func child(source, target string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	from, err := sqlite.OpenReader(context.Background(), source)
	fail(err)
	snapshot, err := from.Snapshot(context.Background())
	fail(err)
	to, err := sqlite.Open(context.Background(), sqlite.Options{Path: target})
	fail(err)
	o := options(target)
	groups := 0
	o.Progress = func(store.PartKind, int64, int64) {
		if groups++; groups == 3 {
			fmt.Println("three")
			time.Sleep(time.Hour) // until it is killed
		}
	}
	_, err = Copy(context.Background(), snapshot, to, o)
	fail(err)
}

func options(target string) Options {
	return Options{StatePath: target + ".copy", From: "source", To: target}
}

func open(t *testing.T, path string, events ...*task.Event) *sqlite.Store {
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Synchronous: sqlite.Normal})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	write(t, s, events...)
	return s
}

func write(t *testing.T, s store.Store, events ...*task.Event) {
	rejected, err := s.Write(t.Context(), events)
	require.NoError(t, err)
	require.Empty(t, rejected)
}

// snapshot is closed once it was read: a store has connections for a few.
func snapshot(t *testing.T, s store.Transfer) store.Snapshot {
	p, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	return closing{p, t}
}

type closing struct {
	store.Snapshot
	t *testing.T
}

func (c closing) Parts(ctx context.Context, campaign string, each func(store.Part) error) error {
	defer func() { require.NoError(c.t, c.Close()) }()
	return c.Snapshot.Parts(ctx, campaign, each)
}

func compare(t *testing.T, from, to store.Transfer, campaign string) *Report {
	r, err := Compare(t.Context(), snapshot(t, from), snapshot(t, to), campaign)
	require.NoError(t, err)
	return r
}

func requireEqual(t *testing.T, from, to store.Transfer) {
	for _, k := range compare(t, from, to, "").Kinds {
		require.NotZero(t, k.Source.Parts, k.Kind)
		require.Equal(t, Kind{Kind: k.Kind, Source: k.Source, Target: k.Source}, k)
	}
}

func total(m map[store.PartKind]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	from := open(t, filepath.Join(dir, "a.db"), storetest.Campaign("c1", 1_000)...)
	to := open(t, filepath.Join(dir, "b.db"))
	for range 2 { // to repeat it changes nothing
		r, err := Copy(t.Context(), snapshot(t, from), to, Options{})
		require.NoError(t, err)
		require.Empty(t, r.Refused)
		require.False(t, r.Resumed())
		require.EqualValues(t, 1_000, r.Imported[store.PartTask])
		requireEqual(t, from, to)
	}
}

// A copy that was killed goes on where it was, and notices what has changed in the meantime.
func TestCopyGoesOnAfterAKill(t *testing.T) {
	dir := t.TempDir()
	source, target := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	events := storetest.Campaign("c1", 1_000)
	from := open(t, source, events...)

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childSource+"="+source, childTarget+"="+target)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 5)
	_, err = out.Read(line)
	require.NoError(t, err)
	require.Equal(t, "three", string(line))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	// Of the three groups one has changed. (The first task of all is in the first group.)
	var first string
	stop := fmt.Errorf("that is all")
	require.ErrorIs(t, snapshot(t, from).Parts(t.Context(), "", func(p store.Part) error {
		first = p.ID
		return stop
	}), stop)
	for _, e := range events {
		if e.ID() == first {
			newer := *e
			newer.Time, newer.Seq, newer.Facet, newer.Tags = 1e9, 0, "people", []string{"late"}
			write(t, from, &newer)
			break
		}
	}
	// A line that the kill tore is no obstacle.
	f, err := os.OpenFile(target+".copy", os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"kind":"tas`)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	to := open(t, target)
	r, err := Copy(t.Context(), snapshot(t, from), to, options(target))
	require.NoError(t, err)
	require.EqualValues(t, 200, total(r.Known))
	require.EqualValues(t, 800, r.Imported[store.PartTask])
	requireEqual(t, from, to)

	r, err = Copy(t.Context(), snapshot(t, from), to, options(target))
	require.NoError(t, err)
	require.Zero(t, total(r.Imported))
	// The notes of another copy do not count.
	other := options(target)
	other.Campaign = "c1"
	r, err = Copy(t.Context(), snapshot(t, from), to, other)
	require.NoError(t, err)
	require.False(t, r.Resumed())
	require.NoError(t, Forget(other))
	require.NoFileExists(t, other.StatePath)
}

func TestCopyOfACampaign(t *testing.T) {
	dir := t.TempDir()
	from := open(t, filepath.Join(dir, "a.db"), append(storetest.Campaign("c1", 200), storetest.Campaign("c2", 100)...)...)
	to := open(t, filepath.Join(dir, "b.db"), storetest.Campaign("c3", 50)...)
	_, err := Copy(t.Context(), snapshot(t, from), to, Options{Campaign: "c2"})
	require.NoError(t, err)
	campaigns, err := to.Campaigns(t.Context())
	require.NoError(t, err)
	require.Len(t, campaigns, 2)
	require.EqualValues(t, 100, campaigns[0].Tasks)
	require.True(t, compare(t, from, to, "c2").Complete())
	whole := compare(t, from, to, "")
	require.False(t, whole.Complete())
	require.EqualValues(t, 200, whole.Kinds[0].Missing)
	require.EqualValues(t, 50, whole.Kinds[0].Extra)
	require.Len(t, whole.Examples, maxExamples)
}

// Every difference is found, whatever it is in.
func TestCompareSeesEveryChange(t *testing.T) {
	for kind, change := range map[store.PartKind]string{
		store.PartTask:        `UPDATE states SET state = replace(state, '"train"', '"trainz"') WHERE n = (SELECT min(n) FROM states WHERE instr(CAST(state AS TEXT), '"train"') > 0)`,
		store.PartClaim:       `UPDATE claims SET confidence = 0.123 WHERE rowid = 9`,
		store.PartWorkflow:    `UPDATE workflows SET state = replace(state, 'Search', 'search') WHERE n = (SELECT min(n) FROM workflows WHERE instr(CAST(state AS TEXT), 'Search') > 0)`,
		store.PartEnvironment: `UPDATE environments SET time = 0, record = replace(record, 'ada', 'adb') WHERE n = (SELECT min(n) FROM environments WHERE instr(record, 'ada') > 0)`,
		store.PartEntity:      `DELETE FROM entities WHERE n = 2`,
		store.PartObserver:    `DELETE FROM seqs WHERE observer = 1 AND first = (SELECT min(first) FROM seqs WHERE observer = 1)`,
	} {
		t.Run(string(kind), func(t *testing.T) {
			dir := t.TempDir()
			from := open(t, filepath.Join(dir, "a.db"), storetest.Campaign("c1", 100)...)
			path := filepath.Join(dir, "b.db")
			copied, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
			require.NoError(t, err)
			_, err = Copy(t.Context(), snapshot(t, from), copied, Options{})
			require.NoError(t, err)
			require.NoError(t, copied.Close(t.Context()))
			db, err := sql.Open("sqlite", path)
			require.NoError(t, err)
			res, err := db.Exec(change)
			require.NoError(t, err)
			n, err := res.RowsAffected()
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
			require.NoError(t, db.Close())

			r := compare(t, from, open(t, path), "")
			require.False(t, r.Complete())
			for _, k := range r.Kinds {
				if k.Kind == kind {
					require.NotEqual(t, k.Source, k.Target)
					require.EqualValues(t, 1, k.Missing+k.Different)
				} else {
					require.Equal(t, k.Source, k.Target)
				}
			}
			require.Len(t, r.Examples, 1)
			require.True(t, strings.HasPrefix(r.Examples[0], string(kind)), r.Examples[0])
		})
	}
}

// What the target knows beyond the source is no error.
func TestTargetMayKnowMore(t *testing.T) {
	dir := t.TempDir()
	events := storetest.Campaign("c1", 50)
	from, to := open(t, filepath.Join(dir, "a.db")), open(t, filepath.Join(dir, "b.db"), events...)
	for _, e := range events {
		if e.Facet != "scheduler" && e.Name != task.EventCheckpoint {
			write(t, from, e)
		}
	}
	_, err := Copy(t.Context(), snapshot(t, from), to, Options{})
	require.NoError(t, err)
	r := compare(t, from, to, "")
	require.True(t, r.Complete())
	require.EqualValues(t, 33, r.Kinds[0].Richer)
	require.NotEqual(t, r.Kinds[0].Source, r.Kinds[0].Target)
	require.False(t, compare(t, to, from, "").Complete())
}

// A part that the target can never take is named, and everything else is copied.
func TestCopyNamesWhatIsRefused(t *testing.T) {
	dir := t.TempDir()
	events := storetest.Campaign("c1", 50)
	big := *events[0]
	big.Key, big.Stdout, big.Seq, big.Claims = "big", strings.Repeat("x", 100_000), 0, nil
	from := open(t, filepath.Join(dir, "a.db"), append(events, &big)...)
	to, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(dir, "b.db"), MaxTaskBytes: 50_000})
	require.NoError(t, err)
	defer func() { require.NoError(t, to.Close(context.Background())) }()
	o := options(filepath.Join(dir, "b.db"))
	for range 2 { // not even the notes make it forget that
		r, err := Copy(t.Context(), snapshot(t, from), to, o)
		require.NoError(t, err)
		require.Len(t, r.Refused, 1)
		require.Equal(t, big.ID(), r.Refused[0].ID)
		require.ErrorContains(t, r.Refused[0].Err, "max_task_bytes is 50000")
		report, err := Compare(t.Context(), snapshot(t, from), snapshot(t, to), "")
		require.NoError(t, err)
		require.EqualValues(t, 1, report.Kinds[0].Missing)
		require.Len(t, report.Examples, 1)
	}
}
