package tasktelemetryprocessor

import (
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
	"github.com/otelcol-mida/otelcol-mida/internal/samples"
)

// A processor that is in several pipelines has an instance in each. They share one sampler: the same processes would be
// sampled for each, and a task of one would not know of those of another that ran beside it.
var shared = struct {
	sync.Mutex
	by map[*Config]*sharing
}{by: map[*Config]*sharing{}}

type sharing struct {
	sampler  *sampler
	users    int
	withdraw func()
}

// acquire returns the sampler of a configuration, and whether this is its first user.
func acquire(id component.ID, cfg *Config, logger *zap.Logger) (s *sampler, first bool, err error) {
	shared.Lock()
	defer shared.Unlock()
	if one := shared.by[cfg]; one != nil {
		one.users++
		return one.sampler, false, nil
	}
	reader, err := procstat.Open(cfg.ProcPath)
	if err != nil {
		return nil, false, err
	}
	s = newSampler(cfg, reader)
	s.openCards()
	if len(cfg.EnergyCommand) > 0 {
		s.joules = newJoules(cfg, logger, func() bool { return len(s.living()) > 0 })
	}
	s.start()
	shared.by[cfg] = &sharing{sampler: s, users: 1, withdraw: samples.Offer(id, s)}
	return s, true, nil
}

// release ends the sampler with its last user.
func release(cfg *Config) {
	shared.Lock()
	defer shared.Unlock()
	one := shared.by[cfg]
	if one.users--; one.users > 0 {
		return
	}
	delete(shared.by, cfg)
	one.withdraw()
	one.sampler.shutdown()
}
