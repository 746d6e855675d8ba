package report

import (
	"context"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
)

// Cost is what a result cost: the tasks of its lineage, and trials that were discarded on the way (docs/provenance.md).
type Cost struct {
	Lineage Sum            `json:"lineage"`
	Trials  Sum            `json:"discarded_trials"`
	Of      map[string]int `json:"trials_by_activity"`
}

// Sum adds up what tasks took; null is not recorded.
type Sum struct {
	Tasks           int   `json:"tasks"`
	Elapsed         Value `json:"elapsed_seconds"`
	CPU             Value `json:"cpu_seconds"`
	GPU             Value `json:"gpu_seconds"`
	Energy          Value `json:"energy_joules"`
	CO2e            Value `json:"co2e_grams"`
	WithoutElapsed  int   `json:"without_elapsed"`
	WithoutCPU      int   `json:"without_cpu"`
	WithoutEnergy   int   `json:"without_energy"`
	Shared          int   `json:"shared"` // tasks of which a number was of several: each counts an equal part
	EarlierAttempts int   `json:"earlier_attempts"`
}

// maxRemembered bounds the documents that are kept for the next result.
const maxRemembered = 2 * costTasks

func (b *builder) cost(ctx context.Context, id string) (Cost, error) {
	most := min(b.maxTasks, costTasks)
	c, err := lineage.CostOf(ctx, b.trials, []string{id}, most)
	if err != nil {
		return Cost{}, err
	}
	if c.Truncated {
		b.omit("the cost of tasks after the first %d", most)
	}
	return Cost{Lineage: sumOf(c.Lineage), Trials: sumOf(c.Trials), Of: c.TrialsOf}, nil
}

func sumOf(s lineage.Sum) Sum {
	known := func(t lineage.Total) Value {
		if t.Of == 0 {
			return Value{}
		}
		return Value{t.Value}
	}
	return Sum{
		Tasks: s.Tasks, Elapsed: known(s.Elapsed), CPU: known(s.CPUSeconds), GPU: known(s.GPUSeconds), Energy: known(s.Joules), CO2e: known(s.CO2e),
		WithoutElapsed: s.Tasks - s.Elapsed.Of, WithoutCPU: s.Tasks - s.CPUSeconds.Of, WithoutEnergy: s.Tasks - s.Joules.Of,
		Shared: s.Shared, EarlierAttempts: s.EarlierAttempts,
	}
}

// columns are a sum as a row of a table.
func (s Sum) columns() []string {
	amount := func(v Value, unit string) string {
		if v.V == nil {
			return notRecorded
		}
		return withUnit(v.V, unit)
	}
	return []string{shown(s.Tasks), duration(s.Elapsed), duration(s.CPU), duration(s.GPU), amount(s.Energy, "J"), amount(s.CO2e, "g")}
}

// costColumns are the heads of these columns.
var costColumns = []string{"Tasks", "Elapsed, sum", "CPU time", "GPU time", "Energy", "CO2e"}

// remembering keeps documents: the results of one search are compared with the same trials.
type remembering struct {
	Reader
	docs map[string]map[string]any
}

func (r *remembering) Tasks(ctx context.Context, ids []string) (map[string]map[string]any, error) {
	out := make(map[string]map[string]any, len(ids))
	var missing []string
	for _, id := range ids {
		if doc, known := r.docs[id]; known {
			out[id] = doc
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	found, err := r.Reader.Tasks(ctx, missing)
	if err != nil {
		return nil, err
	}
	for id, doc := range found {
		out[id] = doc
		if len(r.docs) < maxRemembered {
			r.docs[id] = doc
		}
	}
	return out, nil
}
