package tasklogreceiver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/rules"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadata"
)

// roster is an extension that knows the observers.
type roster struct {
	component.StartFunc
	component.ShutdownFunc
	control.Book
}

// A receiver tells what it saw while it reads, and nothing once it has ended.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(dir)
	cfg.RulesFile, cfg.Campaign = "", "c"
	cfg.Spec = rules.Spec{Rules: []rules.Rule{{Name: "an image", Match: "image {n:int} saved", WholeTask: "image", Task: "{n}"}}}
	cfg.Include = append(cfg.Include, filepath.Join(dir, "none", "*.log"))
	h := withStorage(t, t.TempDir())
	known := &roster{}
	h.extensions[component.MustNewID("taskquery")] = known
	r, err := NewFactory().CreateLogs(t.Context(), receivertest.NewNopSettings(metadata.Type), cfg, new(consumertest.LogsSink))
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), h))

	const lines = 2000
	path := filepath.Join(dir, "a.log")
	var writing sync.WaitGroup
	writing.Go(func() {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if !assert.NoError(t, err) {
			return
		}
		defer f.Close()
		for i := range lines {
			fmt.Fprintf(f, "image %d saved\n", i)
			if i%500 == 0 {
				fmt.Fprintf(f, "image %d saved with password=hunter2222\n", i)
			}
		}
	})
	saw := func() (p control.Part, n int64) {
		for _, part := range known.Reports()[0].Parts {
			for _, c := range part.Saw {
				if part.What == path && c.What == "entries" {
					return part, c.N
				}
			}
		}
		return p, 0
	}
	require.Eventually(t, func() bool { _, n := saw(); return n == lines+4 }, patience, time.Millisecond)
	writing.Wait()
	rep := known.Reports()[0]
	assert.Equal(t, "c", rep.Campaign)
	assert.Contains(t, rep.Places, filepath.Join(dir, "*.log"))
	part, _ := saw()
	assert.Equal(t, control.Reached, part.State)
	assert.Equal(t, []control.Count{{What: "no rule is for them", N: 4}}, part.Dropped)
	assert.Contains(t, part.Problem, "no rule is for 4 of its 2004 entries")
	require.Len(t, part.Lines, 3)
	assert.Contains(t, part.Lines[0].Text, "image 0 saved with")
	assert.NotContains(t, part.Lines[0].Text, "hunter2222")
	assert.Contains(t, part.Lines[0].Why, `"an image" fits up to`)
	last := rep.Parts[len(rep.Parts)-1]
	assert.Equal(t, control.Waiting, last.State)
	assert.Contains(t, last.Problem, "the directory "+dir+"/none does not exist")
	require.NoError(t, r.Shutdown(context.Background()))
	assert.Empty(t, known.Reports())
}

func TestWhyAPatternLeadsNowhere(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x\n"), 0o600))
	}
	write("logs/run.txt")
	write("empty/deep/x")
	require.NoError(t, os.Remove(filepath.Join(dir, "empty/deep/x")))
	for glob, want := range map[string]string{
		"lgos/*.log":       "did you mean " + dir + "/logs?",
		"logs/*.log":       `"*.log" matches no file; in ` + dir + `/logs there is run.txt: correct the pattern, such as "` + dir + `/logs/*.txt"`,
		"logs/rum.txt":     "does not exist: did you mean " + dir + "/logs/run.txt?",
		"empty/deep/*.log": "holds none yet",
		"a/b/c/**/*.log":   "the directory " + dir + "/a does not exist; correct the path",
	} {
		part := checkGlob(filepath.Join(dir, glob))
		require.NotNil(t, part, glob)
		assert.Contains(t, part.Problem, want, glob)
		assert.Equal(t, control.Waiting, part.State, "it may still come")
	}
	assert.Nil(t, checkGlob(filepath.Join(dir, "**", "*.txt")))
}

func TestClocks(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		entry, written time.Duration // before now
		looks          int
		want           string
	}{
		"in step":               {time.Second, 0, 3, ""},
		"a slow script":         {10 * time.Minute, 0, 3, ""},
		"an hour ahead":         {-time.Hour, 0, 1, "1h0m0s ahead of this machine's clock"},
		"days ahead":            {-72 * time.Hour, 0, 1, "72h0m0s ahead"},
		"two hours behind":      {2 * time.Hour, 0, 2, "2h0m0s behind this machine's clock: if they are of another time zone, set timezone:"},
		"behind, seen once":     {2 * time.Hour, 0, 1, ""},
		"of yesterday":          {24*time.Hour + time.Hour, 24 * time.Hour, 3, ""},
		"copied now, from then": {500 * time.Hour, 0, 3, ""},
		"no full quarter":       {2*time.Hour + 7*time.Minute, 0, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var d doctor
			said := ""
			for range c.looks {
				said += d.compare("a.log", now.Add(-c.entry), now.Add(-c.written), now)
			}
			if c.want == "" {
				assert.Empty(t, said)
				return
			}
			assert.Contains(t, said, c.want)
			assert.Empty(t, d.compare("a.log", now.Add(-c.entry), now.Add(-c.written), now), "once")
			d.compare("a.log", now, now, now)
			assert.Empty(t, d.clock, "mended")
		})
	}
}
