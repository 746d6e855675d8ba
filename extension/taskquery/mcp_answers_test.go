package taskquery

import (
	"bytes"
	pixels "image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/report"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// A picture is worth nothing to a reader of text, and would push out everything else.
func TestReportToolNamesPictures(t *testing.T) {
	dir := t.TempDir()
	noise := pixels.NewGray(pixels.Rect(0, 0, 300, 300))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(rand.Uint32())
	}
	var plot bytes.Buffer
	require.NoError(t, png.Encode(&plot, noise))
	require.Greater(t, plot.Len(), maxToolAnswer)
	a := start(t, func(c *Config) { c.Report.ReadFiles = []string{dir} })
	for i, name := range []string{"first", "second", "third"} {
		path := filepath.Join(dir, name+".png")
		require.NoError(t, os.WriteFile(path, plot.Bytes(), 0o600))
		a.stores.load(t, event(name, func(e *task.Event) {
			e.Generated = map[string]any{"loss": float64(i), "path": path}
			e.Claims = []task.Claim{fileClaim(t, task.Generated, path)}
		}))
	}
	got, texts := tell(t, a.assistant(), "report", args{"metric": "generated.loss"})
	assert.Equal(t, false, got["truncated"], "%v", got["cut"])
	whole := strings.Join(texts, "\n")
	for _, name := range []string{"first", "second", "third"} {
		assert.Contains(t, whole, name+".png (image/png, ")
	}
	assert.NotContains(t, whole, "base64")
}

func TestReportToolShowsAllResults(t *testing.T) {
	links := make([]report.Link, 60)
	for i := range links {
		links[i].Entity = "file:" + strings.Repeat("x", 400)
	}
	found := &report.Report{}
	for rank := 1; rank <= 3; rank++ {
		found.Results = append(found.Results, &report.Result{Rank: rank, Task: report.Task{TaskID: "t"}, Lineage: report.Lineage{Links: links}})
	}
	page, cut := fitReport(found, maxToolAnswer)
	assert.Contains(t, page, "## 3. ")
	assert.NotContains(t, page, "### Lineage")
	assert.Contains(t, cut, "Set k to 1")
	found.Results = found.Results[:1]
	page, cut = fitReport(found, maxToolAnswer)
	assert.Contains(t, page, "### Lineage")
	assert.Empty(t, cut)
	page, cut = fitReport(found, 200)
	assert.Less(t, len(page), 200)
	assert.Contains(t, cut, "KiB shown")
}

func TestFieldsTool(t *testing.T) {
	a := start(t)
	packages := map[string]any{}
	for _, name := range []string{"numpy", "dask", "scipy"} {
		packages[name] = "1.0"
	}
	a.stores.load(t,
		&task.Event{
			Name: task.EventEnvironment, Time: 1, Kind: "test", Attempt: task.NoAttempt, Environment: "d1",
			Record: map[string]any{"packages": packages, "cwd": "/here"},
		},
		event("train", func(e *task.Event) {
			e.Environment, e.Used, e.Generated = "d1", map[string]any{"layers": int64(2)}, map[string]any{"loss": 0.5}
			e.Attributes["user.name"] = "ada"
		}),
	)
	session := a.assistant()
	got, _ := tell(t, session, "fields", nil)
	names := namesOf(got)
	assert.Equal(t, []string{"used.layers", "generated.loss"}, names[:2], "what questions are about comes first")
	assert.Contains(t, names, "environment.cwd")
	assert.NotContains(t, names, "environment.packages.numpy")
	assert.Equal(t, int64(3), got["more_fields_below"].(map[string]any)["environment.packages"])
	activity := got["activities"].([]any)[0].(map[string]any)
	assert.Equal(t, "FINISHED", activity["status"])
	assert.Equal(t, int64(1), activity["tasks"])

	for _, below := range []string{"environment.packages", "environment.packages.*"} {
		got, _ = tell(t, session, "fields", args{"below": below})
		assert.ElementsMatch(t, []string{"environment.packages.numpy", "environment.packages.dask", "environment.packages.scipy"}, namesOf(got), below)
	}
	got, _ = tell(t, session, "fields", args{"below": "environment.pack"})
	assert.Empty(t, got["fields"])
	assert.Contains(t, got["hint"], "environment.pack")
	got, _ = tell(t, session, "fields", args{"filter": args{"status": "FAILED"}})
	assert.Empty(t, got["activities"])
}

func namesOf(answer map[string]any) []string {
	var names []string
	for _, f := range answer["fields"].([]any) {
		names = append(names, f.(map[string]any)["name"].(string))
	}
	return names
}

func TestQueryToolHelpsWhereNothingMatches(t *testing.T) {
	a := start(t)
	loadEverything(a)
	session := a.assistant()
	got, _ := tell(t, session, "query", args{"filter": args{"activity_id": "trian"}})
	assert.Contains(t, got["hint"], `"fields"`)
	got, _ = tell(t, session, "query", args{"filter": args{"activity_id": "train"}})
	assert.NotContains(t, got, "hint")
}
