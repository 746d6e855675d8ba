package elastic

import (
	"context"
	"math"
	"sync"
	"time"
)

// pace decides how many bulk requests run at a time and how large they are, from how the server answers:
//
//   - It is too busy (429, 5xx): half as many requests, half as large.
//   - Its answers take longer the more requests there are, for the same number of bytes: the requests only wait for each
//     other. A few may, so that the server never waits for us (TCP Vegas does the same); with fewer there is one more. The
//     more processors a server has, the more may: all of them work, though each answer takes longer than it would alone.
//   - An answer takes longer than slowAnswer: half as large. Else they grow again.
//   - A proxy takes no request of that size (413): never as large again.
type pace struct {
	mu      sync.Mutex
	changed chan struct{} // closed when a request may begin

	running, limit, most int
	processors           int // of the server; 0: unknown
	bytes, mostBytes     int

	// The least seconds per byte, of this and of the last fastestOf requests: as fast as the server can be.
	fastest, fastestBefore float64
	samples                int
}

const (
	leastBytes = 256 << 10
	// baseBytes stands for what a request costs that has nothing in it.
	baseBytes = 64 << 10
	// So many requests may wait in the server, or half as many as it has processors, and as many as it has.
	fewQueued, manyQueued = 4, 8
	fastestOf             = 500
	slowAnswer            = 5 * time.Second
)

func newPace(most, mostBytes int) *pace {
	return &pace{
		limit: min(2, most), most: most, bytes: mostBytes, mostBytes: mostBytes, changed: make(chan struct{}),
		fastest: math.Inf(1), fastestBefore: math.Inf(1),
	}
}

// now returns how many requests may run at a time, and how large they may be.
func (p *pace) now() (requests, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit, p.bytes
}

// serve says how many processors the server has.
func (p *pace) serve(processors int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.processors = processors
}

// begin waits until one more request may run. full says that there is no room for another one beside it, idle how many
// processors of the server nothing runs for.
func (p *pace) begin(ctx context.Context) (full bool, idle int, err error) {
	for {
		p.mu.Lock()
		if p.running < p.limit {
			p.running++
			full, idle = p.running == p.limit, max(0, min(p.limit, p.processors)-p.running)
			p.mu.Unlock()
			return full, idle, nil
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false, 0, ctx.Err()
		}
	}
}

// outcome is what became of a bulk request.
type outcome struct {
	full     bool // as begin said
	bytes    int
	took     time.Duration
	busy     bool // the server was too busy for it, or could not be reached
	tooLarge bool
}

func (p *pace) end(o outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	switch {
	case o.tooLarge:
		p.mostBytes = max(1, min(p.mostBytes, o.bytes/2))
		p.bytes = min(p.bytes, p.mostBytes)
	case o.busy:
		p.limit = max(1, p.limit/2)
		p.shrink()
	default:
		p.answered(o)
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pace) shrink() { p.bytes = min(p.mostBytes, max(leastBytes, p.bytes/2)) }

func (p *pace) answered(o outcome) {
	if o.took > slowAnswer {
		p.shrink()
	} else {
		p.bytes = min(p.mostBytes, p.bytes+p.bytes/8)
	}
	took := o.took.Seconds() / float64(o.bytes+baseBytes)
	p.fastest = min(p.fastest, took)
	best := min(p.fastest, p.fastestBefore)
	if p.samples++; p.samples == fastestOf { // the server may have become slower, or the documents dearer
		p.samples, p.fastestBefore, p.fastest = 0, p.fastest, math.Inf(1)
	}
	queued := float64(p.limit) * (1 - best/took)
	switch {
	case queued < float64(max(fewQueued, p.processors/2)) && o.full: // more would run if they might
		p.limit = min(p.most, p.limit+1)
	case queued > float64(max(manyQueued, p.processors)):
		p.limit = max(1, p.limit-1)
	}
}
