package sqlite

import "time"

// meeting lets senders that write at the same time meet in one transaction, as a commit costs the same for few events and
// for many, and a task that starts and ends in one is written once. Whoever writes alone never waits.
type meeting struct {
	longest time.Duration // the most that a group waits

	crowd  int // how many calls came together lately: those of one transaction and those that waited behind it
	missed int // transactions since then at which fewer came
	took   time.Duration
	ended  time.Time
	until  time.Time // when the present group stops waiting; zero = it has not begun to
}

const (
	minMeeting    = 5 * time.Millisecond
	maxMissed     = 2           // after so many, who comes alone waits for nobody
	smallGroup    = 64          // events from which on to wait costs more than a commit of its own
	crowdDisperse = time.Second // after this long, senders that came together have gone their ways
)

// next returns the next call for a group that has some calls and events already, nil when it should be stored now.
func (m *meeting) next(queue <-chan *call, calls, events int) *call {
	select {
	case c := <-queue: // nil once the queue is closed
		return c
	default:
	}
	wait := m.patience(calls, events, time.Now())
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case c := <-queue:
		return c
	case <-timer.C:
		return nil
	}
}

// patience is how much longer a group waits for the others: about as long as the last transaction took.
func (m *meeting) patience(calls, events int, now time.Time) time.Duration {
	if calls >= m.crowd || events >= smallGroup || now.Sub(m.ended) > crowdDisperse {
		return 0
	}
	if m.until.IsZero() {
		m.until = now.Add(min(max(m.took, minMeeting), m.longest))
	}
	return m.until.Sub(now)
}

// stored notes that a group of calls was stored, and how many calls wait now.
func (m *meeting) stored(calls, waiting int, took time.Duration, now time.Time) {
	if came := calls + waiting; came < m.crowd && m.missed < maxMissed {
		m.missed++
	} else {
		m.crowd, m.missed = came, 0
	}
	m.took, m.ended, m.until = took, now, time.Time{}
}
