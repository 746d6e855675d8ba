package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/store/sqlite"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// view makes a database of several campaigns of made-up tasks, the first of which is named "big". One that is there
// already is kept: the same flags make the same tasks.
func view(args []string) (err error) {
	f := flag.NewFlagSet("view", flag.ContinueOnError)
	path := f.String("db", "", "database to make")
	campaigns := f.Int("campaigns", 10, "campaigns")
	tasks := f.Int("tasks", 100_000, "tasks of each campaign")
	if err := f.Parse(args); err != nil {
		return err
	}
	if _, err := os.Stat(*path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// What is not whole has another name.
	part := *path + ".part"
	if err := os.MkdirAll(filepath.Dir(part), 0o700); err != nil {
		return err
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(part + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	ctx := context.Background()
	st, err := sqlite.Open(ctx, sqlite.Options{Path: part, Synchronous: sqlite.Normal})
	if err != nil {
		return err
	}
	started := time.Now()
	for c := range *campaigns {
		if err := campaign(ctx, st, c, *tasks); err != nil {
			return errors.Join(err, st.Close(ctx))
		}
	}
	if err := st.Close(ctx); err != nil {
		return err
	}
	say(map[string]any{"tasks": *campaigns * *tasks, "seconds": time.Since(started).Seconds()})
	return os.Rename(part, *path)
}

// eventsAtOnce is how many events are written in one transaction.
const eventsAtOnce = 20_000

func campaign(ctx context.Context, st *sqlite.Store, number, tasks int) error {
	m := maker{campaign: "big", tasks: tasks, random: rand.New(rand.NewPCG(7, uint64(number)))} //nolint:gosec // the same each time
	if number > 0 {
		m.campaign = fmt.Sprintf("campaign_%02d", number)
	}
	batch := make([]*task.Event, 0, eventsAtOnce)
	for n := range tasks {
		batch = append(batch, m.event(n))
		if len(batch) < eventsAtOnce && n < tasks-1 {
			continue
		}
		switch rejected, err := st.Write(ctx, batch); {
		case err != nil:
			return err
		case len(rejected) > 0:
			return rejected[0].Err
		}
		batch = batch[:0]
	}
	return nil
}

// maker makes the tasks of a campaign: images, datasets of them, trainings on these, evaluations of the models.
type maker struct {
	campaign string
	tasks    int
	random   *rand.Rand
}

const (
	began   = 1_790_000_000 // seconds since 1970
	workers = 64
)

func (m maker) event(n int) *task.Event {
	images, datasets, trainings := m.tasks*15/100, m.tasks*5/100, m.tasks*70/100
	at := began + float64(n)/float64(m.tasks)*10_000 + m.random.Float64()*5
	e := &task.Event{
		Name: task.EventFinished, Kind: "dask", Scope: m.campaign, Execution: m.campaign, Attempt: 1, Facet: "worker",
		Status: task.StatusFinished, Campaign: m.campaign,
		Attributes: map[string]any{
			"host.name": fmt.Sprintf("node-%02d", n%16), "dask.worker.name": fmt.Sprintf("worker-%d", n%workers),
			"process.pid": int64(1000 + n%workers),
		},
		TelemetryPeak:  map[string]any{"process.memory.usage": int64(1e8 + m.random.Float64()*4e9)},
		TelemetryDelta: map[string]any{"process.cpu.time": m.random.Float64() * 3},
	}
	took := 0.5 + m.random.Float64()
	switch {
	case n < images:
		m.acquire(e, n)
	case n < images+datasets:
		m.prepare(e, n-images, images)
	case n < images+datasets+trainings:
		took = 2 + m.train(e, n-images-datasets, datasets)*m.random.Float64()
	default:
		m.evaluate(e, n, trainings)
	}
	e.SubmittedAt, e.StartedAt, e.EndedAt = nanoseconds(at-0.5), nanoseconds(at), nanoseconds(at+took)
	e.Time = e.EndedAt
	for i := range e.Claims {
		e.Claims[i].Time = e.StartedAt
		if e.Claims[i].Role == task.Generated {
			e.Claims[i].Time = e.EndedAt
		}
	}
	return e
}

func nanoseconds(seconds float64) int64 { return int64(seconds * 1e9) }

func (m maker) workflow(e *task.Event, id, name, activity, key string) {
	e.WorkflowID, e.WorkflowName, e.Activity, e.Key = m.campaign+"-"+id, name, activity, activity+"-"+key
}

// path is a file that the task used or generated.
func (m maker) path(e *task.Event, role task.Role, name string) string {
	path := "/data/" + m.campaign + "/" + name
	e.Claims = append(e.Claims, task.Claim{
		Role: role, Entity: "file:site:" + path, Evidence: "path", Confidence: 0.95, Field: string(role) + ".path", Label: path,
	})
	return path
}

func (m maker) acquire(e *task.Event, n int) {
	m.workflow(e, "w0", "acquire", "acquire_image", fmt.Sprint(n))
	e.Kind = "log"
	e.Generated = map[string]any{"path": m.path(e, task.Generated, fmt.Sprintf("img_%d.npz", n)), "defects": int64(n % 40)}
}

func (m maker) prepare(e *task.Event, n, images int) {
	m.workflow(e, "w1", "search", "make_dataset", fmt.Sprint(n))
	var used []any
	for k := range 3 {
		used = append(used, m.path(e, task.Used, fmt.Sprintf("img_%d.npz", (3*n+k)%images)))
	}
	e.Used = map[string]any{"paths": used}
	e.Generated = map[string]any{"path": m.path(e, task.Generated, fmt.Sprintf("set_%d.npz", n))}
}

func (m maker) train(e *task.Event, n, datasets int) (seconds float64) {
	m.workflow(e, "w1", "search", "train", fmt.Sprint(n))
	layers := 1 + n%4
	rate := math.Pow(10, -4+3*m.random.Float64())
	loss := math.Abs(math.Log10(rate)+2.5)*0.1 + 0.2/float64(layers) + m.random.Float64()*0.1
	e.Used = map[string]any{
		"layers": int64(layers), "learning_rate": rate, "units": int64(16 * (1 + n%3)), "epochs": int64(5 * (1 + n%5)),
		"batch_size": int64(16 << (n % 4)), "dropout": m.random.Float64() / 2, "momentum": m.random.Float64(),
		"seed": int64(n), "optimizer": []string{"sgd", "adam"}[n%2],
		"path": m.path(e, task.Used, fmt.Sprintf("set_%d.npz", n%datasets)),
	}
	if n%97 == 5 {
		e.Name, e.Status = task.EventFailed, task.StatusFailed
		e.Attributes["error.type"], e.Attributes["exception.message"] = "ValueError", "diverged"
	} else {
		e.Generated = map[string]any{
			"loss": loss, "accuracy": 1 - loss/2, "steps": int64(100 + m.random.IntN(9_900)),
			"path": m.path(e, task.Generated, fmt.Sprintf("model_%d.pkl", n)),
		}
	}
	return 2 * float64(layers)
}

func (m maker) evaluate(e *task.Event, n, trainings int) {
	m.workflow(e, "w2", "evaluation", "evaluate", fmt.Sprint(n))
	e.Kind = "mlflow"
	e.Used = map[string]any{"path": m.path(e, task.Used, fmt.Sprintf("model_%d.pkl", n*7%trainings))}
	e.Generated = map[string]any{"mse": m.random.Float64()}
}
