package task

import (
	"fmt"
	"strings"
)

// Status of a task. The order is the rank: over the facets of one attempt the highest wins.
type Status uint8

// The statuses, from the least to the most decided.
const (
	StatusUnknown Status = iota
	StatusSubmitted
	StatusRunning
	StatusFinished
	StatusFailed
	StatusCancelled
)

var statusNames = [...]string{"UNKNOWN", "SUBMITTED", "RUNNING", "FINISHED", "FAILED", "CANCELLED"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return statusNames[StatusUnknown]
}

// Ended says that the task will not change its status by itself any more.
func (s Status) Ended() bool { return s >= StatusFinished }

// ParseStatus reads a status name, in any case.
func ParseStatus(name string) (Status, error) {
	for i, n := range statusNames {
		if strings.EqualFold(n, name) {
			return Status(i), nil
		}
	}
	return StatusUnknown, fmt.Errorf("status %q: want one of %s", name, strings.Join(statusNames[:], ", "))
}
