package taskquery

import (
	"fmt"
	"net/http"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// flag reads a parameter that is true or false.
func flag(r *http.Request, name string) (bool, error) {
	switch v := r.URL.Query().Get(name); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, &query.Error{Field: name, Problem: fmt.Sprintf("%q is neither", v), Valid: []string{"true", "false"}}
	}
}

// showCost shows sums; one that no task has is left out, because nobody knows it.
func showCost(c *lineage.Cost) map[string]any {
	trials := showSum(c.Trials)
	if len(c.TrialsOf) > 0 {
		by := map[string]any{}
		for activity, n := range c.TrialsOf {
			by[activity] = int64(n)
		}
		trials["by_activity"] = by
	}
	return map[string]any{
		"lineage": showSum(c.Lineage), "discarded_trials": trials, "total": showSum(c.Lineage.Plus(c.Trials)), "truncated": c.Truncated,
	}
}

func showSum(s lineage.Sum) map[string]any {
	m := map[string]any{
		"tasks": int64(s.Tasks), "without_energy": int64(s.Tasks - s.Joules.Of), "without_co2e": int64(s.Tasks - s.CO2e.Of),
		"without_cpu_time": int64(s.Tasks - s.CPUSeconds.Of), "with_gpu": int64(s.GPUSeconds.Of),
		"shared": int64(s.Shared), "earlier_attempts": int64(s.EarlierAttempts),
	}
	for key, v := range map[string]struct {
		lineage.Total
		unit float64
	}{
		"energy_joules": {s.Joules, 1}, "co2e_grams": {s.CO2e, 1}, "cpu_hours": {s.CPUSeconds, 3600}, "gpu_hours": {s.GPUSeconds, 3600},
	} {
		if v.Of > 0 {
			m[key] = v.Value / v.unit
		}
	}
	return m
}
