package tasktelemetryprocessor

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

const (
	joulesInterval = 10 * time.Second
	joulesTimeout  = 5 * time.Second
)

// joules asks a program how much energy this host used so far, where its processors do not tell: a batch system may know it.
type joules struct {
	command  []string
	interval time.Duration
	logger   *zap.Logger
	busy     func() bool // whether anybody wants to know

	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	series *procstat.Series // of one value
	failed int64
}

func newJoules(cfg *Config, logger *zap.Logger, busy func() bool) *joules {
	return &joules{
		command: cfg.EnergyCommand, interval: joulesInterval, logger: logger, busy: busy,
		series: procstat.NewSeries(cfg.History), done: make(chan struct{}),
	}
}

func (j *joules) start() {
	ctx, cancel := context.WithCancel(context.Background())
	j.stop = cancel
	go func() {
		defer close(j.done)
		tick := time.NewTicker(j.interval)
		defer tick.Stop()
		for {
			if j.busy() {
				j.ask(ctx)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

func (j *joules) shutdown() {
	j.stop()
	<-j.done
}

// ask takes one sample: of the middle of the time that the answer took.
func (j *joules) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, joulesTimeout)
	defer cancel()
	before := time.Now()
	cmd := exec.CommandContext(ctx, j.command[0], j.command[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	at := before.UnixNano() + int64(time.Since(before))/2
	text := strings.TrimSpace(string(out))
	used := 0.0
	if err == nil {
		used, err = strconv.ParseFloat(text, 64)
	}
	if err == nil && !(used >= 0) {
		err = fmt.Errorf("%v is no energy", used)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		if j.failed++; j.failed == 1 && ctx.Err() == nil {
			j.logger.Warn("energy_command does not tell the energy of this host; want a number of joules that grows",
				zap.Strings("energy_command", j.command), zap.String("output", text[:min(len(text), 200)]), zap.Error(err))
		}
		return
	}
	if last, ok := j.series.Last(); ok && used < last.Values[0] {
		j.series = procstat.NewSeries(j.series.Size()) // it began again
	}
	x := procstat.Sample{At: at, Values: procstat.Unknown()}
	x.Values[0] = used
	j.series.Add(x)
}

// over is how much was used between two times, and how well that is known. After the newest sample it goes on as before.
func (j *joules) over(started, ended int64) (used float64, words string, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.series.Len()
	if n < 2 {
		return 0, "", false
	}
	a, b := j.series.Get(n-2), j.series.Get(n-1)
	oldest, _ := j.series.First()
	if ended <= oldest.At || started > b.At+2*int64(j.interval) {
		return 0, "", false
	}
	slope := (b.Values[0] - a.Values[0]) / float64(b.At-a.At)
	at := func(t int64) float64 {
		if t > b.At {
			return b.Values[0] + slope*float64(min(t-b.At, 2*int64(j.interval)))
		}
		return j.series.At(t).Values[0]
	}
	words = ofHost + ", by command, interpolated"
	if started < oldest.At || ended > b.At+2*int64(j.interval) {
		words = ofHost + ", by command, partial"
	}
	return max(0, at(ended)-at(started)), words, true
}
