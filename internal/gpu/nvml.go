//go:build gpu && cgo && linux

package gpu

import (
	"errors"
	"slices"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// nvmlReader asks NVIDIA's library, which is loaded at run time.
type nvmlReader struct {
	lib  nvml.Interface
	has  map[string]bool   // functions that the library of this driver has
	busy map[busyKey]busy  // what processes used so far
	seen map[string]uint64 // device → time of its newest sample of processes, µs
	rest map[string]uint64 // device → when there was none last: no process kept it busy, µs
}

type busyKey struct {
	device string
	pid    int
}

type busy struct {
	seconds float64
	seen    int64 // unix ns
}

// openNVML returns nil where there is no driver.
func openNVML() Reader {
	if r := newNVML(nvml.New()); r != nil {
		return r
	}
	return nil
}

func newNVML(lib nvml.Interface) *nvmlReader {
	if lib.Init() != nvml.SUCCESS {
		return nil
	}
	if n, ret := lib.DeviceGetCount(); ret != nvml.SUCCESS || n == 0 {
		_ = lib.Shutdown()
		return nil
	}
	r := &nvmlReader{lib: lib, has: map[string]bool{}, busy: map[busyKey]busy{}, seen: map[string]uint64{}, rest: map[string]uint64{}}
	// To call what an older driver lacks would end this process.
	for _, name := range []string{
		"nvmlDeviceGetUtilizationRates", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetTemperature",
		"nvmlDeviceGetClockInfo", "nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex",
		"nvmlDeviceGetProcessUtilization",
	} {
		r.has[name] = lib.Extensions().LookupSymbol(name) == nil
	}
	return r
}

func (*nvmlReader) Name() string { return "nvml" }

func (r *nvmlReader) Close() error {
	if ret := r.lib.Shutdown(); ret != nvml.SUCCESS {
		return errors.New("nvml: " + ret.Error())
	}
	return nil
}

func (r *nvmlReader) Read([]int) Reading {
	out := Reading{At: time.Now().UnixNano(), Processes: true}
	n, ret := r.lib.DeviceGetCount()
	if !out.ok(ret) {
		return out
	}
	for i := range n {
		if d, ret := r.lib.DeviceGetHandleByIndex(i); out.ok(ret) {
			r.device(&out, d, i)
		}
	}
	for key, b := range r.busy {
		if out.At-b.seen > int64(forgetProcess) {
			delete(r.busy, key)
		}
	}
	return out
}

// forgetProcess is how long a process may do nothing before what it did is forgotten.
const forgetProcess = 10 * time.Minute

// ok counts what fails, except where the GPU has no such thing or there is nothing new.
func (out *Reading) ok(ret nvml.Return) bool {
	switch ret {
	case nvml.SUCCESS:
		return true
	case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_NOT_FOUND, nvml.ERROR_FUNCTION_NOT_FOUND:
	default:
		out.Failed++
	}
	return false
}

func (r *nvmlReader) device(out *Reading, d nvml.Device, index int) {
	id, ret := d.GetUUID()
	if !out.ok(ret) {
		return
	}
	dev := Device{ID: id, Index: index, Vendor: "nvidia", Values: procstat.Unknown()}
	dev.Name, _ = d.GetName()
	if memory, ret := d.GetMemoryInfo(); out.ok(ret) {
		dev.Values[Memory], dev.Values[MemorySize] = float64(memory.Used), float64(memory.Total)
	}
	if r.has["nvmlDeviceGetUtilizationRates"] {
		if rates, ret := d.GetUtilizationRates(); out.ok(ret) {
			dev.Values[Utilization] = float64(rates.Gpu) / 100
		}
	}
	if r.has["nvmlDeviceGetPowerUsage"] {
		if mW, ret := d.GetPowerUsage(); out.ok(ret) {
			dev.Values[Power] = float64(mW) / 1e3
		}
	}
	if r.has["nvmlDeviceGetTotalEnergyConsumption"] {
		if mJ, ret := d.GetTotalEnergyConsumption(); out.ok(ret) {
			dev.Values[Energy] = float64(mJ) / 1e3
		}
	}
	if r.has["nvmlDeviceGetTemperature"] {
		if degrees, ret := d.GetTemperature(nvml.TEMPERATURE_GPU); out.ok(ret) {
			dev.Values[Temperature] = float64(degrees)
		}
	}
	if r.has["nvmlDeviceGetClockInfo"] {
		for which, value := range map[nvml.ClockType]int{nvml.CLOCK_SM: Clock, nvml.CLOCK_MEM: MemoryClock} {
			if mHz, ret := d.GetClockInfo(which); out.ok(ret) {
				dev.Values[value] = float64(mHz) * 1e6
			}
		}
	}
	out.Devices = append(out.Devices, dev)
	if r.split(d) {
		r.parts(out, d, &dev)
		return
	}
	r.processes(out, d, id, true)
}

// split says whether a GPU is given away in parts.
func (r *nvmlReader) split(d nvml.Device) bool {
	if !r.has["nvmlDeviceGetMigMode"] || !r.has["nvmlDeviceGetMaxMigDeviceCount"] || !r.has["nvmlDeviceGetMigDeviceHandleByIndex"] {
		return false
	}
	mode, _, ret := d.GetMigMode()
	return ret == nvml.SUCCESS && mode == nvml.DEVICE_MIG_ENABLE
}

// parts reads those of a GPU: they have memory and processes; power and utilization only the whole has.
func (r *nvmlReader) parts(out *Reading, d nvml.Device, whole *Device) {
	n, ret := d.GetMaxMigDeviceCount()
	if !out.ok(ret) {
		return
	}
	for i := range n {
		part, ret := d.GetMigDeviceHandleByIndex(i)
		if !out.ok(ret) { // NOT_FOUND: this place is free
			continue
		}
		id, ret := part.GetUUID()
		if !out.ok(ret) {
			continue
		}
		dev := Device{ID: id, Index: whole.Index, Vendor: "nvidia", Parent: whole.ID, Values: procstat.Unknown()}
		if dev.Name, ret = part.GetName(); ret != nvml.SUCCESS {
			dev.Name = whole.Name
		}
		if memory, ret := part.GetMemoryInfo(); out.ok(ret) {
			dev.Values[Memory], dev.Values[MemorySize] = float64(memory.Used), float64(memory.Total)
		}
		out.Devices = append(out.Devices, dev)
		r.processes(out, part, id, false)
	}
}

// noMemory is what the library says where it does not know what a process has.
const noMemory = ^uint64(0)

func (r *nvmlReader) processes(out *Reading, d nvml.Device, id string, utilization bool) {
	uses := map[int]float64{}
	known := false
	for _, list := range []func() ([]nvml.ProcessInfo, nvml.Return){d.GetComputeRunningProcesses, d.GetGraphicsRunningProcesses} {
		infos, ret := list()
		if !out.ok(ret) {
			continue
		}
		known = true
		for _, p := range infos {
			memory := float64(p.UsedGpuMemory)
			if p.UsedGpuMemory == noMemory {
				memory = unknown()
			}
			// In both lists is one that computes and draws: with the same memory.
			if old, ok := uses[int(p.Pid)]; !ok || memory > old || old != old {
				uses[int(p.Pid)] = memory
			}
		}
	}
	out.Processes = out.Processes && known
	utilization = utilization && r.has["nvmlDeviceGetProcessUtilization"] && r.utilization(out, d, id)
	for pid, memory := range uses {
		u := Use{PID: pid, Device: id, Memory: memory, Busy: unknown()}
		if utilization {
			b := r.busy[busyKey{id, pid}] // 0 of one that did nothing yet
			u.Busy = b.seconds
		}
		out.Uses = append(out.Uses, u)
	}
}

// longestPeriod is how far two samples of processes may lie apart: the driver takes them every sixth of a second to every
// second, by product. A look that finds none within it found no rest.
const longestPeriod = uint64(time.Second / time.Microsecond)

// utilization adds what processes used since the last time. It says whether this GPU tells.
func (r *nvmlReader) utilization(out *Reading, d nvml.Device, id string) bool {
	now := uint64(out.At / 1e3)
	since, before := r.seen[id]
	if !before { // the first look only says from when on
		r.seen[id] = now
		return true
	}
	lines, ret := d.GetProcessUtilization(since)
	if ret == nvml.ERROR_NOT_FOUND {
		if now > since+longestPeriod {
			r.rest[id] = now
		}
		return true // nothing new
	}
	if !out.ok(ret) {
		return false
	}
	lines = slices.DeleteFunc(lines, func(l nvml.ProcessUtilizationSample) bool {
		return l.Pid == 0 || l.TimeStamp <= since || l.SmUtil > 100
	})
	// Each process has one line: its mean over all samples since then, also those of others, but the time of its own
	// newest. So it stands for the time until the newest of all, without that in which there was none.
	newest := since
	for _, l := range lines {
		newest = max(newest, l.TimeStamp)
	}
	r.seen[id] = newest
	from := max(since, r.rest[id])
	for _, l := range lines {
		key := busyKey{id, int(l.Pid)}
		b := r.busy[key]
		if newest > from {
			b.seconds += float64(l.SmUtil) / 100 * float64(newest-from) / 1e6
		}
		b.seen = out.At
		r.busy[key] = b
	}
	return true
}
