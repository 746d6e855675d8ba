package procstat

import "math"

// What a sample of a process tree holds. Counters grow for ever, gauges move.
const (
	CPU       = iota // s, the process itself, all threads
	ToolCPU          // s, the thread of the process that belongs to the tool rather than to its tasks
	ChildCPU         // s, its children: those that ended and were waited for, and those that live, with theirs
	DiskRead         // bytes that came from storage
	DiskWrite        // bytes that were sent to storage, or will be
	IORead           // bytes that reads returned, from caches and pipes too
	IOWrite          // bytes that were written, to caches and pipes too
	Memory           // bytes in physical memory, process and children; what they share counts for each
	Threads          // of the process itself
	Processes        // the process and its living descendants
	processValues
)

// Values are the numbers of one sample; NaN is what could not be read.
type Values [processValues]float64

// Unknown is a sample of which nothing could be read.
func Unknown() (v Values) {
	for i := range v {
		v[i] = math.NaN()
	}
	return v
}

// Counter says whether a value only grows.
func Counter(i int) bool { return i < Memory }
