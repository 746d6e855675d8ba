//go:build gpu && cgo && linux

package gpu

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func library(devices ...nvml.Device) *mock.Interface {
	return &mock.Interface{
		InitFunc:           func() nvml.Return { return nvml.SUCCESS },
		ShutdownFunc:       func() nvml.Return { return nvml.SUCCESS },
		DeviceGetCountFunc: func() (int, nvml.Return) { return len(devices), nvml.SUCCESS },
		DeviceGetHandleByIndexFunc: func(i int) (nvml.Device, nvml.Return) {
			return devices[i], nvml.SUCCESS
		},
		ExtensionsFunc: func() nvml.ExtendedInterface {
			return &mock.ExtendedInterface{LookupSymbolFunc: func(string) error { return nil }}
		},
	}
}

func card(id string) *mock.Device {
	return &mock.Device{
		GetUUIDFunc: func() (string, nvml.Return) { return id, nvml.SUCCESS },
		GetNameFunc: func() (string, nvml.Return) { return "NVIDIA H100", nvml.SUCCESS },
		GetMemoryInfoFunc: func() (nvml.Memory, nvml.Return) {
			return nvml.Memory{Total: 80 << 30, Used: 2 << 30}, nvml.SUCCESS
		},
		GetUtilizationRatesFunc:       func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 40}, nvml.SUCCESS },
		GetPowerUsageFunc:             func() (uint32, nvml.Return) { return 350_500, nvml.SUCCESS },
		GetTotalEnergyConsumptionFunc: func() (uint64, nvml.Return) { return 7_000_500, nvml.SUCCESS },
		GetTemperatureFunc:            func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 55, nvml.SUCCESS },
		GetClockInfoFunc: func(which nvml.ClockType) (uint32, nvml.Return) {
			return map[nvml.ClockType]uint32{nvml.CLOCK_SM: 1980, nvml.CLOCK_MEM: 2619}[which], nvml.SUCCESS
		},
		GetMigModeFunc: func() (int, int, nvml.Return) { return nvml.DEVICE_MIG_DISABLE, 0, nvml.SUCCESS },
		GetComputeRunningProcessesFunc: func() ([]nvml.ProcessInfo, nvml.Return) {
			return []nvml.ProcessInfo{{Pid: 4711, UsedGpuMemory: 1 << 30}, {Pid: 4712, UsedGpuMemory: noMemory}}, nvml.SUCCESS
		},
		GetGraphicsRunningProcessesFunc: func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.ERROR_NOT_SUPPORTED },
		GetProcessUtilizationFunc: func(uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) {
			return nil, nvml.ERROR_NOT_FOUND
		},
	}
}

func TestNVML(t *testing.T) {
	c := card("GPU-a")
	r := newNVML(library(c))
	require.NotNil(t, r)
	got := r.Read(nil)
	d := device(t, got, "GPU-a")
	assert.Equal(t, []float64{0.4, 2 << 30, 80 << 30, 350.5, 7000.5, 55, 1.98e9, 2.619e9}, d.Values[:MemoryClock+1])
	assert.Zero(t, got.Failed, "what a GPU does not have is no failure")
	assert.True(t, got.Processes)
	uses := usesOf(got)
	assert.InDelta(t, 1<<30, uses[useKey{"GPU-a", 4711}].Memory, 0)
	assert.NotEqual(t, uses[useKey{"GPU-a", 4712}].Memory, uses[useKey{"GPU-a", 4712}].Memory)

	// What a process used is counted from sample to sample.
	c.GetProcessUtilizationFunc = func(since uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) {
		return []nvml.ProcessUtilizationSample{{Pid: 4711, TimeStamp: since + 2e6, SmUtil: 25}, {Pid: 4712, TimeStamp: since - 1, SmUtil: 99}}, nvml.SUCCESS
	}
	r.Read(nil)
	uses = usesOf(r.Read(nil))
	assert.InDelta(t, 1, uses[useKey{"GPU-a", 4711}].Busy, 1e-9)
	assert.InDelta(t, 0, uses[useKey{"GPU-a", 4712}].Busy, 0)
	require.NoError(t, r.Close())
}

// What a process used counts from the last sample on, but not over a time without any.
func TestNVMLCountsNoTimeOfRest(t *testing.T) {
	c := card("GPU-a")
	var lines []nvml.ProcessUtilizationSample
	c.GetProcessUtilizationFunc = func(uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) {
		if len(lines) == 0 {
			return nil, nvml.ERROR_NOT_FOUND
		}
		return slices.Clone(lines), nvml.SUCCESS
	}
	r := newNVML(library(c))
	now := uint64(time.Now().UnixMicro())
	r.seen["GPU-a"] = now - 300e6 // it did nothing for five minutes
	used := func() float64 { return usesOf(r.Read(nil))[useKey{"GPU-a", 4711}].Busy }
	assert.Zero(t, used())
	rested := r.rest["GPU-a"]
	lines = []nvml.ProcessUtilizationSample{{Pid: 4711, TimeStamp: rested + 1e6, SmUtil: 75}}
	assert.InDelta(t, 0.75, used(), 1e-9)
	lines = []nvml.ProcessUtilizationSample{{Pid: 4711, TimeStamp: rested + 3e6, SmUtil: 100}}
	assert.InDelta(t, 2.75, used(), 1e-9)
	assert.InDelta(t, 2.75, used(), 1e-9, "the same sample again")
}

// To look again before the driver took another sample, as is done when a task begins, finds no rest.
func TestNVMLLookedAtTwiceHasNoRest(t *testing.T) {
	c := card("GPU-a")
	r := newNVML(library(c))
	look := func(ms int64) { require.True(t, r.utilization(&Reading{At: ms * 1e6}, c, "GPU-a")) }
	look(1000)
	look(1150) // the driver has nothing new
	c.GetProcessUtilizationFunc = func(uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) {
		return []nvml.ProcessUtilizationSample{{Pid: 4711, TimeStamp: 2_000_000, SmUtil: 100}}, nvml.SUCCESS
	}
	look(2050)
	assert.InDelta(t, 1, r.busy[busyKey{"GPU-a", 4711}].seconds, 1e-9)
}

// What an H100 said of two processes that computed all the time: every 0.2 s which of them it saw, and for how much of it.
var takingTurns = []nvml.ProcessUtilizationSample{
	{Pid: 4712, SmUtil: 73}, {Pid: 4711, SmUtil: 99}, {Pid: 4712, SmUtil: 99}, {Pid: 4711, SmUtil: 99}, {Pid: 4711, SmUtil: 99},
	{Pid: 4711, SmUtil: 99}, {Pid: 4712, SmUtil: 99}, {Pid: 4711, SmUtil: 99}, {Pid: 4711, SmUtil: 99}, {Pid: 4711, SmUtil: 99},
	{Pid: 4711, SmUtil: 99}, {Pid: 4711, SmUtil: 99}, {Pid: 4712, SmUtil: 99}, {Pid: 4712, SmUtil: 99}, {Pid: 4711, SmUtil: 99},
	{Pid: 4711, SmUtil: 99}, {Pid: 4711, SmUtil: 99}, {Pid: 4712, SmUtil: 99}, {Pid: 4711, SmUtil: 99}, {Pid: 4711, SmUtil: 99},
	{Pid: 4711, SmUtil: 99}, {Pid: 4712, SmUtil: 99}, {Pid: 4712, SmUtil: 99}, {Pid: 4711, SmUtil: 99}, {Pid: 4712, SmUtil: 99},
}

// driverOf answers as the driver does, of samples: one line per process with the time of its own newest one.
func driverOf(samples []nvml.ProcessUtilizationSample) func(uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) {
	return func(since uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) {
		lines, n := map[uint32]nvml.ProcessUtilizationSample{}, uint32(0)
		for _, s := range samples {
			if s.TimeStamp > since {
				n++
				s.SmUtil += lines[s.Pid].SmUtil
				lines[s.Pid] = s
			}
		}
		if n == 0 {
			return nil, nvml.ERROR_NOT_FOUND
		}
		var out []nvml.ProcessUtilizationSample
		for _, l := range lines {
			l.SmUtil = (l.SmUtil + n/2) / n // the mean over all samples
			out = append(out, l)
		}
		return out, nvml.SUCCESS
	}
}

// Two that take turns have all of what the driver saw of each, whenever it is asked: once a second, and as a task begins.
func TestNVMLCountsAllOfTwoThatTakeTurns(t *testing.T) {
	const period = 200_000 // µs
	for phase := range 5 {
		c := card("GPU-a")
		r := newNVML(library(c))
		r.Read(nil)
		begin := r.seen["GPU-a"]
		samples := slices.Clone(takingTurns)
		want := map[int]float64{}
		for i := range samples {
			samples[i].TimeStamp = begin + uint64(i+1)*period
			want[int(samples[i].Pid)] += float64(samples[i].SmUtil) / 100 * period / 1e6
		}
		var got Reading
		for until := phase; until < len(samples)+5; until += 5 {
			c.GetProcessUtilizationFunc = driverOf(samples[:min(until, len(samples))])
			r.Read(nil)
			got = r.Read(nil) // at once again: nothing new, which is no rest
		}
		for pid, seconds := range want {
			assert.InDelta(t, seconds, usesOf(got)[useKey{"GPU-a", pid}].Busy, 0.03, "process %d, phase %d", pid, phase)
		}
	}
}

// A reading that fails drops only itself.
func TestNVMLNumbersThatFail(t *testing.T) {
	bad := card("GPU-bad")
	bad.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
	bad.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, nvml.ERROR_NOT_SUPPORTED }
	bad.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.ERROR_NO_PERMISSION }
	gone := card("")
	gone.GetUUIDFunc = func() (string, nvml.Return) { return "", nvml.ERROR_GPU_IS_LOST }
	got := newNVML(library(bad, gone, card("GPU-good"))).Read(nil)
	require.Len(t, got.Devices, 2)
	assert.Equal(t, 3, got.Failed)
	assert.False(t, got.Processes, "of one it is not known who uses it")
	d := device(t, got, "GPU-bad")
	assert.NotEqual(t, d.Values[Power], d.Values[Power])
	assert.NotEqual(t, d.Values[Utilization], d.Values[Utilization])
	assert.InDelta(t, 7000.5, d.Values[Energy], 0)
	assert.InDelta(t, 350.5, device(t, got, "GPU-good").Values[Power], 0)
}

// What the library of an older driver lacks is not called: that would end the process.
func TestAnOldDriver(t *testing.T) {
	c := card("GPU-a")
	c.GetTotalEnergyConsumptionFunc, c.GetProcessUtilizationFunc, c.GetMigModeFunc = nil, nil, nil // the mock panics
	lib := library(c)
	lib.ExtensionsFunc = func() nvml.ExtendedInterface {
		return &mock.ExtendedInterface{LookupSymbolFunc: func(name string) error {
			switch name {
			case "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetProcessUtilization", "nvmlDeviceGetMigMode":
				return errors.New("undefined symbol")
			}
			return nil
		}}
	}
	r := newNVML(lib)
	r.Read(nil)
	got := r.Read(nil)
	d := device(t, got, "GPU-a")
	assert.NotEqual(t, d.Values[Energy], d.Values[Energy])
	assert.InDelta(t, 350.5, d.Values[Power], 0)
	u := usesOf(got)[useKey{"GPU-a", 4711}]
	assert.NotEqual(t, u.Busy, u.Busy)
}

// The parts of a GPU have memory and processes of their own; power is the whole's.
func TestPartsOfAGPU(t *testing.T) {
	part := card("MIG-1")
	part.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{Total: 10 << 30, Used: 1 << 30}, nvml.SUCCESS }
	whole := card("GPU-a")
	whole.GetMigModeFunc = func() (int, int, nvml.Return) { return nvml.DEVICE_MIG_ENABLE, 0, nvml.SUCCESS }
	whole.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, nvml.ERROR_NOT_SUPPORTED }
	whole.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 2, nvml.SUCCESS }
	whole.GetMigDeviceHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		if i == 0 {
			return nil, nvml.ERROR_NOT_FOUND
		}
		return part, nvml.SUCCESS
	}
	got := newNVML(library(whole)).Read(nil)
	require.Len(t, got.Devices, 2)
	d := device(t, got, "MIG-1")
	assert.Equal(t, "GPU-a", d.Parent)
	assert.InDelta(t, 10<<30, d.Values[MemorySize], 0)
	assert.NotEqual(t, d.Values[Power], d.Values[Power])
	assert.InDelta(t, 350.5, device(t, got, "GPU-a").Values[Power], 0)
	for key := range usesOf(got) {
		assert.Equal(t, "MIG-1", key.device)
	}
	assert.Zero(t, got.Failed)
}

func TestWithoutADriver(t *testing.T) {
	for _, ret := range []nvml.Return{nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED} {
		assert.Nil(t, newNVML(&mock.Interface{InitFunc: func() nvml.Return { return ret }}))
	}
	none := library()
	assert.Nil(t, newNVML(none))
	assert.Len(t, none.ShutdownCalls(), 1)
}

// What did nothing for long is forgotten.
func TestProcessesThatEnded(t *testing.T) {
	r := newNVML(library(card("GPU-a")))
	r.busy[busyKey{"GPU-a", 1}] = busy{5, time.Now().Add(-2 * forgetProcess).UnixNano()}
	r.busy[busyKey{"GPU-a", 2}] = busy{5, time.Now().UnixNano()}
	r.Read(nil)
	assert.Len(t, r.busy, 1)
}
