package tasktelemetryprocessor

import (
	"math"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// Names of what energy tasks used, and the rule by which the CPU's is theirs.
const (
	hostEnergy    = "hw.energy"
	taskEnergy    = "task.energy"
	taskEnergyCPU = "task.energy.cpu"
	taskEnergyGPU = "task.energy.gpu"
	taskCO2e      = "task.co2e"
	ruleCPUShare  = "cpu_share"
)

const joulesPerKWh = 3.6e6

// energy adds what the host's processors used, and the task's part of it by a rule that its coverage names: as its CPU time is
// to that of all that ran meanwhile, so is its energy to theirs. It is covered as the CPU time is. Where energy cannot be read
// there is none.
func (m *measured) energy(x *stretch, j *joules, s span) {
	used, _ := grown(procstat.HostEnergy, x.first, x.last)
	words := x.coverage
	if math.IsNaN(used) {
		if j == nil {
			return
		}
		var ok bool
		if used, words, ok = j.over(s.started, s.ended); !ok {
			return
		}
	}
	m.delta[hostEnergy], m.coverage[hostEnergy] = math.Round(used*1e3)/1e3, words
	busy, _ := grown(procstat.HostBusy, x.first, x.last)
	if cpu, ok := m.delta[cpuTime].(float64); ok && busy > 0 {
		m.delta[taskEnergyCPU] = math.Round(1e3*used*math.Min(1, cpu/busy)) / 1e3
		m.coverage[taskEnergyCPU] = ruleCPUShare + ", " + m.coverage[cpuTime].(string) + strings.TrimPrefix(words, x.coverage)
	}
}

// total adds up the energy of a task, as far as it is known, and what that stands for in CO2e.
func (m *measured) total(gramsPerKWh float64) {
	cpu, byCPU := m.delta[taskEnergyCPU].(float64)
	ofGPUs, byGPU := m.delta[taskEnergyGPU].(float64)
	if !byCPU && !byGPU {
		return
	}
	words := "cpu unknown"
	if byCPU {
		words = m.coverage[taskEnergyCPU].(string)
	}
	if byGPU {
		words += "; " + m.coverage[taskEnergyGPU].(string)
	} else if _, used := m.peak[gpuCount]; used {
		words += "; gpu unknown"
	}
	m.delta[taskEnergy], m.coverage[taskEnergy] = cpu+ofGPUs, words
	if gramsPerKWh > 0 {
		m.delta[taskCO2e] = math.Round((cpu+ofGPUs)/joulesPerKWh*gramsPerKWh*1e9) / 1e9
		m.coverage[taskCO2e] = words
	}
}
