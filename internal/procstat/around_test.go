package procstat

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHost(t *testing.T) {
	proc, sys := newTree(t), newTree(t)
	proc.write("stat", "cpu  1000 50 300 5000 200 10 40 0 7 0\ncpu0 500 25 150 2500 100 5 20 0 3 0\nintr 1\n")
	proc.write("meminfo", "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\nBuffers: 5 kB\n")
	proc.write("diskstats", " 254       0 vda 100 0 2000 5 100 0 4000 5 0 5 10\n 254       1 vda1 100 0 2000 5 100 0 4000 5 0 5 10\n"+
		"   7       0 loop0 1 0 1000 5 1 0 1000 5 0 5 10\n   8      16 sdb 1 0 10 5 1 0 20 5 0 5 10\n")
	proc.write("net/dev", "Inter-|   Receive                                                |  Transmit\n"+
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"+
		"    lo:  999 1 0 0 0 0 0 0  999 1 0 0 0 0 0 0\n  eth0: 5000 10 0 0 0 0 0 0 700 8 0 0 0 0 0 0\n   ib0: 50 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n")
	proc.write("vmstat", "nr_free_pages 5\nnr_inactive_anon 7\noom_kill 3\nswap_ra 9\n")
	for _, disk := range []string{"vda", "loop0", "sdb", "dm-0"} {
		sys.write(filepath.Join("block", disk, "size"), "1")
	}
	x := OpenHost(proc.dir, sys.dir).Read()
	assert.Equal(t, []float64{14, 66, 2010 * 512, 4020 * 512, 5050, 707, 400 * 1024, 1000 * 1024, 3}, x.Values[:HostOOMKills+1])
	x = OpenHost(t.TempDir(), t.TempDir()).Read()
	for i, v := range x.Values {
		assert.NotEqual(t, v, v, "unknown, not zero: %d", i)
	}
}

// What goes through a bond or a bridge goes through a device as well, and counts once; in a container there is no device.
func TestNetworksCountOnce(t *testing.T) {
	proc, sys := newTree(t), newTree(t)
	const head = "Inter-|   Receive |  Transmit\n face |bytes packets\n"
	line := func(name, bytes string) string {
		return name + ": " + bytes + " 1 0 0 0 0 0 0 " + bytes + " 1 0 0 0 0 0 0\n"
	}
	proc.write("net/dev", head+line("lo", "999")+line("eth0", "100")+line("eth1", "10")+line("bond0", "110")+line("br0", "110")+line("veth7", "50"))
	for _, name := range []string{"lo", "bond0", "br0", "veth7", "eth0", "eth1"} {
		sys.write("class/net/"+name+"/mtu", "1500\n")
	}
	sys.write("class/net/eth0/device/vendor", "0x8086\n")
	sys.write("class/net/eth1/device/vendor", "0x8086\n")
	h := OpenHost(proc.dir, sys.dir)
	assert.InDelta(t, 110, h.Read().Values[HostReceived], 0)
	sys.write("class/net/ib0/device/vendor", "0x15b3\n")
	proc.write("net/dev", head+line("eth0", "100")+line("ib0", "1000")+line("bond0", "110"))
	assert.InDelta(t, 1100, h.Read().Values[HostSent], 0, "one that came later")

	container := newTree(t)
	container.write("class/net/eth0/mtu", "1500\n")
	proc.write("net/dev", head+line("lo", "999")+line("eth0", "7"))
	assert.InDelta(t, 7, OpenHost(proc.dir, container.dir).Read().Values[HostReceived], 0)
}

// A counter of energy begins again now and then; what cannot be read is unknown, and never zero.
func TestEnergy(t *testing.T) {
	proc, sys := newTree(t), newTree(t)
	zone := func(name, kind, energy string) {
		sys.write("class/powercap/"+name+"/name", kind+"\n")
		sys.write("class/powercap/"+name+"/max_energy_range_uj", "1000000000\n")
		sys.write("class/powercap/"+name+"/energy_uj", energy+"\n")
	}
	zone("intel-rapl:0", "package-0", "100000000")
	zone("intel-rapl:1", "package-1", "990000000")
	zone("intel-rapl:0:0", "core", "77")
	zone("intel-rapl:0:1", "dram", "5000000")
	zone("intel-rapl-mmio:0", "package-0", "100000000")
	h := OpenHost(proc.dir, sys.dir)
	assert.InDelta(t, 0, h.Read().Values[HostEnergy], 0)
	zone("intel-rapl:0", "package-0", "103000000")
	zone("intel-rapl:1", "package-1", "2000000")
	zone("intel-rapl:0:0", "core", "2000077")
	zone("intel-rapl:0:1", "dram", "5500000")
	assert.InDelta(t, 3+12+0.5, h.Read().Values[HostEnergy], 1e-9)
	require.NoError(t, os.Remove(filepath.Join(sys.dir, "class/powercap/intel-rapl:1/energy_uj")))
	assert.True(t, math.IsNaN(h.Read().Values[HostEnergy]))
	assert.True(t, math.IsNaN(OpenHost(proc.dir, t.TempDir()).Read().Values[HostEnergy]))
}

func TestCgroups(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		files       map[string]string
		path        string
		want        [3]float64 // CPU, kills, memory
	}{
		{
			name: "version 2", lines: "0::/slurm/job_7/step_0\n", path: "/slurm/job_7/step_0",
			files: map[string]string{
				"slurm/job_7/step_0/memory.current": "4096\n", "slurm/job_7/step_0/memory.events": "low 0\nhigh 3\nmax 2\noom 1\noom_kill 1\n",
				"slurm/job_7/step_0/cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n",
			},
			want: [3]float64{2.5, 1, 4096},
		},
		{
			name: "version 1", lines: "9:name=systemd:/\n4:memory:/job/a\n2:cpu,cpuacct:/job/b\n0::/\n", path: "/job/a",
			files: map[string]string{
				"memory/job/a/memory.usage_in_bytes": "8192\n", "memory/job/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
				"cpuacct/job/b/cpuacct.usage": "1500000000\n",
			},
			want: [3]float64{1.5, 2, 8192},
		},
		{name: "the root is the whole host", lines: "0::/\n", files: map[string]string{"memory.current": "1"}},
		{name: "not mounted here", lines: "0::/user.slice\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proc, sys := newTree(t), newTree(t)
			proc.process(100, "worker", procFacts{start: 5})
			proc.write("100/cgroup", c.lines)
			for name, text := range c.files {
				sys.write(filepath.Join("fs/cgroup", name), text)
			}
			p, err := proc.open().Attach(Identity{boot, 0, 100, 5}, 0)
			require.NoError(t, err)
			defer p.Close()
			g := p.Group(sys.dir)
			if c.path == "" {
				assert.Nil(t, g)
				return
			}
			require.NotNil(t, g)
			assert.Equal(t, c.path, g.Path)
			x := g.Read()
			assert.Equal(t, c.want, [3]float64{x.Values[GroupCPU], x.Values[GroupOOMKills], x.Values[GroupMemory]})
		})
	}
}
