package report

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/artifact"
	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/store/sqlite"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// campaign is a real store with tasks of which each starts ten seconds after the one before, in a directory of files.
type campaign struct {
	t     *testing.T
	store *sqlite.Store
	dir   string
	clock int64
	batch []*task.Event
}

func newCampaign(t *testing.T) *campaign {
	t.Helper()
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(t.TempDir(), "mida.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.Background())) })
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return &campaign{t: t, store: st, dir: dir, clock: 1_700_000_000}
}

// work is a task: what it was given and made, and the files that it read and wrote.
type work struct {
	key, activity, workflow string
	used, generated         map[string]any
	reads, writes           []string
	after                   []string // keys of tasks whose results were handed to it
	change                  func(*task.Event)
}

func (c *campaign) run(list ...work) {
	c.t.Helper()
	for _, w := range list {
		c.clock += 10
		e := &task.Event{
			Name: task.EventFinished, Time: c.clock * 1e9, Kind: "test", Scope: "s", Key: w.key, Attempt: task.NoAttempt, Facet: "worker",
			Status: task.StatusFinished, Campaign: "c", WorkflowID: w.workflow, WorkflowName: w.workflow, Activity: w.activity,
			StartedAt: c.clock * 1e9, EndedAt: (c.clock + 5) * 1e9, Used: w.used, Generated: w.generated, Attributes: map[string]any{},
		}
		for _, f := range w.reads {
			e.Claims = append(e.Claims, c.claim(task.Used, f, 0))
		}
		for _, f := range w.writes {
			e.Claims = append(e.Claims, c.claim(task.Generated, f, (c.clock+4)*1e9))
		}
		for _, k := range w.after {
			e.Dependencies = append(e.Dependencies, task.Ref{Kind: "test", Scope: "s", Key: k})
		}
		if w.change != nil {
			w.change(e)
		}
		c.batch = append(c.batch, e)
	}
	rejected, err := c.store.Write(context.Background(), c.batch)
	require.NoError(c.t, err)
	require.Empty(c.t, rejected)
	c.batch = nil
}

func (c *campaign) claim(role task.Role, name string, at int64) task.Claim {
	path := filepath.Join(c.dir, name)
	host, err := os.Hostname()
	require.NoError(c.t, err)
	e, ok := entity.Canonical("", path, &entity.PathInfo{Real: path, Rel: path}, entity.Where{Host: host})
	require.True(c.t, ok, name)
	return task.Claim{Role: role, Entity: e.ID, Time: at, Evidence: "path", Confidence: 0.9, Field: string(role) + "." + name, Label: name}
}

func (c *campaign) file(name, content string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(c.t, os.WriteFile(path, []byte(content), 0o600))
}

// report asks for the best by a metric.
func (c *campaign) report(metric string, change ...func(*Options)) *Report {
	c.t.Helper()
	files := artifact.NewReader([]artifact.Place{{Dir: c.dir}})
	c.t.Cleanup(func() { require.NoError(c.t, files.Close()) })
	o := Options{K: 3, Metric: metric, Order: "ascending", Files: files}
	for _, f := range change {
		f(&o)
	}
	r, _, _, err := Build(c.t.Context(), c.store, o)
	require.NoError(c.t, err)
	return r
}

func keysOf(steps []*Step) (out []string) {
	for _, s := range steps {
		out = append(out, s.Task.TaskID)
	}
	slices.Sort(out)
	return out
}

func namesOf(files []*File) (out []string) {
	for _, f := range files {
		out = append(out, f.Name)
	}
	return out
}

func factsOf(facts []Fact) map[string]any {
	out := map[string]any{}
	for _, f := range facts {
		out[f.Name] = f.Value.V
	}
	return out
}

// life is a campaign of other words than the example's: scans, a cleaning, fits, a shipment, scores.
func life(t *testing.T) *campaign {
	c := newCampaign(t)
	c.file("scan1.tif", "x")
	c.file("clean.csv", "a,b\n")
	c.run(
		work{key: "s1", activity: "scan", workflow: "scope", used: map[string]any{"gain": 1.5, "mode": "fast"}, writes: []string{"scan1.tif"}},
		work{key: "s2", activity: "scan", workflow: "scope", used: map[string]any{"gain": 2.5, "mode": "fast"}, writes: []string{"scan2.tif"}},
		work{key: "s3", activity: "scan", workflow: "scope", used: map[string]any{"gain": 3.5, "mode": "fast"}, writes: []string{"scan3.tif"}},
		work{
			key: "clean", activity: "clean", workflow: "prepare", used: map[string]any{"threshold": 0.2}, generated: map[string]any{"rows": int64(7)},
			reads: []string{"scan1.tif", "scan2.tif", "config.yaml"}, writes: []string{"clean.csv"},
		},
		work{
			key: "fit1", activity: "fit_net", workflow: "search", reads: []string{"clean.csv"}, writes: []string{"m1.pkl"},
			used: map[string]any{"layers": int64(2), "lr": 0.1, "val_split": 0.2, "out": "m1.pkl"}, generated: map[string]any{"val_loss": 0.3, "acc": 0.9},
		},
		work{
			key: "fit2", activity: "fit_net", workflow: "search", reads: []string{"clean.csv"}, writes: []string{"m2.pkl"},
			used: map[string]any{"layers": int64(3), "lr": 0.1}, generated: map[string]any{"val_loss": 0.5},
		},
		work{key: "ship", activity: "ship", workflow: "search", reads: []string{"m1.pkl"}, writes: []string{"best.pkl"}},
		work{
			key: "score", activity: "score", workflow: "check", reads: []string{"best.pkl", "scan3.tif"}, writes: []string{"roc.png"},
			generated: map[string]any{"error_rate": 0.07},
		},
	)
	return c
}

func TestTheLifeOfAResult(t *testing.T) {
	c := life(t)
	r := c.report("generated.error_rate")
	require.Len(t, r.Results, 1)
	o := r.Results[0]
	assert.Equal(t, "score", o.Task.TaskID)
	assert.Equal(t, 0.07, o.Value.V)
	require.Len(t, o.Training, 1)
	train := o.Training[0]
	assert.Equal(t, "fit1", train.Task.TaskID, "behind the shipment")
	assert.Equal(t, map[string]any{"layers": int64(2), "lr": 0.1}, factsOf(train.Hyperparameters), "neither a path nor the split")
	assert.Equal(t, map[string]any{"layers": int64(2)}, factsOf(train.Architecture))
	assert.Equal(t, map[string]any{"val_split": 0.2}, factsOf(train.Split))
	assert.Equal(t, map[string]any{"val_loss": 0.3, "acc": 0.9}, factsOf(train.Metrics))
	require.Len(t, train.Datasets, 1)
	assert.Equal(t, "clean.csv", train.Datasets[0].Name)
	assert.Equal(t, map[string]any{"rows": int64(7)}, factsOf(train.Datasets[0].Metadata))
	assert.Equal(t, int64(4), train.Datasets[0].Bytes.V)

	assert.Equal(t, []string{"ship"}, keysOf(o.Between))
	assert.Equal(t, []string{"m1.pkl", "best.pkl"}, namesOf(o.Models))
	assert.Equal(t, []string{"clean"}, keysOf(o.Transformations))
	assert.Equal(t, []string{"s1", "s2"}, keysOf(o.Raw.Makers))
	assert.Equal(t, []string{"scan1.tif", "scan2.tif"}, namesOf(o.Raw.Files))
	assert.Equal(t, "it is not there any more", o.Raw.Files[1].Unread)
	assert.Equal(t, []Range{
		{Activity: "scan", Name: "gain", Tasks: 2, Distinct: 2, Values: []Value{{1.5}, {2.5}}, Min: Value{1.5}, Max: Value{2.5}},
		{Activity: "scan", Name: "mode", Tasks: 2, Distinct: 1, Values: []Value{{"fast"}}},
	}, o.Raw.Space)
	assert.Equal(t, []string{"config.yaml"}, namesOf(o.Settings))
	assert.Equal(t, []string{"s3"}, keysOf(o.Evaluation.Made))
	assert.Equal(t, []string{"scan3.tif"}, namesOf(o.Evaluation.Files))
	assert.Empty(t, o.Evaluation.Overlap)
	assert.Empty(t, o.Earlier)

	require.Len(t, o.Plots, 1)
	assert.Equal(t, "roc.png", o.Plots[0].Name)
	assert.Equal(t, "it is not there any more", o.Plots[0].Unread, "named, not skipped")

	assert.Equal(t, 7, o.Lineage.Tasks)
	assert.Equal(t, Sum{Tasks: 7, Elapsed: Value{35.0}, WithoutCPU: 7, WithoutEnergy: 7}, o.Cost.Lineage)
	assert.Equal(t, Sum{Tasks: 1, Elapsed: Value{5.0}, WithoutCPU: 1, WithoutEnergy: 1}, o.Cost.Trials)
	assert.Equal(t, map[string]int{"fit_net": 1}, o.Cost.Of)
	assert.Contains(t, o.Reproduce.Missing,
		"search: not recorded: command, program, working directory, commit, changes that are not committed, Python, host, user, container, packages")
	assert.Contains(t, o.Reproduce.Missing, "scan2.tif: it is not there any more")
}

func TestATrainingThatIsRankedItself(t *testing.T) {
	c := life(t)
	r := c.report("generated.val_loss", func(o *Options) { o.Order = "descending"; o.K = 1 })
	require.Len(t, r.Results, 1)
	o := r.Results[0]
	assert.Equal(t, int64(2), r.Total)
	assert.Equal(t, "fit2", o.Training[0].Task.TaskID)
	assert.Nil(t, o.Evaluation)
	assert.Empty(t, o.Between)
	assert.Equal(t, []string{"m2.pkl"}, namesOf(o.Models), "nobody used it yet, and it is the result")
}

func TestWhoUsedTheModelOfATraining(t *testing.T) {
	c := life(t)
	o := c.report("generated.val_loss", func(o *Options) { o.K = 1 }).Results[0]
	assert.Equal(t, "fit1", o.Task.TaskID)
	assert.Equal(t, []string{"score", "ship"}, keysOf(o.Later), "also by a copy")
	require.Len(t, o.Plots, 1)
	assert.Equal(t, "roc.png", o.Plots[0].Name)
	assert.True(t, o.Plots[0].Later)
	assert.Equal(t, 4, o.Lineage.Tasks, "they are no part of where it came from")
	assert.Empty(t, c.report("generated.error_rate").Results[0].Later)
}

func TestATrainingThatRanOutOfMemory(t *testing.T) {
	c := life(t)
	c.run(work{
		key: "big", activity: "fit_net", workflow: "search", reads: []string{"clean.csv"}, used: map[string]any{"layers": int64(99)},
		change: func(e *task.Event) {
			e.Name, e.Status = task.EventFailed, task.StatusFailed
			e.Attributes["exception.type"], e.Attributes["exception.message"] = "MemoryError", "no more"
		},
	})
	o := c.report("elapsed", func(o *Options) { o.Filter = map[string]any{"error.type": "out_of_memory"} }).Results[0]
	require.Len(t, o.Training, 1)
	assert.Equal(t, "big", o.Training[0].Task.TaskID)
	assert.Equal(t, "out_of_memory: no more", o.Task.Error)
	assert.Equal(t, map[string]any{"rows": int64(7)}, factsOf(o.Training[0].Datasets[0].Metadata))
	assert.Equal(t, []string{"s1", "s2"}, keysOf(o.Raw.Makers))
	assert.Equal(t, "gain", o.Raw.Space[0].Name)
}

func TestATestThatTheTrainingHadSeen(t *testing.T) {
	c := life(t)
	c.run(work{key: "score2", activity: "score", workflow: "check", reads: []string{"m1.pkl", "scan2.tif"}, generated: map[string]any{"error": 0.01}})
	o := c.report("generated.error").Results[0]
	assert.Equal(t, []string{"scan2.tif"}, o.Evaluation.Overlap)
	assert.Contains(t, o.Evaluation.overlapText(o), "1 of these 1 files were used for the training, too: scan2.tif")
}

func TestWhatChoseIsNoData(t *testing.T) {
	c := life(t)
	run := task.Claim{Entity: "mlflow:run:0123456789abcdef0123456789abcdef", Evidence: "id", Confidence: 0.97}
	c.run(
		work{key: "first", activity: "judge", workflow: "check", reads: []string{"m2.pkl"}, change: func(e *task.Event) {
			made := run
			made.Role, made.Field = task.Generated, "generated.run_id"
			e.Claims = append(e.Claims, made)
		}},
		work{key: "s9", activity: "scan", workflow: "scope", used: map[string]any{"gain": 9.0}, writes: []string{"scan9.tif"}, change: func(e *task.Event) {
			used := run
			used.Role, used.Field = task.Used, "used.chosen_by"
			e.Claims = append(e.Claims, used)
		}},
		work{key: "clean9", activity: "clean", workflow: "prepare", reads: []string{"scan9.tif"}, writes: []string{"clean9.csv"}},
		work{
			key: "fit9", activity: "fit_net", workflow: "search9", reads: []string{"clean9.csv"}, writes: []string{"m9.pkl"},
			used: map[string]any{"lr": 0.1}, generated: map[string]any{"final": 1.0},
		},
	)
	o := c.report("generated.final").Results[0]
	assert.Equal(t, []string{"s9"}, keysOf(o.Raw.Makers), "chosen by a run, made of no data")
	assert.Equal(t, []string{"clean9"}, keysOf(o.Transformations))
	assert.Equal(t, []string{"clean", "first", "fit2", "s1", "s2"}, keysOf(o.Earlier))
	assert.Equal(t, "fit9", o.Training[0].Task.TaskID)
}

func TestConventionsAreExtended(t *testing.T) {
	c := newCampaign(t)
	c.run(
		work{
			key: "a", activity: "relax", workflow: "w", used: map[string]any{"basis": "sto-3g", "input": "start.xyz"},
			generated: map[string]any{"energy": -1.5}, writes: []string{"psi.wfn", "scratch.tmp"},
		},
		work{key: "b", activity: "judge", workflow: "w", reads: []string{"psi.wfn"}, generated: map[string]any{"score": 1.0}},
	)
	assert.Empty(t, c.report("generated.score").Results[0].Training)
	o := c.report("generated.score", func(o *Options) {
		o.Names = Conventions{
			Models: []string{"*.WFN"}, Architecture: []string{"basis"}, Metrics: []string{"*dice*"}, Hyperparameters: []string{"input"},
		}
	}).Results[0]
	require.Len(t, o.Training, 1)
	assert.Equal(t, map[string]any{"basis": "sto-3g", "input": "start.xyz"}, factsOf(o.Training[0].Hyperparameters))
	assert.Equal(t, map[string]any{"basis": "sto-3g"}, factsOf(o.Training[0].Architecture))
	assert.Equal(t, map[string]any{"accuracy": nil, "loss": nil, "*dice*": nil, "energy": -1.5}, factsOf(o.Training[0].Metrics))
	assert.Equal(t, []string{"psi.wfn"}, namesOf(o.Models))
}

func TestNothingIsLeftOutSilently(t *testing.T) {
	c := newCampaign(t)
	c.run(work{key: "alone", activity: "count", generated: map[string]any{"n": int64(3)}})
	r := c.report("generated.n")
	o := r.Results[0]
	for _, want := range []string{"a training", "plots", "raw inputs", "model files", "transformations between raw and training data"} {
		assert.Contains(t, o.NotRecorded, want)
	}
	assert.Contains(t, o.Reproduce.Missing, "no task of the lineage was recognised as the training")
	page, err := r.HTML()
	require.NoError(t, err)
	assert.Contains(t, string(page), "not recorded: no task of the lineage looks like a training")
	data, err := json.Marshal(o)
	require.NoError(t, err)
	assert.Contains(t, string(data), `"host":null`)
}

func TestEnvironmentAndTelemetry(t *testing.T) {
	c := newCampaign(t)
	c.batch = append(c.batch, &task.Event{
		Name: task.EventEnvironment, Time: 1, Kind: "test", Attempt: task.NoAttempt, Environment: "d1",
		Record: map[string]any{
			"python": map[string]any{"version": "3.12.1"}, "packages": map[string]any{"torch": "2.5"}, "argv": []any{"train.py", "--name", "two words"},
			"vcs": map[string]any{"commit": "abc", "dirty": true},
		},
	})
	c.run(work{
		key: "t", activity: "train", workflow: "w", used: map[string]any{"lr": 0.1, "seed": int64(7)}, generated: map[string]any{"loss": 0.5},
		change: func(e *task.Event) {
			e.Environment = "d1"
			e.Attributes = map[string]any{"host.name": "node-1", "user.name": "ada", task.AttrSite: "lab"}
			e.TelemetryPeak = map[string]any{"process.memory.usage": int64(1 << 30), "process.gpu.memory.usage": int64(2 << 30)}
			e.TelemetryDelta = map[string]any{"process.cpu.time": 4.5}
			e.TelemetryCoverage = map[string]any{"process.cpu.time": "exclusive"}
		},
	})
	r := c.report("generated.loss")
	o := r.Results[0]
	train := o.Training[0]
	env := factsOf(train.Environment)
	assert.Equal(t, []any{"lab", "node-1", "ada", "3.12.1", nil}, []any{env["facility"], env["host"], env["user"], env["Python"], env["container"]})
	code := factsOf(train.Code)
	assert.Equal(t, []any{"abc", true, "train.py --name 'two words'"}, []any{code["commit"], code["changes that are not committed"], code["command"]})
	usage := factsOf(train.Telemetry)
	assert.Equal(t, []any{4.5, int64(1 << 30), int64(2 << 30), 5.0, nil}, []any{
		usage["CPU time"], usage["memory, peak"], usage["GPU memory, peak"], usage["elapsed time"], usage["energy"],
	})
	assert.Equal(t, []Fact{{Name: "torch", Value: Value{"2.5"}}}, train.Packages)
	require.Len(t, o.Reproduce.Workflows, 1)
	assert.Equal(t, int64(7), factsOf(o.Reproduce.Workflows[0].Facts)["seed"])
	assert.Contains(t, o.Reproduce.Missing, "w: its code had changes that are in no commit")
	page, err := r.HTML()
	require.NoError(t, err)
	for _, want := range []string{"1.0 GiB", "2.0 GiB", "4.5 s", "process.cpu.time, exclusive", "lab"} {
		assert.Contains(t, string(page), want)
	}
}

func TestAFileThatWasWrittenAgain(t *testing.T) {
	c := life(t)
	c.file("scan1.tif", "long after the last scan, by the clock of this test")
	o := c.report("generated.error_rate").Results[0]
	assert.Contains(t, o.Raw.Files[0].Changed, "it was written again")
	assert.True(t, slices.ContainsFunc(o.Reproduce.Missing, func(s string) bool { return strings.HasPrefix(s, "scan1.tif: it was written again") }))
}

func TestMLflowModelsAreDescribedByTheirMetadata(t *testing.T) {
	c := newCampaign(t)
	text, err := os.ReadFile(filepath.Join("..", "artifact", "testdata", "MLmodel"))
	require.NoError(t, err)
	c.file("run/artifacts/model/MLmodel", string(text))
	c.run(work{
		key: "t", activity: "train", workflow: "w", used: map[string]any{"C": 1.0}, generated: map[string]any{"loss": 0.5},
		writes: []string{"run/artifacts/model/MLmodel"},
	})
	o := c.report("generated.loss").Results[0]
	require.Len(t, o.Models, 1)
	require.NotNil(t, o.Models[0].Header)
	assert.Equal(t, "MLflow model", o.Models[0].Header.Format)
	assert.Equal(t, artifact.Array{Name: "input", Shape: "(-1, 3)", DType: "float64"}, o.Models[0].Header.Arrays[0])
}

func TestStyleHashNamesTheSheetOfEveryPage(t *testing.T) {
	page, err := (&Report{Warnings: []string{"<style>"}, Results: []*Result{{Rank: 1}}}).HTML()
	require.NoError(t, err)
	sheet := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindSubmatch(page)
	require.NotNil(t, sheet)
	sum := sha256.Sum256(sheet[1])
	assert.Equal(t, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", StyleHash())
}
