// Package samples hands what the task telemetry processor samples to the receiver that makes metrics of it. Both run in one
// collector: to sample twice would cost twice.
package samples

import (
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Source knows the newest samples.
type Source interface {
	Metrics(now time.Time) pmetric.Metrics
}

var offers = struct {
	sync.Mutex
	by map[component.ID][]Source
}{by: map[component.ID][]Source{}}

// Offer makes a source known by the id of its processor until it is withdrawn.
func Offer(id component.ID, s Source) (withdraw func()) {
	offers.Lock()
	defer offers.Unlock()
	offers.by[id] = append(offers.by[id], s)
	return func() {
		offers.Lock()
		defer offers.Unlock()
		offers.by[id] = slices.DeleteFunc(offers.by[id], func(o Source) bool { return o == s })
		if len(offers.by[id]) == 0 {
			delete(offers.by, id)
		}
	}
}

// Of returns the source that was offered last, nil without one.
func Of(id component.ID) Source {
	offers.Lock()
	defer offers.Unlock()
	if list := offers.by[id]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}
