package mlflowreceiver

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The totals follow every change of a run and are the same after a restart; what an older version stored has no counts.
func TestTotalsFollowTheRuns(t *testing.T) {
	store := newMemory()
	k := newKeeper(store)
	k.put("a", seen{light: 1, content: 5, used: 3, generated: 4})
	k.put("b", seen{light: 1, content: 6, used: 1, generated: 1, open: true})
	k.put("left out", seen{light: 1, content: notCaptured})
	k.put("a", seen{light: 1, content: 7, used: 2, generated: 6})
	want := totals{captured: 2, used: 3, generated: 7}
	assert.Equal(t, want, k.totals)
	require.NoError(t, k.save(t.Context()))
	again := newKeeper(store)
	require.NoError(t, again.load(t.Context()))
	assert.Equal(t, want, again.totals)
	assert.Equal(t, k.runs, again.runs)
	again.forget("b")
	again.forget("b")
	assert.Equal(t, totals{captured: 1, used: 2, generated: 6}, again.totals)

	older, err := json.Marshal(map[string]string{"c": "00000000000000010000000000000005e"})
	require.NoError(t, err)
	require.NoError(t, store.Set(t.Context(), bucketKey(bucketOf("c")), older))
	require.NoError(t, again.load(t.Context()))
	assert.Equal(t, seen{light: 1, content: 5, used: -1, generated: -1}, again.runs["c"])
	var w witness
	assert.Nil(t, w.get())
	w.polled("/mlflow.db", k, -1)
	assert.Equal(t, map[string]any{"a": []any{int64(2), int64(6)}, "b": []any{int64(1), int64(1)}}, w.get()["mlflow"].(map[string]any)["each"])
	w.polled("/mlflow.db", again, -1)
	assert.NotContains(t, w.get()["mlflow"], "used", "no sum where one run is not known")
	again.put("c", seen{light: 1, content: 5, used: 1, generated: 1})
	w.polled("/mlflow.db", again, 4)
	assert.EqualValues(t, 4, w.get()["mlflow"].(map[string]any)["counted"])
	assert.Contains(t, w.get()["mlflow"], "used")
	for i := range maxNamedRuns {
		again.put(fmt.Sprint("many ", i), seen{light: 1, content: 5, used: 1, generated: 1})
	}
	w.polled("/mlflow.db", again, 4)
	assert.NotContains(t, w.get()["mlflow"], "each", "of many runs only sums")
}
