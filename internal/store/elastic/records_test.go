package elastic

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// What the first versions wrote of an observer is read, without what they did not know.
func TestObserversOfTheFirstVersionAreRead(t *testing.T) {
	record := task.JSON([]any{"o", "c", int64(5), int64(0), int64(3), "[]", true, "h", []any{[]any{int64(1), int64(2)}}})
	source, err := json.Marshal(map[string]any{"record": record})
	require.NoError(t, err)
	k, o, err := observerOf(source)
	require.NoError(t, err)
	require.Equal(t, view.Observer{ID: "o", Campaign: "c"}, k)
	want := observer{Observed: view.Observed{
		Checkpoint: view.Checkpoint{At: 5, LastSeq: 3, Dropped: "[]", Final: true, Host: "h"}, Arrived: view.Ranges{{1, 2}},
	}}
	require.Equal(t, want, o)
	o.Checkpoint.Record, o.Finished = `{"redacted":1}`, 7
	_, again, err := observerOf(o.body(k))
	require.NoError(t, err)
	require.Equal(t, o, again)
}
