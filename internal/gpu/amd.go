package gpu

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// amdReader reads what the kernel's driver shows of AMD's GPUs in files.
type amdReader struct {
	proc  string
	kfd   string // directory of the processes that compute
	cards []amdCard
}

// amdCard is one GPU: of an MI250X there are two.
type amdCard struct {
	device Device
	dir    string // of the device
	hwmon  string // "" if it has none
	kfdID  string // by which KFD calls it, "" if unknown
}

const amdVendor = "0x1002"

// openAMD returns nil where there is no GPU of AMD.
func openAMD(proc, sys string) Reader {
	dirs, _ := filepath.Glob(filepath.Join(sys, "class/drm/card*/device"))
	slices.SortFunc(dirs, func(a, b string) int { return cardNumber(a) - cardNumber(b) })
	r := &amdReader{proc: proc, kfd: filepath.Join(sys, "class/kfd/kfd/proc")}
	ids := kfdIDs(filepath.Join(sys, "class/kfd/kfd/topology/nodes"))
	for _, dir := range dirs {
		if cardNumber(dir) < 0 || textOf(filepath.Join(dir, "vendor")) != amdVendor {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "mem_info_vram_total")); err != nil {
			continue // another function of the card
		}
		slot := slotOf(dir)
		c := amdCard{
			device: Device{ID: slot, Index: len(r.cards), Name: textOf(filepath.Join(dir, "product_name")), Vendor: "amd"},
			dir:    dir, kfdID: ids[slot],
		}
		if c.device.Name == "" {
			c.device.Name = "AMD " + textOf(filepath.Join(dir, "device"))
		}
		if found, _ := filepath.Glob(filepath.Join(dir, "hwmon/hwmon*")); len(found) > 0 {
			c.hwmon = found[0]
		}
		r.cards = append(r.cards, c)
	}
	if len(r.cards) == 0 {
		return nil
	}
	return r
}

// cardNumber is -1 for what is not a card but one of its outputs: card0-DP-1.
func cardNumber(dir string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(dir)), "card"))
	if err != nil {
		return -1
	}
	return n
}

// slotOf is the address of a device on the bus, as in 0000:c1:00.0.
func slotOf(dir string) string {
	for _, line := range strings.Split(textOf(filepath.Join(dir, "uevent")), "\n") {
		if slot, ok := strings.CutPrefix(line, "PCI_SLOT_NAME="); ok {
			return slot
		}
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return filepath.Base(real)
	}
	return dir
}

// kfdIDs finds by which number KFD calls the GPU at an address.
func kfdIDs(nodes string) map[string]string {
	out := map[string]string{}
	list, _ := filepath.Glob(filepath.Join(nodes, "*"))
	for _, node := range list {
		id := textOf(filepath.Join(node, "gpu_id"))
		if id == "" || id == "0" { // a CPU
			continue
		}
		properties := map[string]uint64{}
		for _, line := range strings.Split(textOf(filepath.Join(node, "properties")), "\n") {
			if name, value, ok := strings.Cut(line, " "); ok {
				properties[name], _ = strconv.ParseUint(value, 10, 64)
			}
		}
		at := properties["location_id"]
		slot := hex(properties["domain"], 4) + ":" + hex(at>>8&0xff, 2) + ":" + hex(at>>3&0x1f, 2) + "." + strconv.FormatUint(at&7, 10)
		out[slot] = id
	}
	return out
}

func hex(n uint64, digits int) string {
	s := strconv.FormatUint(n, 16)
	for len(s) < digits {
		s = "0" + s
	}
	return s
}

func (*amdReader) Name() string { return "amdgpu" }
func (*amdReader) Close() error { return nil }

func (r *amdReader) Read(pids []int) Reading {
	out := Reading{At: time.Now().UnixNano()}
	for i := range r.cards {
		out.Devices = append(out.Devices, r.cards[i].read(&out))
	}
	r.uses(&out, pids)
	return out
}

func (c *amdCard) read(out *Reading) Device {
	d := c.device
	d.Values = procstat.Unknown()
	d.Values[Utilization] = out.number(filepath.Join(c.dir, "gpu_busy_percent"), 0.01)
	d.Values[Memory] = out.number(filepath.Join(c.dir, "mem_info_vram_used"), 1)
	d.Values[MemorySize] = out.number(filepath.Join(c.dir, "mem_info_vram_total"), 1)
	if c.hwmon != "" {
		for _, name := range []string{"power1_average", "power1_input"} {
			if d.Values[Power] = out.number(filepath.Join(c.hwmon, name), 1e-6); d.Values[Power] == d.Values[Power] {
				break
			}
		}
		d.Values[Temperature] = out.number(filepath.Join(c.hwmon, "temp1_input"), 1e-3)
		d.Values[Clock] = out.number(filepath.Join(c.hwmon, "freq1_input"), 1)
		d.Values[MemoryClock] = out.number(filepath.Join(c.hwmon, "freq2_input"), 1)
		d.Values[Energy] = out.number(filepath.Join(c.hwmon, "energy1_input"), 1e-6)
	}
	if d.Values[Energy] != d.Values[Energy] {
		d.Values[Energy] = out.accumulated(filepath.Join(c.dir, "gpu_metrics"))
	}
	return d
}

// number reads a file that is one; what is not there is unknown, what is there and cannot be read failed.
func (out *Reading) number(path string, unit float64) float64 {
	b, err := os.ReadFile(path)
	if err == nil {
		var n uint64
		if n, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil {
			return float64(n) * unit
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		out.Failed++
	}
	return unknown()
}

const (
	// energyStep is the unit of the driver's counter in J: 2^-16.
	energyStep = 1.0 / 65536
	energyAt   = 24
)

// accumulated is the energy in the driver's table of metrics, J. Formats 1.1 to 1.4 have it, at one place.
func (out *Reading) accumulated(path string) float64 {
	b, err := os.ReadFile(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			out.Failed++
		}
		return unknown()
	}
	if len(b) < energyAt+8 || b[2] != 1 || b[3] < 1 || b[3] > 4 {
		return unknown()
	}
	n := binary.LittleEndian.Uint64(b[energyAt:])
	if n == 0 || n == ^uint64(0) { // not kept by this GPU
		return unknown()
	}
	return float64(n) * energyStep
}

func textOf(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
