package task

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What is there and empty is not what is missing: people clear the tags of a task.
func TestEmptyIsNotMissing(t *testing.T) {
	e := &Event{
		Name: EventProgress, Time: 2, Kind: "k", Key: "1", Attempt: NoAttempt, Facet: FacetPeople,
		Tags: []string{}, Dependencies: []Ref{}, Refs: map[string]string{}, Used: map[string]any{},
	}
	events, rejected := FromLogs(ToLogs([]*Event{e}))
	require.Empty(t, rejected)
	require.Equal(t, e.Wire(), events[0].Wire())
	s := &State{}
	tagged := *e
	tagged.Facet, tagged.Time, tagged.Tags = "worker", 1, []string{"old"}
	s.Apply(&tagged)
	s.Apply(events[0])
	back, err := DecodeState(s.Encode())
	require.NoError(t, err)
	require.True(t, back.Equal(s))
	require.Empty(t, Project(s).Tags)
	require.Equal(t, Project(s).Map(), Project(back).Map())
}

// Two spellings of one path meet in an order of their own, not that of the map.
func TestLeavesThatMeetHaveAnOrder(t *testing.T) {
	for range 50 {
		got := Leaves(map[string]any{"a.b": int64(1), "a": map[string]any{"b": int64(2)}, "a.b.": int64(3)})
		require.Equal(t, map[string]any{"a.b": []any{int64(2), int64(1)}, "a.b.": int64(3)}, got)
	}
}
