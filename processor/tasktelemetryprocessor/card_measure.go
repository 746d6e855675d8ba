package tasktelemetryprocessor

import (
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/gpu"
	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

// Names of metrics of GPUs.
const (
	gpuCount       = "hw.gpu.count"
	gpuUtilization = "hw.gpu.utilization"
	gpuMemory      = "hw.gpu.memory.usage"
	gpuEnergy      = "hw.energy.gpu"
	gpuPower       = "hw.power.gpu"
	gpuTemperature = "hw.temperature.gpu"
	gpuClock       = "hw.gpu.clock"
	ownGPUMemory   = "process.gpu.memory.usage"
	ownGPUTime     = "process.gpu.time"
	taskGPUTime    = "task.gpu.time"
	attrGPUs       = "hw.gpu.ids"
)

// Coverage of numbers of a GPU.
const (
	ofGPU     = "gpu"     // of the whole GPU, by whomever
	ofVisible = "visible" // of the whole GPU, which the task's process was given; whether it used it is not known here
)

// Rules by which the energy of a GPU is a task's.
const (
	ruleExclusive    = "gpu_exclusive"     // its process was the only one there
	ruleTimeShare    = "gpu_time_share"    // as its process kept the GPU busy, of what all did
	ruleProcessShare = "gpu_process_share" // in equal parts for each process that was there
	rulePart         = "gpu_part_share"    // of a whole GPU as much as the part has of its memory
)

// onCard is what is known of a task on one GPU.
type onCard struct {
	card, whole           *card          // whole is nil unless this is a part
	first, last           procstat.Point // of the GPU
	peak                  procstat.Values
	energy                float64        // J, by whomever; of the whole for a part
	ownFirst, ownLast     procstat.Point // of the task's process on it
	ownPeak               float64        // bytes
	interpolated, partial bool
}

// gpus adds what the GPUs did that the task's process used, and its part of their energy; the process's lock is held.
func (m *measured) gpus(c *cards, p *process, s span) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var used, given []*onCard
	blind := false
	for _, one := range c.devices {
		x := c.over(one, s)
		if x == nil {
			continue
		}
		blind = blind || one.blind || !one.complete
		if h := p.held[one.ID]; h != nil && x.holds(h, s) {
			used = append(used, x)
		}
		if yes, told := gpu.Visible(&one.Device, p.visible); told && yes {
			given = append(given, x)
		}
	}
	switch {
	case len(used) > 0:
		m.devices(used, ofGPU)
		m.own(used, s)
	case blind && len(given) > 0: // who uses these GPUs cannot be seen from here
		m.devices(given, ofVisible)
	}
}

// over looks up a GPU at both ends of a task; nil where it was not sampled then.
func (c *cards) over(one *card, s span) *onCard {
	oldest, ok := one.series.First()
	newest, _ := one.series.Last()
	if !ok || oldest.At > s.ended || newest.At < s.started {
		return nil
	}
	first, peak := one.series.from(s)
	x := &onCard{card: one, first: first, peak: peak}
	x.last, x.partial = c.end(one, s.ended)
	x.partial = x.partial || !x.first.Inside
	raise(&x.peak, x.first.Values)
	raise(&x.peak, x.last.Values)
	one.series.Max(&x.peak, s.started, s.ended)
	x.interpolated = float64(max(x.first.Away, x.last.Away)) > near*float64(s.ended-s.started)
	x.energy, x.whole = grownBy(gpu.Energy, x.first, x.last), c.devices[one.Parent]
	if x.whole != nil { // only the whole counts it
		last, _ := c.end(x.whole, s.ended)
		first, _ := x.whole.series.from(s)
		x.energy = grownBy(gpu.Energy, first, last)
	}
	return x
}

// end looks up the end of a task. If the next sample is still to come, the energy goes on as it did.
func (c *cards) end(one *card, at int64) (p procstat.Point, partial bool) {
	p = one.series.At(at)
	switch {
	case p.Inside:
		return p, false
	case p.Away > 2*int64(c.interval):
		return p, true
	}
	p.Values[gpu.Energy] += p.Values[gpu.Power] * float64(p.Away) / 1e9
	return p, false
}

func grownBy(value int, first, last procstat.Point) float64 {
	by, _ := grown(value, first, last)
	return by
}

// holds says whether the process had the GPU while the task ran: by a sample in between or, where there is none, by both
// around it. What it did before and after is not the task's.
func (x *onCard) holds(h *held, s span) bool {
	var inside procstat.Values
	x.ownFirst, inside = h.series.from(s)
	x.ownLast = h.series.At(s.ended)
	if h.series.Max(&inside, s.started, s.ended) > 0 {
		x.ownPeak = inside[heldMemory]
	} else {
		x.ownPeak = math.Min(x.ownFirst.Before[heldMemory], x.ownFirst.After[heldMemory])
	}
	return x.ownPeak > 0 || grownBy(heldBusy, x.ownFirst, x.ownLast) > 0
}

// devices adds what the GPUs did, by whomever: memory, power and energy of all of them, of the rest the greatest.
func (m *measured) devices(list []*onCard, whose string) {
	sum := func(value func(*onCard) float64) (total float64) {
		for _, x := range list {
			total += value(x)
		}
		return total
	}
	most := func(value func(*onCard) float64) float64 {
		top := math.NaN()
		for _, x := range list {
			if v := value(x); v > top || top != top {
				top = v
			}
		}
		return top
	}
	note := func(dst map[string]any, name string, v, step float64) {
		if v == v {
			dst[name], m.coverage[name] = math.Round(v/step)*step, whose
		}
	}
	m.peak[gpuCount], m.coverage[gpuCount] = int64(len(list)), whose
	var ids []string
	for _, x := range list {
		ids = append(ids, x.card.ID)
	}
	sort.Strings(ids)
	names := make([]any, len(ids))
	for i, id := range ids {
		names[i] = id
	}
	m.attributes = map[string]any{attrGPUs: names}
	for dst, value := range map[*map[string]any]func(*onCard) procstat.Values{
		&m.start: func(x *onCard) procstat.Values { return x.first.Values },
		&m.end:   func(x *onCard) procstat.Values { return x.last.Values },
		&m.peak:  func(x *onCard) procstat.Values { return x.peak },
	} {
		note(*dst, gpuUtilization, most(func(x *onCard) float64 { return value(x)[gpu.Utilization] }), 1e-4)
		if memory := sum(func(x *onCard) float64 { return value(x)[gpu.Memory] }); memory == memory {
			m.put(*dst, gpuMemory, memory)
			m.coverage[gpuMemory] = whose
		}
	}
	note(m.peak, gpuPower, sum(func(x *onCard) float64 { return x.peak[gpu.Power] }), 1e-3)
	note(m.peak, gpuTemperature, most(func(x *onCard) float64 { return x.peak[gpu.Temperature] }), 1e-1)
	note(m.peak, gpuClock, most(func(x *onCard) float64 { return x.peak[gpu.Clock] }), 1)
	energy := sum(func(x *onCard) float64 { return x.energy })
	note(m.delta, gpuEnergy, energy, 1e-3)
	if fromPower(list) && energy == energy {
		m.coverage[gpuEnergy] = whose + ", from power"
	}
}

func fromPower(list []*onCard) bool {
	return slices.ContainsFunc(list, func(x *onCard) bool { return x.card.fromPower || x.whole != nil && x.whole.fromPower })
}

// own adds what the task's process had of the GPUs, how long, and its part of their energy.
func (m *measured) own(list []*onCard, s span) {
	words := coverage{sharing: max(m.sharing, 1)}
	var memory, first, last, busy, joules float64
	var rules []string
	others := 1
	for _, x := range list {
		words.interpolated = words.interpolated || x.interpolated
		words.partial = words.partial || x.partial
		memory += known(x.ownPeak)
		first += known(x.ownFirst.Before[heldMemory])
		last += known(x.ownLast.Before[heldMemory])
		used := grownBy(heldBusy, x.ownFirst, x.ownLast)
		busy += used
		part, rule := x.part(used)
		joules += part
		if !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
		others = max(others, int(x.peak[cardUsers]))
	}
	words.interpolated = words.interpolated && !words.partial
	if memory > 1 { // less stands for what is not known
		m.put(m.start, ownGPUMemory, first)
		m.put(m.end, ownGPUMemory, last)
		m.put(m.peak, ownGPUMemory, memory)
		m.coverage[ownGPUMemory] = words.String()
	}
	if busy == busy {
		m.delta[ownGPUTime], m.coverage[ownGPUTime] = math.Round(busy*1e6)/1e6, words.String()
	}
	shared := words
	shared.sharing *= others
	m.delta[taskGPUTime] = math.Round(float64(len(list))*float64(s.ended-s.started)/1e3) / 1e6
	m.coverage[taskGPUTime] = shared.String()
	if joules == joules {
		sort.Strings(rules)
		m.delta[taskEnergyGPU] = math.Round(joules*1e3) / 1e3
		whose := strings.Join(rules, " + ") + ", " + words.String()
		if fromPower(list) {
			whose += ", from power"
		}
		m.coverage[taskEnergyGPU] = whose
	}
}

func known(v float64) float64 {
	if v != v {
		return 0
	}
	return v
}

// part is what of a GPU's energy is the process's, and by which rule.
func (x *onCard) part(busy float64) (joules float64, rule string) {
	total := grownBy(cardBusy, x.first, x.last)
	switch {
	case x.whole != nil:
		return x.energy * x.card.Values[gpu.MemorySize] / x.whole.Values[gpu.MemorySize], rulePart
	case x.peak[cardUsers] <= 1 && x.card.complete:
		return x.energy, ruleExclusive
	case total > 0 && busy == busy:
		return x.energy * math.Min(1, busy/total), ruleTimeShare
	default:
		return x.energy / math.Max(1, x.peak[cardUsers]), ruleProcessShare
	}
}
