package tasktelemetryprocessor

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

const (
	attrLogPath = "log.file.path"
	// lookAgain is how long what is known of the writers of log files holds: to look for one reads the open files of all
	// processes.
	lookAgain = 10 * time.Second
)

// writers remembers which process writes a log. Used under the sampler's lock.
type writers struct {
	looked  map[string]time.Time
	last    time.Time
	network map[string]bool // whether other machines may write it
}

// elsewhere says whether a log may be another machine's: it lies on a network file system, and nobody here has it open. Then
// this host's numbers are not its tasks'.
func (s *sampler) elsewhere(path string) bool {
	s.mu.Lock()
	on, known := s.writers.network[path]
	s.mu.Unlock()
	if known {
		return on
	}
	on = s.onNetwork(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.writers.network) > maxOpen {
		clear(s.writers.network)
	}
	s.writers.network[path] = on
	return on
}

// writerOf is the process that writes the log of a resource, if one does and it may be seen; nil otherwise.
func (s *sampler) writerOf(resource pcommon.Map, now time.Time) *process {
	path := textOf(resource, attrLogPath)
	if path == "" {
		return nil
	}
	observer := "log " + path
	s.mu.Lock()
	due := now.Sub(s.writers.looked[path]) > lookAgain && now.Sub(s.writers.last) > lookAgain/10
	if due {
		if len(s.writers.looked) > maxOpen {
			clear(s.writers.looked)
		}
		s.writers.looked[path], s.writers.last = now, now
	}
	s.mu.Unlock()
	if due {
		if id, ok := s.reader.Writer(path); ok {
			s.watch(observer, id, 0, now)
		} else { // what was true may not be of the next run
			s.mu.Lock()
			delete(s.byObserver, observer)
			s.mu.Unlock()
		}
	}
	return s.of(observer)
}
