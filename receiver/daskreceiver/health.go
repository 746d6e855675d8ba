package daskreceiver

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver/internal/metadata"
)

const (
	maxObservers = 10_000 // that are remembered at a time
	maxKinds     = 200    // of faults of one observer
	maxLabels    = 50     // of a metric; more become "other"
)

// health counts and explains what observers in Dask processes say about themselves in their checkpoints: faults that they
// kept from the job, and events that they lost. Each checkpoint holds totals since its observer began, so only what rose
// is news. It is used by one goroutine, but losses.
type health struct {
	logger  *zap.Logger
	tel     *metadata.TelemetryBuilder
	known   *lru.Cache[string, totals] // by observer id
	where   labels
	reasons labels

	mu   sync.Mutex
	lost map[string]int64 // by the metric's reason, for whoever asks meanwhile
}

// totals of one observer, by the kind of fault and by the reason of a loss.
type totals struct{ faults, lost map[string]int64 }

func newHealth(logger *zap.Logger, tel *metadata.TelemetryBuilder) (*health, error) {
	known, err := lru.New[string, totals](maxObservers)
	if err != nil {
		return nil, err
	}
	return &health{logger: logger, tel: tel, known: known, where: labels{}, reasons: labels{}, lost: map[string]int64{}}, nil
}

// checkpoint takes one in.
func (h *health) checkpoint(e *task.Event) {
	record, ok := e.Record.(map[string]any)
	if !ok {
		return
	}
	before, ok := h.known.Get(e.ObserverID)
	if !ok {
		before = totals{faults: map[string]int64{}, lost: map[string]int64{}}
	}
	ctx := context.Background()
	for kind, n := range faultsOf(record) {
		news, first := rise(before.faults, kind, n)
		if news == 0 {
			continue
		}
		where, _, _ := strings.Cut(kind, ":")
		h.tel.ReceiverDaskPluginFaults.Add(ctx, news, metric.WithAttributes(attribute.String("where", h.where.of(where))))
		if first {
			h.logger.Warn("an observer in a Dask process had a fault, which it kept from the job",
				zap.String("observer", e.ObserverID), zap.String("fault", kind), zap.Int64("times", n))
		}
	}
	for reason, n := range lostOf(record) {
		news, first := rise(before.lost, reason, n)
		if news == 0 {
			continue
		}
		h.mu.Lock()
		h.lost["lost in a Dask process: "+h.reasons.of(reason)] += news
		h.mu.Unlock()
		h.tel.ReceiverDaskPluginDropped.Add(ctx, news, metric.WithAttributes(attribute.String("reason", h.reasons.of(reason))))
		if first {
			h.logger.Warn("an observer in a Dask process lost events before they were in its journal",
				zap.String("observer", e.ObserverID), zap.String("reason", reason), zap.Int64("events", n))
		}
	}
	switch final, _ := record["final"].(bool); {
	case final:
		h.known.Remove(e.ObserverID)
	case len(before.faults)+len(before.lost) > 0:
		h.known.Add(e.ObserverID, before)
	}
}

// losses are what observers in Dask processes lost, by reason.
func (h *health) losses() []control.Count {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []control.Count
	for _, reason := range slices.Sorted(maps.Keys(h.lost)) {
		list = append(list, control.Count{What: reason, N: h.lost[reason]})
	}
	return list
}

// rise notes a total. It returns by how much it rose, and whether it is the first of its name.
func rise(known map[string]int64, name string, n int64) (news int64, first bool) {
	before, ok := known[name]
	if n <= before || !ok && len(known) >= maxKinds {
		return 0, false
	}
	known[name] = n
	return n - before, !ok
}

// faultsOf returns the faults of a checkpoint: "where: what" → how often.
func faultsOf(record map[string]any) map[string]int64 {
	out := map[string]int64{}
	faults, _ := record["errors"].(map[string]any)
	for kind, v := range faults {
		out[kind], _ = v.(int64)
	}
	for key, kind := range map[string]string{
		"paths_missed":     "paths: not resolved in time; their links may be missing",
		"segments_removed": "journal: segments were removed while they were written; what was in them may be lost",
	} {
		if n, _ := record[key].(int64); n > 0 {
			out[kind] = n
		}
	}
	return out
}

// lostOf returns how many events of a checkpoint's ranges were lost, by reason.
func lostOf(record map[string]any) map[string]int64 {
	out := map[string]int64{}
	ranges, _ := record["dropped"].([]any)
	for _, r := range ranges {
		l, _ := r.([]any)
		if len(l) < 2 {
			continue
		}
		first, ok1 := l[0].(int64)
		last, ok2 := l[1].(int64)
		if !ok1 || !ok2 || last < first {
			continue
		}
		reason := "unknown"
		if len(l) > 2 {
			if s, _ := l[2].(string); s != "" {
				reason = s
			}
		}
		out[reason] += last - first + 1
	}
	return out
}

// labels bounds the values of a metric's attribute: journals hold what anybody wrote.
type labels map[string]struct{}

func (l labels) of(s string) string {
	if len(s) > 60 {
		s = s[:60]
	}
	s = strings.ToValidUTF8(s, "")
	if _, ok := l[s]; !ok {
		if len(l) >= maxLabels {
			return "other"
		}
		l[strings.Clone(s)] = struct{}{}
	}
	return s
}
