package report

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func (c *campaign) origins(filter, against map[string]any, change ...func(*OriginOptions)) *Origins {
	c.t.Helper()
	parse := func(m map[string]any) query.Filter {
		if m == nil {
			return nil
		}
		f, err := query.ParseFilter(m)
		require.NoError(c.t, err)
		return f
	}
	o := OriginOptions{Filter: parse(filter), Against: parse(against), Limit: DefaultOrigins}
	for _, f := range change {
		f(&o)
	}
	found, err := FindOrigins(c.t.Context(), c.store, o)
	require.NoError(c.t, err)
	return found
}

func outOfMemory(e *task.Event) {
	e.Name, e.Status = task.EventFailed, task.StatusFailed
	e.Attributes["exception.type"], e.Attributes["exception.message"] = "MemoryError", "no more"
}

func TestOrigins(t *testing.T) {
	c := life(t)
	c.run(work{
		key: "big", activity: "fit_net", workflow: "search", reads: []string{"clean.csv", "old.csv", "m1.pkl", "grid.json"},
		used: map[string]any{"layers": int64(99)}, change: outOfMemory,
	})
	found := c.origins(map[string]any{"error.type": "out_of_memory"}, nil)
	assert.Equal(t, []string{
		"id", "task_id", "activity_id", "status", "error.type", "error.message", "used.layers", "dataset", "dataset.rows", "through",
		"through.clean.threshold", "raw", "raw.activity_id", "raw.id", "raw.task_id", "raw.used.gain", "raw.used.mode",
	}, found.Columns)
	assert.Equal(t, map[string]*Group{GroupFilter: {Total: 1, Tasks: 1}}, found.Groups)
	assert.Empty(t, found.Warnings)
	assert.Nil(t, found.Contrast)
	require.Len(t, found.Rows, 3, "neither the model nor the settings are data")
	for i, want := range []map[string]any{
		{"dataset": "clean.csv", "dataset.rows": int64(7), "through": "clean", "through.clean.threshold": 0.2, "raw": "scan1.tif", "raw.used.gain": 1.5},
		{"dataset": "clean.csv", "dataset.rows": int64(7), "through": "clean", "through.clean.threshold": 0.2, "raw": "scan2.tif", "raw.used.gain": 2.5},
		{"dataset": "old.csv", "raw": "old.csv"}, // nobody made it
	} {
		got := found.Rows[i]
		for _, mine := range []string{"id", "raw.id"} {
			delete(got, mine)
		}
		want["task_id"], want["activity_id"], want["status"], want["used.layers"] = "big", "fit_net", "FAILED", int64(99)
		want["error.type"], want["error.message"] = "out_of_memory", "no more"
		if want["raw.used.gain"] != nil {
			want["raw.activity_id"], want["raw.task_id"], want["raw.used.mode"] = "scan", fmt.Sprintf("s%d", i+1), "fast"
		}
		assert.Equal(t, want, got)
	}
}

func TestOriginsOfResultsThatNoFileHeld(t *testing.T) {
	c := newCampaign(t)
	c.run(
		work{key: "load", activity: "load", workflow: "w", used: map[string]any{"detector": "B"}, generated: map[string]any{"rows": int64(3)}},
		work{key: "crop", activity: "crop", workflow: "w", after: []string{"load"}, used: map[string]any{"by": int64(2)}, generated: map[string]any{"rows": int64(2)}},
		work{key: "fit", activity: "fit", workflow: "w", after: []string{"crop"}, used: map[string]any{"layers": int64(1)}},
		work{key: "alone", activity: "fit", workflow: "w", used: map[string]any{"layers": int64(2)}},
	)
	found := c.origins(map[string]any{"activity_id": "fit"}, nil)
	require.Len(t, found.Rows, 2, "also one of which no data are known")
	byTask := map[any]map[string]any{}
	for _, row := range found.Rows {
		byTask[row["task_id"]] = row
	}
	fit := byTask["fit"]
	assert.Equal(t, "the result of crop", fit["dataset"])
	assert.Equal(t, int64(2), fit["dataset.rows"])
	assert.Equal(t, []any{"crop", int64(2)}, []any{fit["through"], fit["through.crop.by"]})
	assert.Equal(t, []any{"the result of load", "B", int64(3)}, []any{fit["raw"], fit["raw.used.detector"], fit["raw.generated.rows"]})
	assert.NotContains(t, byTask["alone"], "raw")
}

func TestWhatTellsTasksApart(t *testing.T) {
	c := newCampaign(t)
	for i := range 12 {
		gain, key := float64(i%4), fmt.Sprint(i)
		c.run(work{key: "scan" + key, activity: "scan", workflow: "w", used: map[string]any{"gain": gain, "mode": "fast"}, writes: []string{key + ".tif"}})
		train := work{
			key: "fit" + key, activity: "fit", workflow: "w", reads: []string{key + ".tif"},
			used: map[string]any{"layers": int64(i), "optimizer": []string{"adam", "newton"}[i%2]},
		}
		if gain == 3 {
			train.change = outOfMemory
		}
		c.run(train)
	}
	elapsed, err := query.LookupField("fields", "elapsed")
	require.NoError(t, err)
	found := c.origins(map[string]any{"error.type": "out_of_memory"}, map[string]any{"activity_id": "fit"}, func(o *OriginOptions) { o.Fields = []query.Field{elapsed} })
	assert.Equal(t, map[string]*Group{GroupFilter: {Total: 3, Tasks: 3}, GroupAgainst: {Total: 12, Tasks: 9}}, found.Groups)
	assert.Contains(t, found.Warnings, "3 tasks match both filters; they count to the first")
	assert.Equal(t, []string{"group", "id"}, found.Columns[:2])
	by := map[string]Difference{}
	for _, d := range found.Contrast.Columns {
		by[d.X] = d
	}
	gain := by["raw.used.gain"]
	require.NotNil(t, gain.Value)
	assert.Equal(t, "raw.used.gain", found.Contrast.Columns[0].X, "the clearest comes first")
	assert.Equal(t, int64(12), gain.N)
	assert.Equal(t, []any{3.0, 3.0, 3}, []any{gain.Filter.Min.V, gain.Filter.Max.V, gain.Filter.Tasks})
	assert.Equal(t, []any{0.0, 2.0, 9}, []any{gain.Against.Min.V, gain.Against.Max.V, gain.Against.Tasks})
	assert.Less(t, *gain.Q, 0.05)
	assert.Equal(t, "eta", string(by["used.optimizer"].Statistic))
	assert.Greater(t, *by["used.layers"].P, 0.05)
	assert.Equal(t, "raw.used.mode is constant among these tasks", by["raw.used.mode"].Reason)
	assert.Contains(t, by["raw"].Reason, "names rather than groups")
	assert.NotContains(t, by, "task_id")
	assert.NotContains(t, by, "error.type", "that is the question")
	assert.Equal(t, "elapsed is constant among these tasks", by["elapsed"].Reason)

	none := c.origins(map[string]any{"activity_id": "nothing"}, map[string]any{"activity_id": "nor this"})
	assert.Empty(t, none.Rows)
	assert.Empty(t, none.Contrast.Columns)
}

func TestOriginsAreBounded(t *testing.T) {
	c := life(t)
	few := func(o *OriginOptions) { o.Limit, o.MaxTasks = 1, 2 }
	found := c.origins(map[string]any{"activity_id": "fit_net"}, nil, few)
	assert.Equal(t, &Group{Total: 2, Tasks: 1}, found.Groups[GroupFilter])
	require.Len(t, found.Warnings, 2)
	assert.Contains(t, found.Warnings[0], "1 of 2 tasks")
	assert.Contains(t, found.Warnings[1], "more than 2 tasks")
}

func TestAFileThatATaskWasOnlyToWrite(t *testing.T) {
	c := newCampaign(t)
	names := func(role task.Role, field, file string) func(*task.Event) {
		return func(e *task.Event) {
			claim := c.claim(role, file, 0)
			claim.Field = field
			e.Claims = append(e.Claims, claim)
		}
	}
	fit := func(key, out string, fails bool) work {
		return work{
			key: key, activity: "fit", workflow: "w", reads: []string{"a.csv"}, used: map[string]any{"layers": int64(2)},
			change: func(e *task.Event) {
				names(task.Used, "used.out", out)(e)
				names(task.Used, "used.weights", "start.npy")(e)
				if fails {
					outOfMemory(e)
				} else {
					names(task.Generated, "generated.out", out)(e)
				}
			},
		}
	}
	c.run(fit("good", "m1.npy", false), fit("bad", "m1.npy", true), fit("worse", "m3.npy", true))
	for _, key := range []string{"bad", "worse"} {
		var sets []any
		for _, row := range c.origins(map[string]any{"task_id": key}, nil).Rows {
			sets = append(sets, row["dataset"])
		}
		assert.Equal(t, []any{"a.csv", "start.npy"}, sets, "%s: what it was to write is no data, also where an earlier task wrote it", key)
		o := c.report("elapsed", func(o *Options) { o.Filter = map[string]any{"task_id": key} }).Results[0]
		require.Len(t, o.Training[0].Datasets, 2)
	}
}
