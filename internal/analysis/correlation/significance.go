package correlation

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// pearsonP is the chance of a coefficient at least as far from 0 if there were none: two-sided, by Student's t with n-2
// degrees of freedom, as scipy.stats.pearsonr and spearmanr have it.
func pearsonP(r float64, n int64) float64 {
	freedom := float64(n - 2)
	t := math.Abs(r) * math.Sqrt(freedom/((1-r)*(1+r)))
	return min(1, 2*distuv.StudentsT{Sigma: 1, Nu: freedom}.CDF(-t))
}

// etaP is that of a correlation ratio: the F test of a one-way analysis of variance, as scipy.stats.f_oneway has it. The
// survival function is taken from the beta function: 1 - CDF would lose the small ones.
func etaP(within float64, n, categories int64) float64 {
	return mathext.RegIncBeta(float64(n-categories)/2, float64(categories-1)/2, within)
}

// correct returns the p-values of a family of tests corrected for their number, in the same order.
func correct(p []float64, c Correction) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	out, m := make([]float64, len(p)), float64(len(p))
	switch c {
	case Holm: // step down: none smaller than that of a smaller p
		worst := 0.0
		for rank, i := range order {
			worst = max(worst, p[i]*(m-float64(rank)))
			out[i] = min(1, worst)
		}
	case Bonferroni:
		for i := range p {
			out[i] = min(1, p[i]*m)
		}
	case BenjaminiHochberg: // step up: none greater than that of a greater p
		best := 1.0
		for rank := len(order) - 1; rank >= 0; rank-- {
			i := order[rank]
			best = min(best, p[i]*m/float64(rank+1))
			out[i] = best
		}
	default:
		copy(out, p)
	}
	return out
}
