package task

import "strings"

// AttrCause is what ended the process of a task, as somebody other than the task saw it: one of the causes below.
// AttrEvidence says what exactly was seen.
const (
	AttrCause    = "mida.error.cause"
	AttrEvidence = "mida.error.evidence"
)

// Causes that many tools report in many words; a query finds each by one error.type.
const (
	CauseGPUMemory = "gpu_out_of_memory"
	CauseMemory    = "out_of_memory" // the program was refused memory
	CauseOOMKilled = "oom_killed"    // the kernel, a batch system, or Dask's nanny, killed it for want of memory
	CauseTimeout   = "timeout"
)

// causes are looked for in this order: in the class of the exception, then in what it says. All in lower case.
var causes = []struct {
	cause    string
	types    []string // the last part of the class
	messages []string
}{
	{CauseGPUMemory, []string{"torch.cuda.outofmemoryerror", "torch.outofmemoryerror", "cupy.cuda.memory.outofmemoryerror", "cudaoutofmemoryerror"}, []string{
		"cuda out of memory", "hip out of memory", "xpu out of memory", "cuda_error_out_of_memory", "cudaerrormemoryallocation",
		"hiperroroutofmemory", "cublas_status_alloc_failed", "cudnn_status_alloc_failed", "resource_exhausted: out of memory",
		"out of memory allocating", "oom when allocating tensor",
	}},
	{CauseOOMKilled, nil, []string{
		"oom-kill", "oom_kill", "oom kill", "out of memory: kill", "exceeded memory limit", "out-of-memory handler",
		"out_of_memory", "memory budget. restarting",
	}},
	{CauseMemory, []string{"memoryerror", "arraymemoryerror"}, []string{"cannot allocate memory", "std::bad_alloc", "unable to allocate"}},
	{CauseTimeout, []string{"timeouterror", "timeoutexpired", "timeout", "readtimeout", "connecttimeout"}, []string{"due to time limit"}},
}

// CauseOf names the cause of an error by its class and message, "" for one that is none of those above.
func CauseOf(class, message string) string {
	class, message = strings.ToLower(class), strings.ToLower(message)
	last := class[strings.LastIndexByte(class, '.')+1:]
	for _, c := range causes {
		for _, t := range c.types {
			if class == t || !strings.Contains(t, ".") && last == t {
				return c.cause
			}
		}
		for _, m := range c.messages {
			if strings.Contains(message, m) {
				return c.cause
			}
		}
	}
	return ""
}
