package gpu

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// uses adds which processes use the GPUs: by KFD, which knows all that compute, and by their open files, which tell more but
// only of processes that this user may look into.
func (r *amdReader) uses(out *Reading, pids []int) {
	found := map[useKey]*Use{}
	at := func(device string, pid int) *Use {
		key := useKey{device, pid}
		if found[key] == nil {
			found[key] = &Use{PID: pid, Device: device, Memory: unknown(), Busy: unknown()}
		}
		return found[key]
	}
	if entries, err := os.ReadDir(r.kfd); err == nil {
		out.Processes = true
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			for i := range r.cards {
				c := &r.cards[i]
				if c.kfdID == "" {
					continue
				}
				memory := out.number(filepath.Join(r.kfd, e.Name(), "vram_"+c.kfdID), 1)
				if memory > 0 { // KFD lists each GPU that a process could use
					at(c.device.ID, pid).Memory = memory
				}
			}
		}
	}
	for _, pid := range pids {
		for _, c := range clientsOf(r.proc, pid) {
			u := at(c.device, pid)
			// Both count the same memory.
			if c.memory > u.Memory || u.Memory != u.Memory {
				u.Memory = c.memory
			}
			if c.busy == c.busy {
				u.Busy = c.busy
			}
		}
	}
	for _, u := range found {
		if r.has(u.Device) {
			out.Uses = append(out.Uses, *u)
		}
	}
}

func (r *amdReader) has(device string) bool {
	for i := range r.cards {
		if r.cards[i].device.ID == device {
			return true
		}
	}
	return false
}

// client is what a process has of one GPU by all its open files.
type client struct {
	device       string
	memory, busy float64
}

// clientsOf reads what the kernel says of a process's open GPUs (drm-usage-stats).
func clientsOf(proc string, pid int) []client {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	names, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return nil
	}
	byDevice := map[string]*client{}
	counted := map[string]bool{}
	for _, fd := range names {
		target, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if err != nil || !strings.HasPrefix(target, "/dev/dri/") {
			continue
		}
		info, err := os.ReadFile(filepath.Join(dir, "fdinfo", fd.Name()))
		if err != nil {
			continue
		}
		facts := drmFacts(string(info))
		device, id := facts["drm-pdev"], facts["drm-client-id"]
		if device == "" || counted[device+" "+id] { // a file that is open twice is one client
			continue
		}
		counted[device+" "+id] = true
		c := byDevice[device]
		if c == nil {
			c = &client{device: device, memory: unknown(), busy: unknown()}
			byDevice[device] = c
		}
		memory := facts["drm-memory-vram"]
		if memory == "" {
			memory = facts["drm-resident-vram"]
		}
		add(&c.memory, memory)
		for _, engine := range []string{"drm-engine-gfx", "drm-engine-compute"} {
			add(&c.busy, facts[engine])
		}
	}
	out := make([]client, 0, len(byDevice))
	for _, c := range byDevice {
		out = append(out, *c)
	}
	return out
}

func drmFacts(text string) map[string]string {
	out := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(name, "drm-") {
			out[name] = strings.TrimSpace(value)
		}
	}
	return out
}

var drmUnits = map[string]float64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "ns": 1e-9}

// add adds a number with its unit to what may be unknown yet.
func add(sum *float64, text string) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseUint(number, 10, 64)
	scale, ok := drmUnits[strings.TrimSpace(unit)]
	if err != nil || !ok {
		return
	}
	if *sum != *sum {
		*sum = 0
	}
	*sum += float64(n) * scale
}
