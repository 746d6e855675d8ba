package daskreceiver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/discover"
)

var (
	_ control.Reporter = (*daskReceiver)(nil)
	_ control.Checker  = (*Config)(nil)
)

// Report implements control.Reporter.
func (r *daskReceiver) Report() control.Report {
	rep := control.Report{ID: r.set.ID.String(), Kind: "dask", Campaign: r.cfg.Campaign, Places: slices.Clone(r.cfg.Schedulers)}
	directory, err := filepath.Abs(r.cfg.Journal.Directory)
	if err != nil {
		directory = r.cfg.Journal.Directory
	}
	journal := control.Part{
		What: "journals in " + directory, State: control.Reached, Errors: r.recent.List(),
		Saw: []control.Count{{What: "events", N: r.events.Load()}},
	}
	if err := r.looks.Err(); err != nil {
		journal.State, journal.Problem = control.Trouble, err.Error()
	}
	if n := r.dropped.Load(); n > 0 {
		journal.Dropped = append(journal.Dropped, control.Count{What: "refused by the pipeline", N: n})
	}
	journal.Dropped = append(journal.Dropped, r.health.losses()...)
	if r.faults.Load() > 0 {
		journal.Dropped = append(journal.Dropped, control.Count{What: "torn or invalid records", N: r.faults.Load()})
	}
	rep.Parts = append(rep.Parts, journal)
	if r.targets == nil {
		return rep
	}
	for _, t := range r.targets.list() {
		p := control.Part{What: t.address.url, State: control.Reached}
		if !slices.Contains(rep.Places, t.address.url) {
			rep.Places = append(rep.Places, t.address.url)
		}
		if !t.attached.Load() {
			p.State, p.Problem = control.Waiting, "it was not visited yet"
			if err := t.failed(); err != nil {
				p.State, p.Problem = explain(t.address.url, err)
			}
		}
		rep.Parts = append(rep.Parts, p)
	}
	for _, glob := range r.cfg.SchedulerFiles {
		if abs, err := filepath.Abs(glob); err == nil {
			rep.Places = append(rep.Places, abs)
		}
	}
	rep.Parts = append(rep.Parts, r.cfg.checkFiles()...)
	return rep
}

// failed is what went wrong at the last visit.
func (t *target) failed() error {
	if err := t.problem.Load(); err != nil {
		return *err
	}
	return nil
}

// explain says what keeps a scheduler from being observed, and what to do about it.
func explain(url string, err error) (control.PartState, string) {
	switch reason(err) {
	case reasonUnreachable:
		text := fmt.Sprintf("nobody listens there (%v); it is observed as soon as it appears", err)
		if here := others(url); here != "" {
			return control.Waiting, text + "; a scheduler of yours runs at " + here + ": correct the port in schedulers"
		}
		return control.Waiting, text + "; if yours listens elsewhere, correct schedulers, or let it write a file (dask scheduler --scheduler-file) " +
			"and name that in scheduler_files"
	case reasonForeignOwner:
		return control.Trouble, err.Error() + "; or run the collector as that user"
	case reasonRejected:
		return control.Trouble, err.Error()
	}
	text := fmt.Sprintf("no Dask scheduler answers there (%v): name the scheduler's own port in schedulers", err)
	if strings.HasSuffix(url, ":8787") {
		text += "; 8787 is as a rule its dashboard, and 8786 the scheduler"
	}
	if here := others(url); here != "" {
		text += "; a scheduler of yours runs at " + here
	}
	return control.Trouble, text
}

// others are schedulers of this user that run here.
func others(url string) string {
	o := discover.Default()
	o.Directories, o.Allowed = nil, func(string) bool { return false }
	var found []string
	for _, offer := range discover.Look(context.Background(), o).Offers {
		list, _ := offer.Config["schedulers"].([]any)
		for _, a := range list {
			if s, ok := a.(string); ok && s != url {
				found = append(found, s)
			}
		}
	}
	const most = 3
	return strings.Join(found[:min(len(found), most)], ", ")
}

// Check implements control.Checker. It connects to nothing.
func (c *Config) Check() []control.Part {
	parts := c.checkFiles()
	for dir := c.Journal.Directory; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir {
			continue
		}
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no directory", dir)
		}
		if err == nil {
			err = mayWrite(dir)
		}
		if err != nil {
			parts = append(parts, control.Part{
				What: "journals in " + c.Journal.Directory, State: control.Trouble,
				Problem: fmt.Sprintf("%v: set journal::directory to one that user %d may write", err, os.Geteuid()),
			})
		}
		return parts
	}
}

func (c *Config) checkFiles() (parts []control.Part) {
	for _, glob := range c.SchedulerFiles {
		abs, err := filepath.Abs(glob)
		if err != nil {
			abs = glob
		}
		files, _ := filepath.Glob(abs)
		if len(files) == 0 {
			parts = append(parts, control.Part{
				What: abs, State: control.Waiting, Problem: "no scheduler file is there yet; dask scheduler --scheduler-file NAME.scheduler.json writes one",
			})
		}
		for _, f := range files {
			if _, err := readSchedulerFile(f); err != nil {
				parts = append(parts, control.Part{What: f, State: control.Trouble, Problem: fmt.Sprintf("it is no file of a scheduler: %v", err)})
			}
		}
	}
	return parts
}
