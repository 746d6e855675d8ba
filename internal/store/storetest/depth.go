package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// received is an event as the exporter gets it.
func received(t *testing.T, e *task.Event) *task.Event {
	t.Helper()
	events, rejected := task.FromLogs(task.ToLogs([]*task.Event{e}))
	require.Empty(t, rejected)
	return events[0]
}

func testDepth(t *testing.T, f Factory) {
	s := f.New(t)
	for _, depth := range []int{100, 112, 113, 120, 125, 126, 127, 128, 129, 200} {
		deep := any("x")
		for range depth {
			deep = []any{deep}
		}
		m := map[string]any{"deep": deep}
		of := func(name string, time int64) *task.Event {
			return received(t, finished("t", func(e *task.Event) {
				e.Name, e.Time, e.Used, e.Custom, e.WorkflowID = name, time, m, m, "w"
				if name == task.EventEnvironment {
					e.Environment, e.Record = "digest", m
				}
			}))
		}
		for i := range int64(2) { // the second is merged with what was stored
			time := int64(depth)*10 + i
			write(t, s, of(task.EventFinished, time), of(task.EventWorkflowStarted, time), of(task.EventEnvironment, time),
				finished("innocent"))
			requireListed(t, s, 2)
			s = f.Reopen(t, s)
		}
	}
	requireListed(t, s, 2)
}

func requireListed(t *testing.T, s store.Store, n int) {
	t.Helper()
	a := ask(t, s, `{}`)
	require.Len(t, a.Rows, n)
	require.Empty(t, a.Warnings)
	_, err := s.Environments(t.Context(), []string{"digest"})
	require.NoError(t, err)
}
