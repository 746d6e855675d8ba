package task

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAnnotationsMergeInAnyOrder(t *testing.T) {
	said := func(id string, at int64, entry map[string]any) *Event {
		entry["id"] = id
		return &Event{
			Name: EventProgress, Time: at, Kind: "k", Key: "t", Attempt: NoAttempt, Facet: AnnotationFacet(id), Custom: map[string]any{KeyAnnotation: entry},
		}
	}
	list := func(s ...any) []any { return s }
	events := []*Event{
		{Name: EventFinished, Time: 50, Kind: "k", Key: "t", Attempt: 1, Facet: "worker", Tags: []string{"tool"}, Custom: map[string]any{"x": int64(1)}},
		{Name: EventProgress, Time: 40, Kind: "k", Key: "t", Attempt: NoAttempt, Facet: FacetPeople, Campaign: "mine"},
		said("a", 10, map[string]any{"tags_added": list("good"), "excluded": true}),
		said("b", 20, map[string]any{"tags_removed": list("tool"), "excluded": false}),
		said("c", 30, map[string]any{"tags_added": list("late", "good")}),
	}
	want := map[string]any{"x": int64(1), "people": map[string]any{"excluded": false, "log": list(
		map[string]any{"id": "a", "tags_added": list("good"), "excluded": true},
		map[string]any{"id": "b", "tags_removed": list("tool"), "excluded": false},
		map[string]any{"id": "c", "tags_added": list("late", "good")},
	)}}
	for shift := range events {
		s := &State{}
		for i := range events {
			s.Apply(events[(i*2+shift)%len(events)])
			s.Apply(events[shift])
		}
		again, err := DecodeState(s.Encode())
		assert.NoError(t, err)
		d := Project(again)
		assert.Equal(t, want, d.Custom)
		assert.Equal(t, []string{"good", "late"}, d.Tags)
		assert.Equal(t, "mine", d.CampaignID)
	}
}
