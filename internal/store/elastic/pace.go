package elastic

import (
	"context"
	"math"
	"slices"
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
	waiting []chan struct{} // of the requests that wait, closed when one may begin

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
	baseBytes  = 64 << 10
	fastestOf  = 500
	slowAnswer = 5 * time.Second
)

func newPace(most, mostBytes int) *pace {
	return &pace{
		limit: min(2, most), most: most, bytes: mostBytes, mostBytes: mostBytes,
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

// begin waits until one more request may run, in the order of the calls. full says that there is no room for another one
// beside it, idle how many processors of the server nothing runs for.
func (p *pace) begin(ctx context.Context) (full bool, idle int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	p.admit()
	p.mu.Unlock()
	select {
	case <-turn:
	case <-ctx.Done():
	}
	p.mu.Lock()
	if i := slices.Index(p.waiting, turn); i >= 0 { // ctx ended before its turn came
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return false, 0, ctx.Err()
	}
	return p.running >= p.limit, max(0, min(p.limit, p.processors)-p.running), nil
}

// admit lets those run that have waited longest.
func (p *pace) admit() {
	for p.running < p.limit && len(p.waiting) > 0 {
		p.running++
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
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
	p.admit()
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
	few, many := p.queue()
	switch {
	case queued < float64(few) && o.full: // more would run if they might
		p.limit = min(p.most, p.limit+1)
	case queued > float64(many):
		p.limit = max(1, p.limit-1)
	}
}

// queue says how few requests must wait in the server, so that it never waits for us, and how many may. Each that waits
// is one more before what ends a call: its last tasks, and then its observers.
func (p *pace) queue() (few, many int) {
	if p.processors == 0 {
		return 4, 8
	}
	return max(1, p.processors/2), max(2, p.processors)
}
