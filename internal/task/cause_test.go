package task

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCauseOf(t *testing.T) {
	for _, c := range []struct{ class, message, want string }{
		{"torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; …)", CauseGPUMemory},
		{"RuntimeError", "CUDA out of memory. Tried to allocate 2.00 GiB", CauseGPUMemory},
		{"RuntimeError", "HIP out of memory. Tried to allocate 256.00 MiB", CauseGPUMemory},
		{"cupy.cuda.memory.OutOfMemoryError", "Out of memory allocating 8,000,000,000 bytes", CauseGPUMemory},
		{"jaxlib.xla_extension.XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes.", CauseGPUMemory},
		{"tensorflow.python.framework.errors_impl.ResourceExhaustedError", "OOM when allocating tensor with shape[1] on /job:localhost/device:GPU:0", CauseGPUMemory},
		{"MemoryError", "", CauseMemory},
		{"numpy._core._exceptions._ArrayMemoryError", "Unable to allocate 7.28 TiB for an array", CauseMemory},
		{"OSError", "[Errno 12] Cannot allocate memory", CauseMemory},
		{"", "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed.", CauseOOMKilled},
		{"", "Out of memory: Killed process 4242 (python)", CauseOOMKilled},
		{"TimeoutError", "", CauseTimeout},
		{"asyncio.exceptions.TimeoutError", "", CauseTimeout},
		{"subprocess.TimeoutExpired", "Command 'x' timed out after 5 seconds", CauseTimeout},
		{"", "slurmstepd: error: *** JOB 7 ON node-1 CANCELLED AT … DUE TO TIME LIMIT ***", CauseTimeout},
		{"ValueError", "bad 3", ""},
		{"ValueError", "timeout must be positive", ""},
		{"mylib.NoTimeoutErrorAtAll", "", ""},
		{"", "", ""},
	} {
		assert.Equal(t, c.want, CauseOf(c.class, c.message), "%s: %s", c.class, c.message)
	}
}

func TestErrorTypeIsTheCause(t *testing.T) {
	var s State
	failed := &Event{
		Name: EventFailed, Time: 2, Kind: "dask", Scope: "s", Key: "k", Attempt: 1, Facet: "worker", Status: StatusFailed,
		Attributes: map[string]any{"error.type": "torch.OutOfMemoryError", "exception.type": "torch.OutOfMemoryError", "exception.message": "CUDA out of memory."},
	}
	s.Apply(failed)
	d := Project(&s)
	assert.Equal(t, map[string]any{"type": CauseGPUMemory, "message": "CUDA out of memory."}, d.Error)
	assert.Equal(t, "torch.OutOfMemoryError", d.Attributes["exception.type"], "the class stays")

	// What somebody else saw wins, whoever spoke last.
	for _, at := range []int64{1, 3} {
		var s State
		killed := &Event{Name: EventFailed, Time: 2, Kind: "dask", Scope: "s", Key: "k", Attempt: NoAttempt, Facet: "scheduler", Status: StatusFailed,
			Attributes: map[string]any{"error.type": "distributed.scheduler.KilledWorker"}}
		s.Apply(killed)
		s.Apply(&Event{Name: EventProgress, Time: at, Kind: "dask", Scope: "s", Key: "k", Attempt: 1, Facet: "telemetry",
			Attributes: map[string]any{AttrCause: CauseOOMKilled, AttrEvidence: "the kernel counted it"}})
		d := Project(&s)
		assert.Equal(t, CauseOOMKilled, d.Error["type"])
		assert.Equal(t, "the kernel counted it", d.Error["evidence"])
	}
}
