package view

import (
	"slices"
	"sort"
)

// Ranges is a set of numbers: sorted, disjoint, not adjacent [first, last].
type Ranges [][2]int64

// Has says that a number is in the set.
func (r Ranges) Has(n int64) bool {
	i := sort.Search(len(r), func(i int) bool { return r[i][1] >= n })
	return i < len(r) && r[i][0] <= n
}

// New counts the different numbers that are not in the set; it sorts them.
func (r Ranges) New(numbers []int64) (n int64) {
	slices.Sort(numbers)
	for i, x := range numbers {
		if (i == 0 || numbers[i-1] != x) && !r.Has(x) {
			n++
		}
	}
	return n
}

// Add unites the set with numbers, which it sorts, and says whether that changed it.
func (r Ranges) Add(numbers []int64) (Ranges, bool) {
	slices.Sort(numbers)
	var more Ranges
	for _, n := range numbers {
		more = more.end(n, n)
	}
	return r.Union(more)
}

// Union unites two sets and says whether that changed this one, which is left as it was.
func (r Ranges) Union(o Ranges) (Ranges, bool) {
	if len(o) == 0 {
		return r, false
	}
	out := make(Ranges, 0, len(r)+1)
	i := 0
	for _, x := range o {
		for ; i < len(r) && r[i][0] <= x[0]; i++ {
			out = out.end(r[i][0], r[i][1])
		}
		out = out.end(x[0], x[1])
	}
	for ; i < len(r); i++ {
		out = out.end(r[i][0], r[i][1])
	}
	return out, !slices.Equal(r, out)
}

// end adds a range that begins no earlier than the last one.
func (r Ranges) end(first, last int64) Ranges {
	if n := len(r); n > 0 && first <= r[n-1][1]+1 {
		r[n-1][1] = max(r[n-1][1], last)
		return r
	}
	return append(r, [2]int64{first, last})
}
