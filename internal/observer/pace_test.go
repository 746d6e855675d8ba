package observer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPaceFollowsWhatLooksCost(t *testing.T) {
	p := NewPace(Batch{MinInterval: 100 * time.Millisecond, MaxInterval: 400 * time.Millisecond})
	assert.Equal(t, 100*time.Millisecond, p.Interval(), "before the first look")
	for _, c := range []struct {
		why                   string
		look, delivery, pause time.Duration
	}{
		{"nothing was there: the first of the next is seen soon", 50 * time.Microsecond, 0, 100 * time.Millisecond},
		{"a trickle, which costs little", 0, 2 * time.Millisecond, 98 * time.Millisecond},
		{"more of it, or a slower store", time.Millisecond, 5 * time.Millisecond, 295 * time.Millisecond},
		{"a flood", time.Millisecond, 300 * time.Millisecond, 100 * time.Millisecond},
		{"the store did not answer for long", time.Millisecond, time.Hour, 0},
		{"many files, or a slow file system", time.Second, 0, 400 * time.Millisecond},
		{"quiet again: nothing of that is left", 0, 0, 100 * time.Millisecond},
	} {
		assert.Equal(t, c.pause, p.After(c.look, c.delivery), c.why)
		assert.Equal(t, c.pause, p.Interval(), c.why)
	}
}

func TestPaceOfASourceThatCannotBeRead(t *testing.T) {
	p := NewPace(DefaultBatch())
	assert.Equal(t, DefaultBatch().MaxInterval, p.Rest())
	assert.Equal(t, DefaultBatch().MaxInterval, p.Interval())
	assert.Equal(t, DefaultBatch().MinInterval, p.After(0, 0), "it is back")
}

func TestPaceTakesASmallPartOfTheTime(t *testing.T) {
	bounds := DefaultBatch()
	p := NewPace(bounds)
	for took := 100 * time.Microsecond; idleFactor*took <= bounds.MaxInterval; took += 100 * time.Microsecond {
		require.LessOrEqual(t, took, (took+p.After(0, took))/idleFactor)
		require.LessOrEqual(t, took, (took+p.After(took, 0))/idleFactor)
	}
}

// What a delivery costs grows with the events that gathered since the last one: each rate comes to rest at its own
// interval, and a higher rate at no shorter one.
func TestPaceComesToRest(t *testing.T) {
	const price, each = 1500 * time.Microsecond, 40 * time.Microsecond
	before := time.Duration(0)
	for _, rate := range []float64{1, 10, 100, 200, 1_000, 10_000} {
		p := NewPace(DefaultBatch())
		interval := DefaultBatch().MinInterval
		next := func() time.Duration {
			took := price + time.Duration(rate*interval.Seconds()*float64(each))
			return took + p.After(0, took)
		}
		for range 100 {
			interval = next()
		}
		assert.InDelta(t, interval, next(), float64(time.Millisecond), "%g events/s", rate)
		assert.GreaterOrEqual(t, interval, before, "%g events/s", rate)
		before = interval
	}
	assert.Equal(t, DefaultBatch().MaxInterval, before)
}

func TestBatchNamesWhatCannotWork(t *testing.T) {
	require.NoError(t, DefaultBatch().Validate())
	require.NoError(t, DefaultBatch().Fixed(time.Second).Validate())
	assert.Equal(t, DefaultBatch(), DefaultBatch().Fixed(0))
	for want, b := range map[string]Batch{
		"min_interval: 1ms; want 10ms to 1m0s":                 {time.Millisecond, time.Second, 1},
		"min_interval: 2m0s; want 10ms to 1m0s":                {2 * time.Minute, 2 * time.Minute, 1},
		"max_interval: 100ms; want min_interval (1s) to 1m0s":  {time.Second, 100 * time.Millisecond, 1},
		"max_interval: 1h0m0s; want min_interval (1s) to 1m0s": {time.Second, time.Hour, 1},
		"max_events: 0; want 1 to 100000":                      {time.Second, time.Second, 0},
		"max_events: 100001; want 1 to 100000":                 {time.Second, time.Second, 100_001},
	} {
		assert.ErrorContains(t, b.Validate(), want)
	}
}
