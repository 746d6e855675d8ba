package completeness

import (
	"fmt"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// RunsInView is what the view holds of MLflow runs.
type RunsInView struct {
	Runs            int64               // of the campaign
	Elsewhere       int64               // of other campaigns: people may have assigned them
	Used, Generated int64               // leaves of those of the campaign; -1 = too many to count
	Each            map[string][2]int64 // the same by run id; nil = too many to count
}

// Runs is the number of MLflow runs that the observers of a campaign sent; 0 = nothing to compare.
func Runs(list []store.Checkpoint) (n int64) {
	for _, c := range databases(list) {
		n += number(readOf(c)["runs"])
	}
	return n
}

// readOf is what an observer says of the MLflow database that it reads; nil for others.
func readOf(c store.Checkpoint) map[string]any {
	return section(section(c.Record, "witness"), "mlflow")
}

// databases returns one checkpoint for each database: that of the observer that read most of it. Observers that come one
// after the other, as with each `mida run`, all read the whole, so what they say must not be added up.
func databases(list []store.Checkpoint) (out []store.Checkpoint) {
	at := map[[2]string]int{}
	for _, c := range list {
		m := readOf(c)
		if m == nil {
			continue
		}
		key := [2]string{c.Host, text(m["database"])}
		i, known := at[key]
		switch {
		case !known:
			at[key] = len(out)
			out = append(out, c)
		case number(m["runs"]) >= number(readOf(out[i])["runs"]):
			out[i] = c
		}
	}
	return out
}

// mlflow compares the database with what was read of it, and what was read with the view.
func mlflow(list []store.Checkpoint, view RunsInView) (out []Witness) {
	sums := map[string]int64{}
	counts, open, all := 0, false, map[string]bool{"used": true, "generated": true}
	of := ""
	var who, lost, poor []string // observers, runs that are not in the view, and runs of which it lacks something
	for _, c := range list {
		m := readOf(c)
		if v, ok := m["counted"]; ok {
			read := Witness{
				What: "runs counted in the MLflow database, against runs read", Of: text(m["database"]), State: Complete, Expected: number(v),
			}
			read.Found = min(read.Expected, number(m["read"]))
			if read.Found < read.Expected {
				read.State = lacking(c.Final)
				read.Detail = named(c)
			}
			out = append(out, read)
		}
	}
	for _, c := range databases(list) {
		m := readOf(c)
		counts++
		who = append(who, named(c))
		gone, less := lackingRuns(section(m, "each"), view.Each)
		lost, poor = append(lost, gone...), append(poor, less...)
		of = text(m["database"])
		open = open || !c.Final
		for _, key := range []string{"runs", "used", "generated"} {
			v, ok := m[key].(int64)
			sums[key] += v
			if !ok {
				all[key] = false
			}
		}
	}
	if counts == 0 {
		return nil
	}
	if counts > 1 {
		of = fmt.Sprintf("%d databases", counts)
	}
	runs := Witness{What: "MLflow runs that were read, against runs in the view", Of: of, State: Complete, Expected: sums["runs"]}
	runs.Found = min(view.Runs, runs.Expected)
	if missing := runs.Expected - runs.Found; missing > 0 {
		runs.State, runs.Detail = Missing, listed(append(slices.Clone(who), lost...))
		if view.Elsewhere >= missing {
			runs.State = Unknown
			runs.Detail = fmt.Sprintf("%d runs are in other campaigns, to which people may have assigned them", view.Elsewhere)
		}
	}
	out = append(out, runs)
	for _, f := range []struct {
		key, what string
		found     int64
	}{
		{"used", "params and inputs of MLflow runs that were read, against those in the view", view.Used},
		{"generated", "metrics and outputs of MLflow runs that were read, against those in the view", view.Generated},
	} {
		if !all[f.key] || f.found < 0 || runs.State != Complete {
			continue
		}
		w := Witness{What: f.what, Of: of, State: Complete, Expected: sums[f.key], Found: min(f.found, sums[f.key])}
		if w.Found < w.Expected {
			w.State, w.Detail = lacking(!open), listed(append(slices.Clone(who), poor...))
		}
		out = append(out, w)
	}
	return out
}

// named says which observer a checkpoint is of.
func named(c store.Checkpoint) string {
	if c.Host == "" {
		return "observer " + c.Observer
	}
	return fmt.Sprintf("observer %s on %s", c.Observer, c.Host)
}

// lackingRuns names the runs that the view has not, and those of which it has less than was read. An observer of few runs
// tells what it read of each.
func lackingRuns(each map[string]any, view map[string][2]int64) (lost, poor []string) {
	if view == nil {
		return nil, nil
	}
	for _, id := range sortedKeys(each) {
		counts, _ := each[id].([]any)
		if len(counts) != 2 {
			continue
		}
		used, generated := number(counts[0]), number(counts[1])
		switch found, ok := view[id]; {
		case !ok:
			lost = append(lost, fmt.Sprintf("run %s is not in the view", id))
		case found[0] < used || found[1] < generated:
			poor = append(poor, fmt.Sprintf("run %s has %d and %d of %d and %d", id, found[0], found[1], used, generated))
		}
	}
	return lost, poor
}

// lacking is the state of what is not there: while the observer goes on, it may be on its way.
func lacking(final bool) State {
	if final {
		return Missing
	}
	return Unknown
}
