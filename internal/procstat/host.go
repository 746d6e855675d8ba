package procstat

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What a sample of the host holds.
const (
	HostBusy       = iota // s of CPU, all of them
	HostCPU               // s of CPU that there were, idle ones too
	HostDiskRead          // bytes
	HostDiskWrite         // bytes
	HostReceived          // bytes, by all network devices
	HostSent              // bytes
	HostMemory            // bytes that are not available to programs
	HostMemorySize        // bytes
	HostOOMKills          // processes that the kernel killed for want of memory
	HostEnergy            // J, of its processors, since they were first read
)

// sector is the unit of /proc/diskstats, whatever the disk has.
const sector = 512

// Host reads the whole of a host again and again. Not for concurrent use.
type Host struct {
	proc, sys string
	buf       []byte
	disks     map[string]bool
	networks  *networks
	energy    *energy
}

// OpenHost reads the host whose /proc and /sys these are.
func OpenHost(proc, sys string) *Host {
	return &Host{proc: proc, sys: sys, buf: make([]byte, 64<<10), disks: disks(sys), networks: &networks{sys: sys}, energy: openEnergy(sys)}
}

// disks are the block devices that stand for themselves, not for a part of another one or for several.
func disks(sys string) map[string]bool {
	entries, err := os.ReadDir(filepath.Join(sys, "block"))
	if err != nil {
		return nil
	}
	out := map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, "loop") && !strings.HasPrefix(name, "ram") && !strings.HasPrefix(name, "dm-") && !strings.HasPrefix(name, "md") {
			out[name] = true
		}
	}
	return out
}

// Read takes a sample; what cannot be read is unknown.
func (h *Host) Read() Sample {
	x := Sample{At: time.Now().UnixNano(), Values: Unknown()}
	h.each("stat", func(f [][]byte) bool {
		if string(f[0]) != "cpu" || len(f) < 6 {
			return false
		}
		var all uint64
		for _, n := range f[1:min(len(f), 9)] { // guests count as user time already
			all += number(n)
		}
		x.Values[HostCPU] = float64(all) / ticks
		x.Values[HostBusy] = float64(all-number(f[4])-number(f[5])) / ticks // idle, waiting for disks
		return false
	})
	var size, available float64
	h.each("meminfo", func(f [][]byte) bool {
		switch string(f[0]) {
		case "MemTotal:":
			size = 1024 * float64(number(f[1]))
		case "MemAvailable:":
			available = 1024 * float64(number(f[1]))
			x.Values[HostMemory], x.Values[HostMemorySize] = size-available, size
			return false
		}
		return true
	})
	h.each("diskstats", func(f [][]byte) bool {
		if len(f) > 9 && h.disks[string(f[2])] {
			sum(&x.Values, HostDiskRead, sector*number(f[5]))
			sum(&x.Values, HostDiskWrite, sector*number(f[9]))
		}
		return true
	})
	h.each("net/dev", func(f [][]byte) bool {
		if len(f) > 9 && bytes.HasSuffix(f[0], []byte{':'}) && h.networks.counts(string(bytes.TrimSuffix(f[0], []byte{':'}))) {
			sum(&x.Values, HostReceived, number(f[1]))
			sum(&x.Values, HostSent, number(f[9]))
		}
		return true
	})
	x.Values[HostEnergy] = h.energy.read()
	h.each("vmstat", func(f [][]byte) bool {
		if string(f[0]) != "oom_kill" {
			return true
		}
		x.Values[HostOOMKills] = float64(number(f[1]))
		return false
	})
	return x
}

// sum adds to a value that may be unknown yet.
func sum(v *Values, i int, n uint64) {
	if v[i] != v[i] { // NaN
		v[i] = 0
	}
	v[i] += float64(n)
}

// each calls line with the fields of each line of a file until it returns false.
func (h *Host) each(name string, line func(fields [][]byte) bool) {
	f, err := os.Open(filepath.Join(h.proc, name))
	if err != nil {
		return
	}
	defer f.Close()
	b, err := read(f, h.buf)
	if err != nil {
		return
	}
	for len(b) > 0 {
		text, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		if fields := bytes.Fields(text); len(fields) > 1 && !line(fields) {
			return
		}
	}
}
