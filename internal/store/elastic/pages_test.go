package elastic

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// sharded makes the index of tasks with several shards, each of which counts its documents for itself.
func sharded(t *testing.T, s *Store) {
	body := s.template(tasks)["template"].(object)
	body["settings"].(object)["index.number_of_shards"] = 3
	require.NoError(t, s.client.do(t.Context(), request{method: http.MethodPut, path: "/" + s.index(tasks), body: body}, nil))
}

func TestAStreamGivesEveryDocumentOnce(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) {
		s, _ := fresh(t, o)
		sharded(t, s)
		events := make([]*task.Event, 500)
		for i := range events {
			events[i] = event(fmt.Sprint(i), func(e *task.Event) {
				if i%3 > 0 {
					e.Used = map[string]any{"n": int64(i)}
				}
			})
		}
		write(t, s, events...)
		p, err := s.snapshot(t.Context(), tasks)
		require.NoError(t, err)
		defer p.close()
		for _, source := range []any{docValues{"used.n"}, docValues{}, false, []string{"task_id"}} {
			seen := map[string]int{}
			require.NoError(t, p.stream(t.Context(), all(), source, 10, func(h hit) error {
				seen[h.ID]++
				return nil
			}))
			require.Len(t, seen, len(events))
			for _, e := range events {
				require.Equal(t, 1, seen[e.ID()], "%v", source)
			}
		}
		enough, n := errors.New("enough"), 0
		require.ErrorIs(t, p.stream(t.Context(), all(), docValues{}, 10, func(hit) error {
			if n++; n == 15 {
				return enough
			}
			return nil
		}), enough)
		require.Equal(t, 15, n)

		// Some tasks have none of the columns.
		q, err := query.ParseJSON([]byte(`{"aggregation": [["stddev", "used.n"], ["count", "id"]]}`))
		require.NoError(t, err)
		a, err := s.Query(t.Context(), q)
		require.NoError(t, err)
		require.EqualValues(t, 500, a.Rows[0]["count"])
		sc := &query.Scan{Fields: []query.Field{q.Aggregation[0].Field}}
		n = 0
		matching, err := s.Scan(t.Context(), sc, func(row []any) error {
			if row[0] != query.Absent {
				n++
			}
			return nil
		})
		require.NoError(t, err)
		require.EqualValues(t, 500, matching)
		require.Equal(t, 333, n)
	})
}
