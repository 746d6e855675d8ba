package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Whatever happens to tasks, the kept tallies are what counting all tasks would say.
func TestTalliesFollowEveryChange(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db"), Synchronous: Normal})
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 200 {
		var events []*task.Event
		for range 1 + random.IntN(4) {
			e := event(fmt.Sprint("t", random.IntN(60)))
			e.Time = int64(2_000 + round)
			e.Campaign = []string{"", "a", "b", "c", "d"}[random.IntN(5)]
			e.WorkflowID = fmt.Sprint("w", random.IntN(3))
			e.Status = []task.Status{task.StatusRunning, task.StatusFinished, task.StatusFailed}[random.IntN(3)]
			e.StartedAt = int64(1_000 + random.IntN(1_000))
			events = append(events, e)
		}
		_, err := s.Write(t.Context(), events)
		require.NoError(t, err)
		if random.IntN(20) == 0 {
			_, err := s.DeleteCampaign(t.Context(), "b")
			require.NoError(t, err)
		}
		if random.IntN(3) > 0 {
			requireTallies(t, s)
		}
	}
	requireTallies(t, s)
}

func requireTallies(t *testing.T, s *Store) {
	t.Helper()
	var counted []store.Workflow
	require.NoError(t, s.snapshot(t.Context(), func(tx *sql.Tx) error {
		o, err := overview(t.Context(), tx, "")
		counted = o.Workflows()
		return err
	}))
	kept, err := s.Workflows(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, counted, kept)
	campaigns, err := s.Campaigns(t.Context())
	require.NoError(t, err)
	require.Equal(t, view.Campaigns(counted), campaigns)
}

// Who looks while others write sees what was written before, and misses nothing later.
func TestTalliesBesideWriters(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "mida.db"), Synchronous: Normal})
	const writers, writes = 4, 50
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				e := event(fmt.Sprint(w, "-", i))
				e.Campaign = fmt.Sprint("c", w)
				if _, err := s.Write(context.Background(), []*task.Event{e}); err != nil {
					errs[w] = err
					return
				}
				list, err := s.Campaigns(context.Background())
				if err == nil && !has(list, e.Campaign, int64(i+1)) {
					err = fmt.Errorf("%s: %d tasks were written, and %v is there", e.Campaign, i+1, list)
				}
				if err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	requireTallies(t, s)
}

func has(list []store.Campaign, campaign string, tasks int64) bool {
	for _, c := range list {
		if c.ID == campaign {
			return c.Tasks == tasks
		}
	}
	return false
}
