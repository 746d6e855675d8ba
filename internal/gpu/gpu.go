// Package gpu reads what GPUs do and which processes use them: NVIDIA's by NVML, where the binary was built with it
// (make build-gpu), else by nvidia-smi; AMD's by what the kernel shows in files. Without a GPU there is no reader, and no
// error. A number that cannot be read is unknown; the others of its GPU stay.
package gpu

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// What a sample of a GPU holds.
const (
	Utilization = iota // share of the time in which something ran on it
	Memory             // bytes in use
	MemorySize         // bytes
	Power              // W
	Energy             // J, a counter; not all GPUs have one
	Temperature        // °C
	Clock              // Hz, of what computes
	MemoryClock        // Hz
)

// Device is a GPU, or a part of one that is given away by itself (MIG), at one time.
type Device struct {
	ID     string // its UUID, or its address on the bus
	Index  int    // by which visible devices may be named; that of a part is its parent's
	Name   string
	Vendor string // "nvidia", "amd"
	Parent string // ID of the whole GPU, for a part
	procstat.Values
	// PowerOver is how long before this time the power is the mean of; 0: it is of this moment, or nobody knows.
	PowerOver time.Duration
}

// Use is what a process has of a GPU.
type Use struct {
	PID    int // in the /proc of the host
	Device string
	Memory float64 // bytes; NaN = unknown
	// Busy is how long it kept the GPU busy, in s: a counter from any beginning. NaN = unknown.
	Busy float64
}

// Reading is what was read at one time.
type Reading struct {
	At      int64 // unix ns
	Devices []Device
	Uses    []Use
	// Processes says that all who use a GPU are in Uses, of whatever user; else some may be missing.
	Processes bool
	Failed    int // numbers that should be there and could not be read
}

// Reader reads the GPUs of one kind. Not for concurrent use.
type Reader interface {
	Name() string
	// Read returns what is known now. Some readers can see only the processes that they are asked about.
	Read(pids []int) Reading
	Close() error
}

// Roots are where the host's file systems are mounted, and its programs are.
type Roots struct {
	Proc, Sys string
	SMI       string // nvidia-smi; empty for none
}

// Open returns the readers of this host: none where there is no GPU.
func Open(roots Roots) []Reader {
	var out []Reader
	if r := openNVML(); r != nil {
		out = append(out, r)
	} else if r := openSMI(roots.SMI, smiInterval); r != nil {
		out = append(out, r)
	}
	if r := openAMD(roots.Proc, roots.Sys); r != nil {
		out = append(out, r)
	}
	return out
}

// Visible says whether a process that was given these values of variables may use a device, and whether they say so at all.
func Visible(d *Device, variables map[string]string) (visible, told bool) {
	for _, name := range variablesOf[d.Vendor] {
		list, ok := variables[name]
		if !ok {
			continue
		}
		told = true
		for _, one := range strings.Split(list, ",") {
			one = strings.TrimSpace(one)
			if index, err := strconv.Atoi(one); err == nil {
				if index < 0 {
					break // what comes after an invalid one is not visible
				}
				visible = visible || index == d.Index && d.Parent == ""
			} else if one != "" {
				visible = visible || strings.HasPrefix(d.ID, one)
			}
		}
		return visible, told
	}
	return false, false
}

// variablesOf name the visible devices; the first that is set counts.
var variablesOf = map[string][]string{
	"nvidia": {"CUDA_VISIBLE_DEVICES"},
	"amd":    {"ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"},
}

func unknown() float64 { return math.NaN() }
