package elastic

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// serve answers requests of size bytes, at most workers at a time: more wait for each other.
func serve(p *pace, rounds, size, workers int, alone time.Duration) {
	for range rounds {
		limit, _ := p.now()
		for i := range limit {
			full, _, _ := p.begin(context.Background())
			if i == limit-1 {
				for range limit {
					waited := (limit + workers - 1) / workers
					p.end(outcome{full: full, bytes: size, took: alone * time.Duration(waited)})
				}
			}
		}
	}
}

func TestPaceFindsHowManyRequestsAServerTakes(t *testing.T) {
	slow, fast := newPace(64, 5<<20), newPace(64, 5<<20)
	serve(slow, 100, 1<<20, 1, 50*time.Millisecond)
	serve(fast, 100, 1<<20, 16, 50*time.Millisecond)
	few, _ := slow.now()
	many, _ := fast.now()
	require.LessOrEqual(t, few, 9)
	require.GreaterOrEqual(t, many, 16)
	require.Less(t, many, 40)
	large := newPace(64, 5<<20)
	large.serve(32)
	serve(large, 100, 1<<20, 16, 50*time.Millisecond)
	more, _ := large.now()
	require.Greater(t, more, many, "a server with many processors may have more waiting")
	bounded := newPace(3, 5<<20)
	serve(bounded, 100, 1<<20, 16, 50*time.Millisecond)
	most, _ := bounded.now()
	require.Equal(t, 3, most)
}

func TestPaceOfABusyServer(t *testing.T) {
	p := newPace(16, 4<<20)
	serve(p, 100, 1<<20, 16, 50*time.Millisecond)
	before, _ := p.now()
	p.running++
	p.end(outcome{bytes: 1 << 20, busy: true})
	requests, bytes := p.now()
	require.Equal(t, before/2, requests)
	require.Equal(t, 2<<20, bytes)
	for range 20 {
		p.running++
		p.end(outcome{bytes: 1 << 20, busy: true})
	}
	requests, bytes = p.now()
	require.Equal(t, 1, requests)
	require.Equal(t, leastBytes, bytes)
	serve(p, 100, 1<<20, 16, 50*time.Millisecond)
	requests, bytes = p.now()
	require.GreaterOrEqual(t, requests, 16)
	require.Equal(t, 4<<20, bytes)
}

func TestPaceOfSlowAnswersAndOfAProxyWithALimit(t *testing.T) {
	p := newPace(8, 4<<20)
	p.running = 3
	p.end(outcome{bytes: 4 << 20, took: slowAnswer + 1})
	_, bytes := p.now()
	require.Equal(t, 2<<20, bytes)
	p.end(outcome{bytes: 1 << 20, tooLarge: true})
	_, bytes = p.now()
	require.Equal(t, 512<<10, bytes)
	p.end(outcome{bytes: 512 << 10, took: time.Millisecond})
	_, bytes = p.now()
	require.Equal(t, 512<<10, bytes, "the proxy has not changed")
}

func TestPaceLetsFewWaitInASmallServer(t *testing.T) {
	p := newPace(64, 5<<20)
	p.serve(1)
	p.limit = 1 // so that it sees how fast the server is
	serve(p, 100, 1<<20, 1, 50*time.Millisecond)
	requests, _ := p.now()
	require.LessOrEqual(t, requests, 3)
	require.GreaterOrEqual(t, requests, 2, "one waits, so that the server has work")
}

func TestPaceIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1, 1<<20)
		_, _, err := p.begin(t.Context())
		require.NoError(t, err)
		var order []int
		gone, leave := context.WithCancel(t.Context())
		for i := range 5 {
			ctx := t.Context()
			if i == 2 {
				ctx = gone
			}
			go func() {
				if _, _, err := p.begin(ctx); err == nil {
					order = append(order, i)
				}
			}()
			synctest.Wait()
		}
		leave()
		for range 5 {
			p.end(outcome{bytes: 1, took: time.Millisecond})
			synctest.Wait()
		}
		require.Equal(t, []int{0, 1, 3, 4}, order, "who waits no longer holds nobody up")
		require.Zero(t, p.running)
	})
}

func TestPaceWaitsNoLongerThanItsCaller(t *testing.T) {
	p := newPace(1, 1<<20)
	_, _, err := p.begin(t.Context())
	require.NoError(t, err)
	ended, end := context.WithCancel(t.Context())
	end()
	_, _, err = p.begin(ended)
	require.ErrorIs(t, err, context.Canceled)
}
