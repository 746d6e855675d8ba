package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var overviewCases = []testCase{
	{
		name:     "campaigns count their tasks, workflows and statuses",
		contract: "stores.md: Campaigns count their tasks, workflows and statuses, and name their first and last moment.",
		run:      testCampaigns,
	},
	{
		name:     "workflows come from tasks and from workflow events",
		contract: "stores.md: Workflows come from tasks and from workflow events, and are listed where their tasks are.",
		run:      testWorkflows,
	},
	{
		name:     "a log whose lines have no time shows none",
		contract: "stores.md: A workflow whose tasks and events tell no time, as in a log without, has no first and no last moment.",
		run:      testWorkflowWithoutTime,
	},
	{
		name:     "a workflow whose tasks moved to another campaign is listed there",
		contract: "stores.md: Workflows come from tasks and from workflow events, and are listed where their tasks are.",
		run:      testMovedWorkflow,
	},
	{
		name:     "checkpoints say what their observer said last and what arrived",
		contract: "stores.md: A checkpoint says what its observer said last, and what arrived of it.",
		run:      testCheckpoints,
	},
	{
		name:     "of two checkpoints the one with more numbers holds, of equal ones the later",
		contract: "stores.md: Of two checkpoints the one with more numbers holds, of equal ones the later.",
		run:      testOrderOfCheckpoints,
	},
	{
		name:     "an observer without a checkpoint is known by its events",
		contract: "stores.md: An observer without a checkpoint is known by its events.",
		run:      testObserverWithoutCheckpoint,
	},
	{
		name:     "sequence numbers count once, in any order",
		contract: "stores.md: Each sequence number counts once, in any order of arrival.",
		run:      testSequence,
	},
	{
		name:     "numbers that did not arrive are named as ranges",
		contract: "stores.md: Numbers that did not arrive are named as ranges, up to 2,000 of them.",
		run:      testGaps,
	},
	{
		name:     "what else a checkpoint says is kept as it is",
		contract: "stores.md: What else a checkpoint says is kept as it is.",
		run:      testRecordOfCheckpoint,
	},
	{
		name:     "attempts that finished are counted once for each number",
		contract: "stores.md: Attempts that finished are counted once for each number.",
		run:      testFinished,
	},
}

func testCampaigns(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s,
		finished("1", func(e *task.Event) { e.StartedAt, e.EndedAt = 50, 60 }),
		finished("2", func(e *task.Event) { e.SubmittedAt, e.StartedAt, e.EndedAt = 10, 20, 90 }),
		finished("3", func(e *task.Event) {
			e.Name, e.Status, e.WorkflowID, e.StartedAt, e.EndedAt = task.EventStarted, task.StatusRunning, "w2", 70, 0
		}),
		finished("4", func(e *task.Event) { e.Campaign, e.WorkflowID, e.StartedAt, e.EndedAt = "", "", 1, 2 }))
	got, err := s.Campaigns(t.Context())
	require.NoError(t, err)
	require.Equal(t, []store.Campaign{
		{ID: "", Tasks: 1, ByStatus: map[string]int64{"FINISHED": 1}, FirstAt: 1, LastAt: 2},
		{ID: "c", Tasks: 3, Workflows: 2, ByStatus: map[string]int64{"FINISHED": 2, "RUNNING": 1}, FirstAt: 10, LastAt: 90},
	}, got)
}

func workflows(t *testing.T, s store.Store, campaign string) []store.Workflow {
	t.Helper()
	list, err := s.Workflows(t.Context(), campaign)
	require.NoError(t, err)
	return list
}

func testWorkflows(t *testing.T, f Factory) {
	s := f.New(t)
	const day = int64(1.7e18) // a workflow event's time counts only when a clock gave it
	start := &task.Event{
		Name: task.EventWorkflowStarted, Time: day + 5, Kind: "log", Campaign: "c", WorkflowID: "w", WorkflowName: "acquire", WorkflowParentID: "p",
	}
	end := &task.Event{Name: task.EventWorkflowFinished, Time: day + 500, Kind: "log", Campaign: "c", WorkflowID: "w"}
	empty := &task.Event{Name: task.EventWorkflowStarted, Time: day + 600, Kind: "dask", Campaign: "c", WorkflowID: "alone", WorkflowName: "idle"}
	write(t, s, end, finished("1", func(e *task.Event) { e.StartedAt, e.EndedAt = day+50, day+60 }))
	write(t, s, start, empty)
	write(t, s, end, start)
	require.Equal(t, []store.Workflow{
		{ID: "w", Name: "acquire", ParentID: "p", CampaignID: "c", Kind: "dask", Tasks: 1, ByStatus: map[string]int64{"FINISHED": 1}, FirstAt: day + 5, LastAt: day + 500},
		{ID: "alone", Name: "idle", CampaignID: "c", Kind: "dask", ByStatus: map[string]int64{}, FirstAt: day + 600, LastAt: day + 600},
	}, workflows(t, s, "c"))
	require.Empty(t, workflows(t, s, "other"))
	require.Len(t, workflows(t, s, ""), 2)
}

// The time of such an event is the number of its line.
func testWorkflowWithoutTime(t *testing.T, f Factory) {
	s := f.New(t)
	of := func(name string, time int64) *task.Event {
		return &task.Event{Name: name, Time: time, Kind: "log", Campaign: "c", WorkflowID: "w", WorkflowName: "acquire", Facet: "log"}
	}
	write(t, s, of(task.EventWorkflowStarted, 1), of(task.EventWorkflowFinished, 4_000_000_000),
		finished("1", func(e *task.Event) { e.StartedAt, e.EndedAt = 0, 0 }))
	list := workflows(t, s, "c")
	require.Len(t, list, 1)
	require.Zero(t, list[0].FirstAt)
	require.Zero(t, list[0].LastAt)
	campaigns, err := s.Campaigns(t.Context())
	require.NoError(t, err)
	require.Len(t, campaigns, 1)
	require.Zero(t, campaigns[0].FirstAt)
	require.Zero(t, campaigns[0].LastAt)

	// From the first line with a time on there is one.
	const day = int64(1.7e18)
	write(t, s, of(task.EventWorkflowFinished, day))
	list = workflows(t, s, "c")
	require.EqualValues(t, day, list[0].FirstAt)
	require.EqualValues(t, day, list[0].LastAt)
}

func testMovedWorkflow(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s,
		&task.Event{Name: task.EventWorkflowStarted, Time: 5, Kind: "log", Campaign: "old", WorkflowID: "w", WorkflowName: "acquire"},
		finished("1", func(e *task.Event) { e.Campaign = "new" }))
	require.Empty(t, workflows(t, s, "old"))
	list := workflows(t, s, "new")
	require.Len(t, list, 1)
	require.Equal(t, "acquire", list[0].Name)
	require.Equal(t, "new", list[0].CampaignID)
	require.Equal(t, list, workflows(t, s, ""))
}

func checkpointEvent(time, last int64, final bool, dropped ...any) *task.Event {
	record := map[string]any{"last_seq": last, "final": final}
	if dropped != nil {
		record["dropped"] = dropped
	}
	return &task.Event{
		Name: task.EventCheckpoint, Time: time, Campaign: "c", ObserverID: "o", Record: record,
		Resource: map[string]any{"host.name": "node-3"},
	}
}

func numbered(key string, seq int64) *task.Event {
	return finished(key, func(e *task.Event) { e.ObserverID, e.Seq = "o", seq })
}

func testCheckpoints(t *testing.T, f Factory) {
	s := f.New(t)
	lost := []any{int64(2), int64(3), "queue full"}
	last := checkpointEvent(30, 5, true, lost)
	write(t, s, last, numbered("1", 1), numbered("4", 4))
	write(t, s, checkpointEvent(20, 3, false), numbered("5", 5))
	want := []store.Checkpoint{{
		Observer: "o", Campaign: "c", At: 30, LastSeq: 5, Dropped: []any{lost}, Final: true, Host: "node-3", Arrived: 3, Highest: 5,
		Gaps: [][2]int64{{2, 3}},
	}}
	got, err := s.Checkpoints(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = s.Checkpoints(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = s.Checkpoints(t.Context(), "other")
	require.NoError(t, err)
	require.Empty(t, got)
}

func testOrderOfCheckpoints(t *testing.T, f Factory) {
	lost := []any{int64(6), int64(7), "refused"}
	ended, again := checkpointEvent(100, 5, true), checkpointEvent(110, 5, false)
	setBack := checkpointEvent(50, 8, false, lost) // the observer was started again, its clock set back
	for _, events := range [][]*task.Event{{ended, again}, {again, ended}} {
		s := f.New(t)
		for _, e := range events {
			write(t, s, e)
		}
		got, err := s.Checkpoints(t.Context(), "c")
		require.NoError(t, err)
		require.EqualValues(t, 110, got[0].At)
		require.False(t, got[0].Final, "it goes on")
	}
	for _, batches := range [][][]*task.Event{{{ended}, {again}, {setBack}}, {{setBack}, {again}, {ended}}, {{again, setBack, ended}}} {
		s := f.New(t)
		for _, events := range batches {
			write(t, s, events...)
		}
		got, err := s.Checkpoints(t.Context(), "c")
		require.NoError(t, err)
		require.Equal(t, []store.Checkpoint{{
			Observer: "o", Campaign: "c", At: 50, LastSeq: 8, Dropped: []any{lost}, Host: "node-3", Gaps: [][2]int64{{1, 8}},
		}}, got)
	}
}

func testObserverWithoutCheckpoint(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, numbered("1", 1), numbered("2", 7))
	got, err := s.Checkpoints(t.Context(), "c")
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Zero(t, got[0].At)
	require.False(t, got[0].Final)
	require.EqualValues(t, 2, got[0].Arrived)
	require.EqualValues(t, 7, got[0].Highest)
}

func testSequence(t *testing.T, f Factory) {
	s := f.New(t)
	// 1…60 in a scattered order, each twice, and 100.
	for i := range int64(120) {
		write(t, s, numbered("x", i*37%60+1))
	}
	write(t, s, numbered("x", 100))
	s = f.Reopen(t, s)
	for i := range int64(60) {
		write(t, s, numbered("x", i+1))
	}
	got, err := s.Checkpoints(t.Context(), "c")
	require.NoError(t, err)
	require.EqualValues(t, 61, got[0].Arrived)
	require.EqualValues(t, 100, got[0].Highest)
}

func checkpointOf(t *testing.T, s store.Store) store.Checkpoint {
	t.Helper()
	got, err := s.Checkpoints(t.Context(), "c")
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0]
}

func testGaps(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, numbered("2", 2), numbered("5", 5), numbered("6", 6), numbered("9", 9))
	require.Equal(t, [][2]int64{{1, 1}, {3, 4}, {7, 8}}, checkpointOf(t, s).Gaps)
	write(t, s, checkpointEvent(10, 12, true), numbered("7", 7))
	s = f.Reopen(t, s)
	require.Equal(t, [][2]int64{{1, 1}, {3, 4}, {8, 8}, {10, 12}}, checkpointOf(t, s).Gaps)
	write(t, s, numbered("1", 1), numbered("8", 8), numbered("4", 4), numbered("3", 3), numbered("10", 10), numbered("12", 12))
	require.Equal(t, [][2]int64{{11, 11}}, checkpointOf(t, s).Gaps)
	write(t, s, numbered("11", 11))
	require.Empty(t, checkpointOf(t, s).Gaps)
	var many []*task.Event
	for i := range int64(store.MaxGaps + 5) {
		many = append(many, numbered("x", 20+2*i))
	}
	write(t, s, many...)
	c := checkpointOf(t, s)
	require.Len(t, c.Gaps, store.MaxGaps)
	require.Equal(t, [2]int64{13, 19}, c.Gaps[0])
}

func testRecordOfCheckpoint(t *testing.T, f Factory) {
	s := f.New(t)
	write(t, s, checkpointEvent(10, 1, false))
	require.Nil(t, checkpointOf(t, s).Record)
	more := map[string]any{
		"segments_removed": int64(2),
		"witness": map[string]any{
			"scheduler": "S", "workers": []any{map[string]any{"address": "tcp://10.0.0.1:1", "finished": int64(7), "left": 1.5}},
		},
	}
	last := checkpointEvent(20, 1, true)
	for k, v := range more {
		last.Record.(map[string]any)[k] = v
	}
	last.Record.(map[string]any)["host"] = "node-4"
	write(t, s, last)
	write(t, s, checkpointEvent(15, 1, false))
	s = f.Reopen(t, s)
	c := checkpointOf(t, s)
	require.Equal(t, more, c.Record)
	require.Equal(t, "node-4", c.Host, "the record says it better than the resource")
}

func testFinished(t *testing.T, f Factory) {
	s := f.New(t)
	attempt := func(seq int64, change ...func(*task.Event)) *task.Event {
		e := numbered("x", seq)
		e.Attempt = seq
		for _, f := range change {
			f(e)
		}
		return e
	}
	failed := attempt(3, func(e *task.Event) { e.Name, e.Status = task.EventFailed, task.StatusFailed })
	about := attempt(4, func(e *task.Event) { e.Attempt = task.NoAttempt })
	write(t, s, attempt(1), attempt(1), failed)
	write(t, s, about, attempt(2), attempt(1))
	require.EqualValues(t, 2, checkpointOf(t, s).Finished)
	s = f.Reopen(t, s)
	write(t, s, attempt(2), attempt(5), failed, attempt(8), checkpointEvent(10, 8, true))
	require.EqualValues(t, 4, checkpointOf(t, s).Finished)
}
