package mlflowreceiver

import (
	"context"
	"time"
)

// pass goes over a whole table, so that rows in places that became free are found, too. It is repeated until one began
// after the last commit. The server counts inserted rows, late and with those that were rolled back: when it counted more
// than were found, the pass hurries.
type pass struct {
	scan
	unseen   unseen // by the last one
	version  string // of the database when it began
	counting bool   // counter was read
	counter  int64  // of the server
	counted  int64  // inserted rows since the first look
	found    int64  // rows found since then
	allowed  int64  // how much less may be found, because a whole pass found no more
}

// calmFor is how many times as long as a hurried pass took none hurries, for rows that are rolled back count as well.
const calmFor = 10

// hasPass leaves out runs and their tags: the sweep compares all of them.
func (h *heap) hasPass() bool { return h.table != "runs" && h.table != "tags" }

func (p *pass) count(counter int64) {
	switch {
	case !p.counting:
		p.counting = true
	case counter < p.counter: // the server lost its count
		p.counted, p.found, p.allowed = 0, 0, 0
	default:
		p.counted += counter - p.counter
	}
	p.counter = counter
}

func (p *pass) behind() bool { return p.counted-p.found > p.allowed }

// covered says that all rows up to this version are known.
func (p *pass) covered(version string) {
	p.busy, p.version = false, version
	p.allowed = max(p.allowed, p.counted-p.found)
}

func (p *postgres) pending() bool {
	for _, h := range p.heaps {
		if h.hasPass() && h.pass.busy {
			return true
		}
	}
	return false
}

// passes goes on with them for some milliseconds, and says that it should be called again at once.
func (p *postgres) passes(ctx context.Context, d *database, version string, r *reader, touched map[string]struct{}) (bool, error) {
	hurry := false
	for _, h := range p.heaps {
		if !h.hasPass() || h.known == nil {
			continue
		}
		if !h.pass.busy && h.pass.version != version {
			h.pass.scan, h.pass.version = scan{busy: true, of: h.pass.unseen, then: p.unseen}, version
		}
		hurry = hurry || h.pass.busy && h.pass.behind()
	}
	hurry = hurry && time.Now().After(p.calm)
	if !hurry && time.Since(p.stepped) < p.settings.bounds().MaxInterval {
		return false, nil
	}
	p.stepped = time.Now()
	if hurry && p.hurried.IsZero() {
		p.hurried = p.stepped
	}
	for _, h := range p.heaps {
		for h.hasPass() && h.pass.busy {
			if time.Since(p.stepped) >= sweepFor {
				return hurry, nil
			}
			if err := p.goOn(ctx, d, h, r, touched); err != nil {
				return false, err
			}
		}
	}
	if !p.hurried.IsZero() {
		p.calm, p.hurried = time.Now().Add(calmFor*time.Since(p.hurried)), time.Time{}
	}
	return false, nil
}

// goOn reads the next blocks of a pass.
func (p *postgres) goOn(ctx context.Context, d *database, h *heap, r *reader, touched map[string]struct{}) error {
	s := h.pass.scan
	var found []arrival
	var end bool
	err := d.read(ctx, r.count, func(tx rows) error {
		now, err := p.look(tx)
		if err != nil || h.seen != h.file { // then tails begins anew
			return err
		}
		if s.begin == 0 {
			s.begin = now.oldest
		}
		found, end, err = h.step(tx, &s, now, passBlocks)
		return err
	})
	if err != nil {
		return err
	}
	h.add(found, r.histories, touched)
	h.pass.scan = s
	if h.seen != h.file {
		h.pass.busy = false
	} else if end {
		h.since = s.begin
		h.pass.covered(h.pass.version)
		h.pass.unseen = s.then
		h.forget()
	}
	return nil
}
