package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// claiming is an event with a dependency and a claim.
func claiming(key string) *task.Event {
	e := event(key)
	e.Dependencies = []task.Ref{{Kind: "k", Scope: "s", Key: "before-" + key}}
	e.Claims = []task.Claim{{Role: task.Used, Entity: "file:" + key, Evidence: "path", Confidence: 1, Field: "used.a"}}
	return e
}

func manyClaiming(n int) (events []*task.Event) {
	for i := range n {
		events = append(events, claiming(fmt.Sprint(i)))
	}
	return events
}

// claimsOf are the claims of all tasks by the task's key.
func claimsOf(t *testing.T, s *Store) map[string][]task.Claim {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), `SELECT t.task_id, c.role, c.entity, c.evidence, c.confidence, c.field FROM claims c JOIN tasks t ON t.n = c.n`)
	require.NoError(t, err)
	defer rows.Close()
	all := map[string][]task.Claim{}
	for rows.Next() {
		var key string
		var c task.Claim
		require.NoError(t, rows.Scan(&key, &c.Role, &c.Entity, &c.Evidence, &c.Confidence, &c.Field))
		all[key] = append(all[key], c)
	}
	require.NoError(t, rows.Err())
	return all
}

// Rows that go into a table together are refused alone.
func TestRefusedRowRejectsItsTaskAlone(t *testing.T) {
	for _, table := range []string{"tasks", "leaves", "states", "edges", "claims"} {
		for _, n := range []int{3, bulkRows, 2*bulkRows + 3, 2 * prepareFrom} {
			t.Run(fmt.Sprint(table, n), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "mida.db")
				s, err := Open(t.Context(), Options{Path: path})
				require.NoError(t, err)
				require.NoError(t, s.Close(t.Context()))
				bad := claiming("bad")
				which := map[string]string{"tasks": "new.task_id = 'bad'", "claims": "new.entity = 'file:bad'"}[table]
				if which == "" {
					which = fmt.Sprintf("new.n = %d", n)
				}
				edit(t, path, "CREATE TRIGGER no BEFORE INSERT ON "+table+" WHEN "+which+" BEGIN SELECT raise(ABORT, 'no'); END")
				s = mustOpen(t, Options{Path: path})
				rejected, err := s.Write(t.Context(), append(manyClaiming(n-1), bad))
				require.NoError(t, err)
				require.Len(t, rejected, 1)
				require.Same(t, bad, rejected[0].Event)
				require.EqualValues(t, n-1, total(t, s))
				require.Len(t, claimsOf(t, s), n-1)
			})
		}
	}
}

// A task that is stored but not in the cache is found by its insertion, and what arrives is merged with what it has.
func TestLargeBatchMeetsTasksThatAreStored(t *testing.T) {
	const n = 2 * prepareFrom
	path := filepath.Join(t.TempDir(), "mida.db")
	s, err := Open(t.Context(), Options{Path: path})
	require.NoError(t, err)
	for i := 0; i < n; i += 2 { // every other one is new later
		_, err := s.Write(t.Context(), []*task.Event{claiming(fmt.Sprint(i))})
		require.NoError(t, err)
	}
	require.NoError(t, s.Close(t.Context()))

	s = mustOpen(t, Options{Path: path})
	later := manyClaiming(n)
	for i, e := range later {
		e.Facet, e.Used = "more", map[string]any{"b": int64(i)}
		e.Claims[0].Evidence = "name"
	}
	rejected, err := s.Write(t.Context(), later)
	require.NoError(t, err)
	require.Empty(t, rejected)
	require.EqualValues(t, n, total(t, s))
	require.EqualValues(t, n, s.Counters().TasksChanged)
	claims := claimsOf(t, s)
	var ids []string
	for _, e := range later {
		ids = append(ids, e.ID())
	}
	docs, err := s.Tasks(t.Context(), ids)
	require.NoError(t, err)
	for i, e := range later {
		used, evidence := map[string]any{"b": int64(i)}, 1
		if i%2 == 0 {
			used["a"], evidence = int64(1), 2
		}
		require.Equal(t, used, docs[e.ID()]["used"])
		require.Len(t, claims[e.Key], evidence)
	}
	var edges int
	require.NoError(t, s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM edges").Scan(&edges))
	require.Equal(t, n, edges)
}
