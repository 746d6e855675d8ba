package tasktelemetryprocessor

import "golang.org/x/sys/unix"

// threadTime is the CPU time of this thread in seconds.
func threadTime() float64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return float64(t.Nano()) / 1e9
}
