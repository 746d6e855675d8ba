package tasklogreceiver

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
)

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
