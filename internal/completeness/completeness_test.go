package completeness

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

var now = time.Unix(10_000, 0)

func ago(d time.Duration) int64 { return now.Add(-d).UnixNano() }

func TestObservers(t *testing.T) {
	dropped := []any{[]any{int64(6), int64(7), "queue full"}, []any{int64(3), int64(4), "queue full"}, []any{"odd"}}
	for name, tc := range map[string]struct {
		c             store.Checkpoint
		arrived       [][2]int64
		state         State
		open          bool
		missing       [][2]int64
		dropped, lost int64
	}{
		"all of an observer that ended":     {c: store.Checkpoint{LastSeq: 9, Final: true}, arrived: [][2]int64{{1, 9}}, state: Complete},
		"nothing seen, and ended":           {c: store.Checkpoint{Final: true}, state: Complete},
		"it has not ended":                  {c: store.Checkpoint{LastSeq: 9}, arrived: [][2]int64{{1, 9}}, state: Unknown, open: true},
		"its end did not arrive":            {c: store.Checkpoint{LastSeq: 9, Final: true}, arrived: [][2]int64{{1, 7}}, state: Missing, missing: [][2]int64{{8, 9}}, lost: 2},
		"what is under way is not missing":  {c: store.Checkpoint{LastSeq: 4}, arrived: [][2]int64{{1, 4}, {8, 9}}, state: Unknown, open: true},
		"a gap below a checkpoint is known": {c: store.Checkpoint{LastSeq: 9}, arrived: [][2]int64{{1, 4}, {8, 9}}, state: Missing, open: true, missing: [][2]int64{{5, 7}}, lost: 3},
		"it fell silent": {
			c:       store.Checkpoint{LastSeq: 4, At: ago(2 * quiet)},
			arrived: [][2]int64{{1, 4}, {8, 9}}, state: Missing, open: true, missing: [][2]int64{{5, 7}}, lost: 3,
		},
		"what arrived later hides nothing": {
			c:       store.Checkpoint{LastSeq: 5, At: ago(time.Second)},
			arrived: [][2]int64{{1, 3}, {5, 99}}, state: Missing, open: true, missing: [][2]int64{{4, 4}}, lost: 1,
		},
		"it went on after its last word": {c: store.Checkpoint{LastSeq: 5, Final: true}, arrived: [][2]int64{{1, 6}}, state: Unknown, open: true},
		"dropped ranges say why": {
			c: store.Checkpoint{LastSeq: 9, Final: true, Dropped: dropped}, arrived: [][2]int64{{1, 2}, {5, 5}, {8, 8}},
			state: Missing, missing: [][2]int64{{9, 9}}, lost: 1, dropped: 4,
		},
		"only dropped": {c: store.Checkpoint{LastSeq: 7, Final: true, Dropped: dropped}, arrived: [][2]int64{{1, 2}, {5, 5}}, state: Missing, dropped: 4},
	} {
		if tc.c.At == 0 {
			tc.c.At = ago(time.Second)
		}
		tc.c.Arrivals(tc.arrived)
		o := observe(tc.c, now)
		assert.Equal(t, tc.state, o.State, name)
		assert.Equal(t, tc.missing, o.MissingRanges, name)
		assert.Equal(t, tc.lost, o.MissingCount, name)
		assert.Equal(t, tc.dropped, o.DroppedCount, name)
		assert.Equal(t, tc.open, o.OpenSince != 0, name)
	}
}

func TestTheWorstStateHolds(t *testing.T) {
	whole := store.Checkpoint{Final: true, At: ago(time.Hour)}
	early, late := store.Checkpoint{At: ago(10 * time.Second)}, store.Checkpoint{At: ago(time.Second)}
	lost := store.Checkpoint{LastSeq: 1, Final: true, At: 1, Gaps: [][2]int64{{1, 1}}}
	never := store.Checkpoint{Arrived: 1, Highest: 1}
	for _, tc := range []struct {
		list  []store.Checkpoint
		state State
		upTo  int64
	}{
		{nil, Unknown, 0},
		{[]store.Checkpoint{whole}, Complete, 0},
		{[]store.Checkpoint{whole, late, early}, Unknown, early.At},
		{[]store.Checkpoint{late, never}, Unknown, 0},
		{[]store.Checkpoint{late, lost}, Missing, 0},
	} {
		a := Compare(tc.list, RunsInView{}, now)
		assert.Equal(t, tc.state, a.State)
		assert.Equal(t, tc.upTo, a.UpTo)
	}
}

// onScheduler is the checkpoint of an observer of a scheduler at which workers are seen.
func onScheduler(at int64, final bool, workers ...any) store.Checkpoint {
	return store.Checkpoint{Observer: "scheduler", At: at, Final: final, Record: map[string]any{
		"witness": map[string]any{"scheduler": "S", "workers": workers},
	}}
}

func seenWorker(address string, finished, since, left int64) map[string]any {
	return map[string]any{"address": address, "finished": finished, "since": since, "left": left}
}

func onWorker(address string, at, finished int64, final bool) store.Checkpoint {
	return store.Checkpoint{Observer: address, At: at, Final: final, Finished: finished, Record: map[string]any{
		"witness": map[string]any{"scheduler": "S", "worker": address},
	}}
}

func TestDaskWitnesses(t *testing.T) {
	hour, just := ago(time.Hour), ago(time.Second)
	for name, tc := range map[string]struct {
		list            []store.Checkpoint
		tasks, workers  State
		expected, found int64
		names           string
	}{
		"all": {
			list:  []store.Checkpoint{onScheduler(just, true, seenWorker("a", 3, hour, just), seenWorker("b", 4, hour, 0)), onWorker("a", just, 3, true), onWorker("b", just, 5, false)},
			tasks: Complete, workers: Complete, expected: 7, found: 7,
		},
		"a surplus of one worker does not make up for another": {
			list:  []store.Checkpoint{onScheduler(hour, true, seenWorker("a", 3, hour, hour), seenWorker("b", 4, hour, hour)), onWorker("a", hour, 2, true), onWorker("b", hour, 9, true)},
			tasks: Missing, workers: Complete, expected: 7, found: 6, names: "a: 3 finished, 2 recorded",
		},
		"under way": {
			list:  []store.Checkpoint{onScheduler(just, false, seenWorker("a", 3, hour, 0)), onWorker("a", ago(5*time.Second), 2, false)},
			tasks: Unknown, workers: Complete, expected: 3, found: 2,
		},
		"the worker wrote later and told less": {
			list:  []store.Checkpoint{onScheduler(ago(8*time.Second), false, seenWorker("a", 3, hour, 0)), onWorker("a", just, 2, false)},
			tasks: Missing, workers: Complete, expected: 3, found: 2, names: "a: 3 finished",
		},
		"the worker was killed": {
			list:  []store.Checkpoint{onScheduler(just, false, seenWorker("a", 3, hour, hour)), onWorker("a", hour, 2, false)},
			tasks: Missing, workers: Complete, expected: 3, found: 2, names: "the worker is gone",
		},
		"the worker was killed, and the cluster closed just now": {
			list:  []store.Checkpoint{onScheduler(just, true, seenWorker("a", 3, hour, hour)), onWorker("a", hour, 2, false)},
			tasks: Missing, workers: Complete, expected: 3, found: 2, names: "the worker is gone",
		},
		"the worker was killed just now": {
			list:  []store.Checkpoint{onScheduler(just, false, seenWorker("a", 3, hour, just)), onWorker("a", hour, 2, false)},
			tasks: Unknown, workers: Complete, expected: 3, found: 2,
		},
		"a worker is not observed": {
			list:  []store.Checkpoint{onScheduler(just, false, seenWorker("a", 3, hour, 0), seenWorker("b", 0, hour, 0)), onWorker("a", just, 3, false)},
			tasks: Complete, workers: Missing, expected: 3, found: 3,
		},
		"a worker is too new": {
			list:  []store.Checkpoint{onScheduler(just, false, seenWorker("b", 0, just, 0))},
			tasks: Complete, workers: Unknown,
		},
		"a worker that left before it did anything": {
			list:  []store.Checkpoint{onScheduler(just, false, seenWorker("b", 0, hour, hour))},
			tasks: Complete, workers: Complete,
		},
		"observers one after the other": {
			list:  []store.Checkpoint{onScheduler(hour, true, seenWorker("a", 3, hour, 0)), onScheduler(just, true, seenWorker("a", 2, hour, 0)), onWorker("a", hour, 3, true), onWorker("a", just, 1, true)},
			tasks: Missing, workers: Complete, expected: 5, found: 4,
		},
	} {
		a := Compare(tc.list, RunsInView{}, now)
		assert.Len(t, a.Witnesses, 2, name)
		tasks, workers := a.Witnesses[0], a.Witnesses[1]
		assert.Equal(t, []any{tc.tasks, tc.workers, tc.expected, tc.found}, []any{tasks.State, workers.State, tasks.Expected, tasks.Found}, name)
		assert.Contains(t, tasks.Detail, tc.names, name)
		if tc.workers == Missing {
			assert.Equal(t, "not observed: b", workers.Detail)
			assert.Equal(t, Missing, a.State)
		}
	}
}

func TestLogWitnesses(t *testing.T) {
	logs := func(final bool, m map[string]any) []Witness {
		return Compare([]store.Checkpoint{{Final: final, At: 1, Record: map[string]any{"witness": map[string]any{"logs": []any{m}}}}}, RunsInView{}, now).Witnesses
	}
	read := map[string]any{"path": "/run.log", "size": int64(90), "read": int64(90), "entries": int64(3), "matched": int64(2), "ignored": int64(1)}
	for _, w := range logs(true, read) {
		assert.Equal(t, Complete, w.State)
	}
	read["read"], read["unmatched"], read["unusable"], read["unusable_rule"] = int64(80), int64(1), int64(1), "saved"
	open, ended := logs(false, read), logs(true, read)
	assert.Equal(t, []State{Unknown, Missing, Missing, Missing}, []State{open[0].State, open[1].State, ended[0].State, ended[1].State})
	assert.EqualValues(t, 1, ended[1].Found)
	assert.Contains(t, ended[1].Detail, `rule "saved"`)
}

// Of few runs it is said which one is not there, or lacks something; the observer is named always.
func TestMLflowRunsAreNamed(t *testing.T) {
	each := map[string]any{"a": []any{int64(2), int64(3)}, "b": []any{int64(2), int64(3)}}
	list := []store.Checkpoint{{Observer: "mlflow-1", Host: "node-1", Final: true, At: 1, Record: map[string]any{"witness": map[string]any{
		"mlflow": map[string]any{"database": "/mlflow.db", "runs": int64(2), "used": int64(4), "generated": int64(6), "each": each},
	}}}}
	missing := func(view RunsInView) (out []string) {
		for _, w := range Compare(list, view, now).Witnesses {
			if w.State == Missing {
				out = append(out, w.Detail)
			}
		}
		return out
	}
	assert.Empty(t, missing(RunsInView{Runs: 2, Used: 4, Generated: 6, Each: map[string][2]int64{"a": {2, 3}, "b": {2, 3}}}))
	assert.Equal(t, []string{"observer mlflow-1 on node-1; run b is not in the view"},
		missing(RunsInView{Runs: 1, Used: 2, Generated: 3, Each: map[string][2]int64{"a": {2, 3}}}))
	assert.Equal(t, []string{"observer mlflow-1 on node-1; run a has 2 and 1 of 2 and 3"},
		missing(RunsInView{Runs: 2, Used: 4, Generated: 4, Each: map[string][2]int64{"a": {2, 1}, "b": {2, 3}}}))
	delete(list[0].Record["witness"].(map[string]any)["mlflow"].(map[string]any), "each")
	assert.Equal(t, []string{"observer mlflow-1 on node-1"}, missing(RunsInView{Runs: 1, Used: 2, Generated: 3, Each: map[string][2]int64{"a": {2, 3}}}))
}

// TestMLflowDatabaseReadTwice: observers that come one after the other each read the whole database.
func TestMLflowDatabaseReadTwice(t *testing.T) {
	of := func(observer, host string, runs int64) store.Checkpoint {
		return store.Checkpoint{Observer: observer, Host: host, Final: true, At: runs, Record: map[string]any{"witness": map[string]any{
			"mlflow": map[string]any{"database": "/mlflow.db", "counted": runs, "read": runs, "runs": runs, "used": 2 * runs, "generated": 3 * runs},
		}}}
	}
	states := func(list []store.Checkpoint, view RunsInView) (out []State) {
		for _, w := range mlflow(list, view) {
			out = append(out, w.State)
		}
		return out
	}
	list := []store.Checkpoint{of("first", "node-1", 5), of("second", "node-1", 10), of("third", "node-1", 7)}
	assert.EqualValues(t, 10, Runs(list))
	view := RunsInView{Runs: 10, Used: 20, Generated: 30}
	assert.Equal(t, []State{Complete, Complete, Complete, Complete, Complete, Complete}, states(list, view))
	view.Runs = 9
	assert.Contains(t, states(list, view), Missing)
	list = append(list, of("other", "node-2", 3)) // of that name on another host: another database
	view.Runs = 10
	assert.Contains(t, states(list, view), Missing)
	assert.EqualValues(t, 13, Runs(list))
}

func TestMLflowWitnesses(t *testing.T) {
	c := func(final bool, counted int64) []store.Checkpoint {
		return []store.Checkpoint{{Final: final, At: 1, Record: map[string]any{"witness": map[string]any{"mlflow": map[string]any{
			"database": "/mlflow.db", "counted": counted, "read": int64(4), "runs": int64(3), "used": int64(6), "generated": int64(9),
		}}}}}
	}
	assert.EqualValues(t, 3, Runs(c(true, 4)))
	for name, tc := range map[string]struct {
		list   []store.Checkpoint
		view   RunsInView
		states []State
	}{
		"all, and more of another database":  {c(true, 4), RunsInView{Runs: 5, Used: 9, Generated: 99}, []State{Complete, Complete, Complete, Complete}},
		"a run in the database was not read": {c(true, 5), RunsInView{Runs: 3, Used: 6, Generated: 9}, []State{Missing, Complete, Complete, Complete}},
		"it may be read yet":                 {c(false, 5), RunsInView{Runs: 3, Used: 6, Generated: 9}, []State{Unknown, Complete, Complete, Complete}},
		"a run is not in the view":           {c(false, 4), RunsInView{Runs: 2, Used: 6, Generated: 9}, []State{Complete, Missing}},
		"it was assigned":                    {c(false, 4), RunsInView{Runs: 2, Elsewhere: 1, Used: 6, Generated: 9}, []State{Complete, Unknown}},
		"a metric is not in the view":        {c(true, 4), RunsInView{Runs: 3, Used: 6, Generated: 8}, []State{Complete, Complete, Complete, Missing}},
		"too many to count":                  {c(true, 4), RunsInView{Runs: 3, Used: -1, Generated: -1}, []State{Complete, Complete}},
	} {
		var states []State
		for _, w := range Compare(tc.list, tc.view, now).Witnesses {
			states = append(states, w.State)
		}
		assert.Equal(t, tc.states, states, name)
	}
}
