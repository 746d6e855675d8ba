package procstat

import (
	"math"
	"os"
	"path/filepath"
	"strings"
)

// energy adds up what the processors and the memory of a host used, by their own count (RAPL).
type energy struct {
	packages []domain
	joules   float64
}

// domain is one processor package, or its memory. Its counter begins again at wrap.
type domain struct {
	counter string // file, µJ
	wrap    uint64
	last    uint64
	known   bool
}

// openEnergy finds the packages and their memory, which a package does not count; its other zones (cores) it does.
func openEnergy(sys string) *energy {
	e := &energy{}
	root := filepath.Join(sys, "class/powercap")
	entries, err := os.ReadDir(root)
	if err != nil {
		return e
	}
	for _, entry := range entries {
		control, zone, ok := strings.Cut(entry.Name(), ":")
		if !ok || control != "intel-rapl" {
			continue
		}
		want := "package"
		if strings.Contains(zone, ":") {
			want = "dram"
		}
		dir := filepath.Join(root, entry.Name())
		name, err := os.ReadFile(filepath.Join(dir, "name"))
		if err != nil || !strings.HasPrefix(string(name), want) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, "max_energy_range_uj"))
		if err != nil {
			continue
		}
		e.packages = append(e.packages, domain{counter: filepath.Join(dir, "energy_uj"), wrap: number(b)})
	}
	return e
}

// read returns the joules since the first reading. What one package does not tell makes the sum unknown: since 2020 only
// root may read the counters unless somebody allows more.
func (e *energy) read() float64 {
	if len(e.packages) == 0 {
		return math.NaN()
	}
	for i := range e.packages {
		d := &e.packages[i]
		b, err := os.ReadFile(d.counter)
		if err != nil {
			return math.NaN()
		}
		now := number(b)
		if d.known {
			grown := now - d.last
			if now < d.last {
				grown = now + d.wrap - d.last
			}
			e.joules += float64(grown) / 1e6
		}
		d.last, d.known = now, true
	}
	return e.joules
}
