package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var adminCases = []testCase{
	{
		name:     "deleting a campaign removes all of it and nothing else",
		contract: "stores.md: Deleting a campaign removes its tasks, workflows, claims, edges and observers, and nothing else.",
		run:      testDelete,
	},
	{
		name:     "a deleted campaign can be written again",
		contract: "stores.md: A deleted campaign can be written again.",
		run:      testDeleteAndWrite,
	},
	{
		name:     "deleting what does not exist deletes nothing",
		contract: "stores.md: Deleting a campaign removes its tasks, workflows, claims, edges and observers, and nothing else.",
		run:      testDeleteNothing,
	},
	{
		name:     "a backup is a consistent copy",
		contract: "stores.md: A backup is a consistent copy, also while others write.",
		run:      testBackup, skip: func(c Capabilities) bool { return c.NoBackup },
	},
	{
		name:     "a backup never overwrites",
		contract: "stores.md: A backup never overwrites a file.",
		run:      testBackupExists, skip: func(c Capabilities) bool { return c.NoBackup },
	},
	{
		name:     "a backup while writing is a consistent copy",
		contract: "stores.md: A backup is a consistent copy, also while others write.",
		run:      testBackupWhileWriting, skip: func(c Capabilities) bool { return c.NoBackup },
	},
	{
		name:     "a closed store refuses calls",
		contract: "stores.md: A closed store refuses calls.",
		run:      testClosed,
	},
	{
		name:     "close waits for running calls",
		contract: "stores.md: Closing waits for running calls.",
		run:      testCloseWaits,
	},
}

func testDelete(t *testing.T, f Factory) {
	s := f.New(t)
	other := finished("other", func(e *task.Event) { e.Campaign, e.WorkflowID = "keep", "w2" }, withClaims(claim(task.Used, "shared")))
	gone := finished("gone", func(e *task.Event) {
		e.Dependencies = []task.Ref{other.Ref()}
		e.ObserverID, e.Seq = "o", 1
	}, withClaims(claim(task.Generated, "shared")))
	write(t, s, gone, other, finished("gone2"),
		&task.Event{Name: task.EventWorkflowStarted, Kind: "dask", Campaign: "c", WorkflowID: "w", WorkflowName: "search", Time: 1})
	n, err := s.DeleteCampaign(t.Context(), "c")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)

	docs, err := s.Tasks(t.Context(), []string{gone.ID(), other.ID()})
	require.NoError(t, err)
	require.Len(t, docs, 1)
	require.Contains(t, docs, other.ID())
	on, err := s.ClaimsOn(t.Context(), []string{"shared"}, "")
	require.NoError(t, err)
	require.Len(t, on, 1)
	require.Equal(t, other.ID(), on[0].TaskID)
	list, err := s.Dependents(t.Context(), []string{other.ID()})
	require.Empty(t, edges(t, list, err))
	campaigns, err := s.Campaigns(t.Context())
	require.NoError(t, err)
	require.Len(t, campaigns, 1)
	require.Equal(t, "keep", campaigns[0].ID)
	require.Len(t, workflows(t, s, ""), 1)
	checkpoints, err := s.Checkpoints(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, checkpoints)
}

func testDeleteAndWrite(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", func(e *task.Event) { e.ObserverID, e.Seq = "o", 1 }, withClaims(claim(task.Used, "a")))
	for range 2 {
		write(t, s, e)
		requireDocument(t, s, e)
		require.Len(t, claimsOf(t, s, e.ID()), 1)
		require.EqualValues(t, 1, ask(t, s, `{"aggregation": [["count", "id"]]}`).Rows[0]["count"])
		n, err := s.DeleteCampaign(t.Context(), "c")
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		require.EqualValues(t, 0, ask(t, s, `{"aggregation": [["count", "id"]]}`).Rows[0]["count"])
	}
}

func testDeleteNothing(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, finished("x"))
	n, err := s.DeleteCampaign(t.Context(), "other")
	require.NoError(t, err)
	require.Zero(t, n)
	require.EqualValues(t, 1, ask(t, s, `{}`).Total)
	_, err = s.DeleteCampaign(t.Context(), "")
	require.Error(t, err)
}

func testBackup(t *testing.T, f Factory) {
	s := f.New(t)
	e := finished("x", withClaims(claim(task.Used, "a")))
	write(t, s, e)
	path := filepath.Join(t.TempDir(), "copy.db")
	require.NoError(t, s.Backup(t.Context(), path))
	write(t, s, finished("later"))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	c := f.OpenBackup(t, path)
	requireDocument(t, c, e)
	require.Len(t, claimsOf(t, c, e.ID()), 1)
	require.EqualValues(t, 1, ask(t, c, `{}`).Total)
	write(t, c, finished("in the copy"))
	require.EqualValues(t, 2, ask(t, c, `{}`).Total)
}

func testBackupExists(t *testing.T, f Factory) {
	s := f.New(t)
	path := filepath.Join(t.TempDir(), "taken")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	require.ErrorContains(t, s.Backup(t.Context(), path), path)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "mine", string(content))
	require.Error(t, s.Backup(t.Context(), filepath.Join(t.TempDir(), "no", "directory", "x.db")))
}

func testBackupWhileWriting(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, finished("0-c"), finished("0-d"))
	ctx, stop := context.WithCancel(context.Background())
	var writer sync.WaitGroup
	defer func() {
		stop()
		writer.Wait()
	}()
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			// Two tasks a write: a consistent copy has both or none.
			_, err := s.Write(context.Background(), []*task.Event{finished(fmt.Sprintf("%d-a", i)), finished(fmt.Sprintf("%d-b", i))})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	path := filepath.Join(t.TempDir(), "copy.db")
	require.NoError(t, s.Backup(t.Context(), path))
	stop()
	writer.Wait()
	total := ask(t, f.OpenBackup(t, path), `{}`).Total
	require.Positive(t, total)
	require.Zero(t, total%2)
}

func testClosed(t *testing.T, f Factory) {
	s := f.New(t)
	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, s.Close(t.Context()))
	_, err := s.Write(t.Context(), []*task.Event{finished("x")})
	require.Error(t, err)
	_, err = s.Tasks(t.Context(), []string{"x"})
	require.Error(t, err)
	_, err = s.DeleteCampaign(t.Context(), "c")
	require.Error(t, err)
}

func testCloseWaits(t *testing.T, f Factory) {
	s := f.New(t)
	// Several times: where a close meets the calls is left to chance.
	for round := range 8 {
		s = closeBesideWriters(t, f, s, round)
	}
}

// closeBesideWriters closes a store while it writes, and opens it again.
func closeBesideWriters(t *testing.T, f Factory, s store.Store, round int) store.Store {
	const writers = 8
	written := make(chan string, 1000)
	var started, wg sync.WaitGroup
	started.Add(writers)
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				e := finished(fmt.Sprintf("%d-%d-%d", round, w, i))
				if _, err := s.Write(context.Background(), []*task.Event{e}); err != nil {
					assert.ErrorContains(t, err, "store is closed", "a call that was running fails")
					return
				}
				if i == 0 {
					started.Done()
				}
				select {
				case written <- e.ID():
				default:
				}
			}
		})
	}
	started.Wait()
	require.NoError(t, s.Close(context.Background()))
	wg.Wait()
	close(written)
	s = f.Reopen(t, s)
	for id := range written {
		docs, err := s.Tasks(t.Context(), []string{id})
		require.NoError(t, err)
		require.Contains(t, docs, id, "a write that was acknowledged before the close is lost")
	}
	return s
}
