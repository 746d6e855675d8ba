package daskreceiver

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// eventually waits with the test's patience.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, tick, what)
}

// segments are the journal files that were not removed yet.
func segments(t *testing.T, directory string) []string {
	var names []string
	err := filepath.WalkDir(directory, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name()[0] != '.' {
			names = append(names, filepath.Base(path))
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	require.NoError(t, err)
	return names
}

// equal compares what was delivered with what the script says it did.
func equal(t *testing.T, want map[string]truth, got map[string]*task.Document) {
	t.Helper()
	for key, w := range want {
		d, ok := got[key]
		if !assert.True(t, ok, "task %s is missing", key) {
			continue
		}
		assert.Equal(t, w.Activity, d.ActivityID, key)
		assert.Equal(t, w.Used, d.Used, key)
		if w.Error != "" {
			assert.Equal(t, task.StatusFailed, d.Status, key)
			continue
		}
		assert.Equal(t, task.StatusFinished, d.Status, key)
		assert.Equal(t, w.Generated, d.Generated, key)
		assert.Equal(t, "campaign of the test", d.CampaignID, key)
		assert.True(t, d.SubmittedAt > 0 && d.SubmittedAt <= d.StartedAt+int64(5e9) && d.StartedAt <= d.EndedAt, key)
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("task %s was never called", key)
		}
	}
}

// finals counts the observers that said their last word.
func (r *running) finals() int {
	n := 0
	for _, e := range r.events() {
		record, _ := e.Record.(map[string]any)
		if final, _ := record["final"].(bool); e.Name == task.EventCheckpoint && final {
			n++
			assert.Empty(r.t, record["dropped"])
			assert.Empty(r.t, record["errors"])
		}
	}
	return n
}

func TestPreloadedCluster(t *testing.T) {
	source, err := filepath.Abs(filepath.Join("..", "..", "python"))
	require.NoError(t, err)
	for version, python := range interpreters(t) {
		t.Run(version, func(t *testing.T) {
			var directory string
			r := startReceiver(t, func(c *Config) { directory = c.Journal.Directory; c.Campaign = "campaign of the test" })
			c := startCluster(t, python, 0, "MIDA_JOURNAL_DIR="+directory, "PYTHONPATH="+source,
				"DASK_DISTRIBUTED__SCHEDULER__PRELOAD=mida.dask_preload")
			want := c.run(500)
			c.stop()
			eventually(t, "everything is read", func() bool { return r.finals() == 3 && len(segments(t, directory)) == 0 })
			equal(t, want, r.documents())
			lag, err := r.tel.GetMetric("otelcol_receiver_dask_journal_lag")
			require.NoError(t, err)
			require.NotNil(t, lag)
			_, err = r.tel.GetMetric("otelcol_receiver_dask_journal_faults")
			assert.Error(t, err, "no faults were counted")
		})
	}
}

// attachedTo waits until scheduler and workers carry the plugin.
func (r *running) attachedTo(c *cluster) {
	r.t.Helper()
	var names [][]string
	eventually(r.t, "the plugin is everywhere", func() bool {
		names = c.plugins()
		return assert.ObjectsAreEqual([][]string{{"mida-scheduler"}, {"mida-worker"}, {"mida-worker"}}, names)
	})
}

func addressOf(port int) string { return fmt.Sprintf("tcp://127.0.0.1:%d", port) }

func TestAttachToARunningCluster(t *testing.T) {
	for version, python := range interpreters(t) {
		t.Run(version, func(t *testing.T) {
			port := freePort(t)
			var directory string
			r := startReceiver(t, func(c *Config) {
				directory = c.Journal.Directory
				c.Campaign = "campaign of the test"
				c.Schedulers = []string{addressOf(port)}
			})
			eventually(t, "it waits", func() bool { return r.logs.FilterMessageSnippet("no scheduler there yet").Len() == 1 })
			want := map[string]truth{}
			c := startCluster(t, python, port)
			r.attachedTo(c)
			maps.Copy(want, c.run(100))
			c.stop()
			eventually(t, "it waits again", func() bool { return r.logs.FilterMessageSnippet("the scheduler ended").Len() == 1 })
			c = startCluster(t, python, port)
			r.attachedTo(c)
			maps.Copy(want, c.run(100))
			r.shutdown()
			assert.Equal(t, [][]string{{}, {}, {}}, c.plugins(), "nothing of ours stays")
			assert.Equal(t, 6, r.finals(), "the last words of the observers were read")
			assert.Empty(t, segments(t, directory))
			c.run(5) // nobody observes
			c.stop()
			equal(t, want, r.documents())
		})
	}
}
