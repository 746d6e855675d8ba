package tasktelemetryprocessor

import (
	"os"
	"sort"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-mida/otelcol-mida/internal/gpu"
	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

const scopeName = "github.com/otelcol-mida/otelcol-mida/processor/tasktelemetryprocessor"

// Metrics are the newest samples, as OpenTelemetry names them: of the host, of each watched process with its children, of each
// GPU. What could not be read is left out.
func (s *sampler) Metrics(now time.Time) pmetric.Metrics {
	out := pmetric.NewMetrics()
	hostname, _ := os.Hostname()
	m := &metrics{out: out, host: hostname, now: pcommon.NewTimestampFromTime(now)}
	m.resource()
	if s.host != nil {
		s.host.mu.Lock()
		m.ofHost(s.host.series)
		s.host.mu.Unlock()
	}
	if s.cards != nil {
		s.cards.metrics(m)
	}
	for _, p := range s.living() {
		p.mu.Lock()
		if x, ok := p.series.Last(); ok {
			m.resource()
			m.scope.Resource().Attributes().PutInt("process.pid", int64(p.id.PID))
			m.ofProcess(&x)
		}
		p.mu.Unlock()
	}
	out.ResourceMetrics().RemoveIf(func(r pmetric.ResourceMetrics) bool { return r.ScopeMetrics().At(0).Metrics().Len() == 0 })
	return out
}

type metrics struct {
	out    pmetric.Metrics
	host   string
	now    pcommon.Timestamp
	scope  pmetric.ResourceMetrics
	byName map[string]pmetric.Metric // of the resource
}

func (m *metrics) resource() {
	m.scope = m.out.ResourceMetrics().AppendEmpty()
	m.scope.Resource().Attributes().PutStr("host.name", m.host)
	m.scope.ScopeMetrics().AppendEmpty().Scope().SetName(scopeName)
	m.byName = map[string]pmetric.Metric{}
}

// labels are pairs of names and values.
type labels []string

// add adds a number, unless it is unknown. Counters grow for ever; what is up and down is a sum, too, if parts of it add up.
func (m *metrics) add(name, unit string, kind kind, at int64, v float64, of labels) {
	if v != v {
		return
	}
	one, ok := m.byName[name]
	if !ok {
		one = m.scope.ScopeMetrics().At(0).Metrics().AppendEmpty()
		one.SetName(name)
		one.SetUnit(unit)
		if kind == gauge {
			one.SetEmptyGauge()
		} else {
			one.SetEmptySum().SetIsMonotonic(kind == counter)
			one.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		}
		m.byName[name] = one
	}
	var point pmetric.NumberDataPoint
	if kind == gauge {
		point = one.Gauge().DataPoints().AppendEmpty()
	} else {
		point = one.Sum().DataPoints().AppendEmpty()
	}
	point.SetTimestamp(pcommon.Timestamp(at))
	point.SetDoubleValue(v)
	for i := 0; i < len(of); i += 2 {
		if of[i+1] != "" {
			point.Attributes().PutStr(of[i], of[i+1])
		}
	}
}

type kind int

const (
	gauge kind = iota
	counter
	upDown
)

func (m *metrics) ofHost(series *procstat.Series) {
	x, ok := series.Last()
	if !ok {
		return
	}
	if n := series.Len(); n > 1 {
		m.add("system.cpu.utilization", "1", gauge, x.At, utilization(series.Get(n-2).Values, x.Values), nil)
	}
	m.add("system.memory.usage", "By", upDown, x.At, x.Values[procstat.HostMemory], labels{"system.memory.state", "used"})
	m.add("system.memory.limit", "By", upDown, x.At, x.Values[procstat.HostMemorySize], nil)
	m.add("system.disk.io", "By", counter, x.At, x.Values[procstat.HostDiskRead], labels{"disk.io.direction", "read"})
	m.add("system.disk.io", "By", counter, x.At, x.Values[procstat.HostDiskWrite], labels{"disk.io.direction", "write"})
	m.add("system.network.io", "By", counter, x.At, x.Values[procstat.HostReceived], labels{"network.io.direction", "receive"})
	m.add("system.network.io", "By", counter, x.At, x.Values[procstat.HostSent], labels{"network.io.direction", "transmit"})
	m.add("hw.energy", "J", counter, x.At, x.Values[procstat.HostEnergy], labels{"hw.id", "processors", "hw.type", "cpu"})
}

func (m *metrics) ofProcess(x *procstat.Sample) {
	m.add("process.cpu.time", "s", counter, x.At, x.Values[procstat.CPU]+x.Values[procstat.ChildCPU], nil)
	m.add("process.memory.usage", "By", upDown, x.At, x.Values[procstat.Memory], nil)
	m.add("process.thread.count", "{thread}", upDown, x.At, x.Values[procstat.Threads], nil)
	m.add("process.disk.io", "By", counter, x.At, x.Values[procstat.DiskRead], labels{"disk.io.direction", "read"})
	m.add("process.disk.io", "By", counter, x.At, x.Values[procstat.DiskWrite], labels{"disk.io.direction", "write"})
}

// metrics adds the GPUs, and asks that they be read though nothing may run.
func (c *cards) metrics(m *metrics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = time.Now()
	ids := make([]string, 0, len(c.devices))
	for id := range c.devices {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		one := c.devices[id]
		x, ok := one.series.Last()
		if !ok || int64(m.now)-x.At > int64(staleCard) {
			continue
		}
		of := labels{"hw.id", id, "hw.name", one.Name, "hw.vendor", one.Vendor, "hw.parent", one.Parent}
		typed := append(labels{"hw.type", "gpu"}, of...)
		m.add("hw.gpu.utilization", "1", gauge, x.At, x.Values[gpu.Utilization], of)
		m.add("hw.gpu.memory.usage", "By", upDown, x.At, x.Values[gpu.Memory], of)
		m.add("hw.gpu.memory.limit", "By", upDown, x.At, x.Values[gpu.MemorySize], of)
		m.add("hw.gpu.clock", "Hz", gauge, x.At, x.Values[gpu.Clock], of)
		m.add("hw.power", "W", gauge, x.At, x.Values[gpu.Power], typed)
		m.add("hw.energy", "J", counter, x.At, x.Values[gpu.Energy], typed)
		m.add("hw.temperature", "Cel", gauge, x.At, x.Values[gpu.Temperature], typed)
	}
}
