package task

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func TestClaimsAsOthersWriteThem(t *testing.T) {
	e := &Event{
		Name: EventFinished, Kind: "dask", Scope: "s", Key: "k", Attempt: 1, Time: 5,
		Paths:  map[string]PathInfo{"x": {Real: "/x", Size: 3}},
		Claims: []Claim{{Role: Used, Entity: "file:s/h:/x", Evidence: "path", Confidence: 1, Field: "used.x", Label: "x", Time: 4, TimeSource: "mtime"}},
	}
	read := func(change func(claim pcommon.Map)) ([]*Event, []Rejected) {
		logs := ToLogs([]*Event{e})
		v, _ := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes().Get(AttrClaims)
		change(v.Slice().At(0).Map())
		return FromLogs(logs)
	}
	for name, change := range map[string]func(pcommon.Map){
		"ours":                   func(pcommon.Map) {},
		"an integral confidence": func(m pcommon.Map) { m.PutInt("confidence", 1) },
		"a key of later":         func(m pcommon.Map) { m.PutEmptyMap("new") },
		"a time as a double":     func(m pcommon.Map) { m.PutDouble("time", 4) },
	} {
		events, rejected := read(change)
		require.Empty(t, rejected, name)
		assert.Equal(t, e.Claims, events[0].Claims, name)
		assert.Equal(t, e.Paths, events[0].Paths, name)
	}
	_, rejected := read(func(m pcommon.Map) { m.PutStr("role", "seen") })
	require.Len(t, rejected, 1)
	require.ErrorContains(t, rejected[0].Err, "claims[0]")
	_, rejected = read(func(m pcommon.Map) { m.PutBool("entity", true) })
	require.Len(t, rejected, 1)
	require.ErrorContains(t, rejected[0].Err, "claims[0].entity")

	events, rejected := FromLogsWithoutPaths(ToLogs([]*Event{e}))
	require.Empty(t, rejected)
	assert.Nil(t, events[0].Paths)
	assert.Equal(t, e.Claims, events[0].Claims)
}
