package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var transferCases = []testCase{
	{
		name:     "the parts of a snapshot make the same view, in any order, cut anyhow, and twice",
		contract: "stores.md: The parts of a snapshot make the same view in another store, in any order, cut anyhow, and twice.",
		run:      testParts,
	},
	{
		name:     "parts come in the order of their ids",
		contract: "stores.md: Parts come in the order of their kinds and ids, which is the same in every store.",
		run:      testPartsOrder,
	},
	{
		name:     "parts are merged with what is there",
		contract: "stores.md: Parts are merged with what is there.",
		run:      testPartsMerge,
	},
	{
		name:     "the parts of a campaign are all that belongs to it",
		contract: "stores.md: The parts of a campaign are all that belongs to it.",
		run:      testPartsOfCampaign,
	},
	{
		name:     "a snapshot does not see later writes",
		contract: "stores.md: A snapshot does not see later writes.",
		run:      testSnapshotIsStill,
	},
	{
		name:     "a part that cannot be read is refused alone",
		contract: "stores.md: A part that cannot be read is refused alone.",
		run:      testPartRefused,
	},
	{
		name:     "what is deleted does not count in the size",
		contract: "stores.md: What is deleted does not count in the size.",
		run:      testSize,
	},
}

func partsOf(t *testing.T, s store.Store, campaign string) (out []store.Part) {
	t.Helper()
	snapshot, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, snapshot.Close()) }()
	require.NoError(t, snapshot.Parts(t.Context(), campaign, func(p store.Part) error {
		out = append(out, p)
		return nil
	}))
	return out
}

func importParts(t *testing.T, s store.Store, parts ...store.Part) {
	t.Helper()
	refused, err := s.Import(t.Context(), parts)
	require.NoError(t, err)
	require.Empty(t, refused)
}

const generated = 300

func testParts(t *testing.T, f Factory) {
	s := f.New(t)
	events := Campaign("c1", generated)
	write(t, s, append(events, Campaign("c2", 10)...)...)
	parts := partsOf(t, s, "")
	count := map[store.PartKind]int{}
	for _, p := range parts {
		count[p.Kind]++
	}
	require.Equal(t, map[store.PartKind]int{
		store.PartTask: generated + 10, store.PartClaim: 2*(generated+10) + generated/20 + 1, store.PartWorkflow: 16,
		store.PartEnvironment: 5, store.PartEntity: generated / 20, store.PartObserver: 6,
	}, count)

	other := f.New(t)
	backwards := slices.Clone(parts)
	slices.Reverse(backwards)
	for _, list := range [][]store.Part{backwards, parts[:100], parts} {
		for part := range slices.Chunk(list, 170) {
			importParts(t, other, part...)
		}
	}
	require.Equal(t, parts, partsOf(t, other, ""))
	requireDocument(t, other, events[2], events[3])
	e := events[2]
	require.Equal(t, claimsOf(t, s, e.ID()), claimsOf(t, other, e.ID()))
	want, err := s.Checkpoints(t.Context(), "")
	require.NoError(t, err)
	have, err := other.Checkpoints(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, want, have)
	require.Equal(t, workflows(t, s, "c1"), workflows(t, other, "c1"))
	const q = `{"filter": {"used.cfg.layers": {"$lt": 50}, "environment.user": "ada"}, "aggregation": [["sum", "used.cfg.layers"]]}`
	require.Equal(t, ask(t, s, q).Rows, ask(t, other, q).Rows)

	// A store that is opened again knows as much.
	require.Equal(t, parts, partsOf(t, f.Reopen(t, other), ""))
}

func testPartsOrder(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, Campaign("c1", generated)...)
	require.True(t, slices.IsSortedFunc(partsOf(t, s, ""), view.CompareParts))
	require.True(t, slices.IsSortedFunc(partsOf(t, s, "c1"), view.CompareParts))
}

func testPartsMerge(t *testing.T, f Factory) {
	events := Campaign("c1", 50)
	s, other, all := f.New(t), f.New(t), f.New(t)
	for i, e := range events {
		write(t, []store.Store{s, other}[i%2], e)
	}
	write(t, all, events...)
	importParts(t, other, partsOf(t, s, "")...)
	require.Equal(t, partsOf(t, all, ""), partsOf(t, other, ""))
}

func testPartsOfCampaign(t *testing.T, f Factory) {
	s, alone := f.New(t), f.New(t)
	events := Campaign("c1", 50)
	write(t, alone, events...)
	write(t, s, append(events, Campaign("c2", 20)...)...)
	require.Equal(t, partsOf(t, alone, "c1"), partsOf(t, s, "c1"))
	require.Empty(t, slices.DeleteFunc(partsOf(t, s, "c3"), func(p store.Part) bool { return p.Kind == store.PartEntity }))
}

func testSnapshotIsStill(t *testing.T, f Factory) {
	s := f.New(t)
	events := Campaign("c1", 50)
	write(t, s, events...)
	snapshot, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	done := sync.OnceValue(snapshot.Close)
	defer func() { require.NoError(t, done()) }()
	read := func() (n int) {
		require.NoError(t, snapshot.Parts(t.Context(), "", func(store.Part) error {
			n++
			return nil
		}))
		return n
	}
	n := read()
	written := make(chan error, 1)
	go func() { // where readers and the writer share a connection, it waits for the snapshot to be closed
		_, err := s.Write(context.Background(), []*task.Event{finished("later")})
		written <- err
	}()
	var wrote bool
	select {
	case err = <-written:
		wrote = true
		require.NoError(t, err)
	case <-time.After(time.Second):
	}
	require.Equal(t, n, read())
	require.NoError(t, done())
	if !wrote {
		require.NoError(t, <-written)
	}
	require.Len(t, partsOf(t, s, ""), n+1)
}

func testPartRefused(t *testing.T, f Factory) {
	s, other := f.New(t), f.New(t)
	write(t, s, finished("x"))
	bad := store.Part{Kind: store.PartTask, ID: "bad", Data: `{"": 7}`}
	refused, err := other.Import(t.Context(), append(partsOf(t, s, ""), bad, store.Part{Kind: "other", ID: "o"}))
	require.NoError(t, err)
	require.Len(t, refused, 2)
	require.Equal(t, "bad", refused[0].ID)
	require.ErrorContains(t, refused[0].Err, "not a map")
	require.EqualValues(t, "other", refused[1].Kind)
	require.Equal(t, partsOf(t, s, ""), partsOf(t, other, ""))
}

func testSize(t *testing.T, f Factory) {
	s := f.New(t)
	size := func() int64 {
		n, err := s.Size(t.Context())
		require.NoError(t, err)
		return n
	}
	write(t, s, Campaign("c1", 20)...)
	small := size()
	write(t, s, Campaign("c2", 600)...)
	large := size()
	require.Greater(t, large, small+600*500)
	_, err := s.DeleteCampaign(t.Context(), "c2")
	require.NoError(t, err)
	require.Less(t, size(), small+(large-small)/2)
}
