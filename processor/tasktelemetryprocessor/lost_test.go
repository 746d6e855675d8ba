package tasktelemetryprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// Kills that the kernel counts in the cgroup of a process, by seconds around the process's end; -1 is a cgroup that is gone.
func TestKillsInACgroup(t *testing.T) {
	died := time.Unix(1000, 0)
	for _, c := range []struct {
		name  string
		kills map[int]float64
		want  string
	}{
		{"a kill", map[int]float64{-2: 1, -1: 1, 0: 2, 1: 2, 4: 2}, "kills of the kernel for want of memory in the cgroup /job within 3s of the end of process 7, in which the task ran: 1"},
		{"and the job's cgroup went with the job", map[int]float64{-1: 0, 0: 1, 1: -1, 2: -1}, "kills of the kernel for want of memory in the cgroup /job within 3s of the end of process 7, in which the task ran: 1"},
		{"none", map[int]float64{-2: 1, 0: 1, 2: 1}, ""},
		{"long before, and long after", map[int]float64{-9: 0, -5: 1, 0: 1, 3: 1, 8: 2}, ""},
		{"nothing is known", map[int]float64{0: -1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			group := newAround(nil, &Config{History: 20})
			for s := -10; s <= 10; s++ {
				n, ok := c.kills[s]
				if !ok {
					continue
				}
				x := procstat.Sample{At: died.Add(time.Duration(s) * time.Second).UnixNano(), Values: procstat.Unknown()}
				if n >= 0 {
					x.Values[procstat.GroupOOMKills] = n
				}
				group.series.Add(x)
			}
			p := newProcess(procstat.Identity{PID: 7}, 20)
			p.group, p.groupPath, p.died = group, "/job", died
			assert.Equal(t, c.want, p.killed(nil))
		})
	}
}
