package gpu

import (
	"bufio"
	"context"
	"io"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/procstat"
)

const (
	smiInterval = time.Second
	// smiStale is how many intervals a line of nvidia-smi counts.
	smiStale = 3
	// smiRest is how long nvidia-smi is left alone after it ended, smiIdle how long it runs while nobody asks.
	smiRest = 30 * time.Second
	smiIdle = 2 * time.Minute
)

// smiMeanPower is the mean of the last second. What power.draw is depends on the GPU: the same since Ampere, else of a moment.
const smiMeanPower = "power.draw.average"

// smiFields are asked for in this order, after the UUID. A driver that does not know one is asked without it.
var smiFields = []struct {
	name  string
	value int
	unit  float64
}{
	{"utilization.gpu", Utilization, 0.01},
	{"memory.used", Memory, 1 << 20},
	{"memory.total", MemorySize, 1 << 20},
	{"power.draw", Power, 1},
	{smiMeanPower, Power, 1},
	{"temperature.gpu", Temperature, 1},
	{"clocks.sm", Clock, 1e6},
	{"clocks.mem", MemoryClock, 1e6},
}

// smiReader reads what two nvidia-smi print again and again. To start one anew for each sample would cost more than all else.
// It never waits for them.
type smiReader struct {
	path  string
	every time.Duration
	gpus  *loop
	apps  *loop

	mu     sync.Mutex
	failed int
	cards  map[string]*smiLine
	uses   map[useKey]*smiLine
	fields []string
}

type useKey struct {
	device string
	pid    int
}

// smiLine is what one line said, and when.
type smiLine struct {
	device Device
	memory float64
	at     time.Time
}

// openSMI returns nil where there is no nvidia-smi.
func openSMI(path string, every time.Duration) Reader {
	if path == "" {
		return nil
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return nil
	}
	r := &smiReader{path: found, every: every, cards: map[string]*smiLine{}, uses: map[useKey]*smiLine{}}
	for _, f := range smiFields {
		r.fields = append(r.fields, f.name)
	}
	r.gpus, r.apps = newLoop(r.cardArguments, r.card), newLoop(r.appArguments, r.app)
	return r
}

func (*smiReader) Name() string { return "nvidia-smi" }

func (r *smiReader) loopArgument() string {
	return "--loop-ms=" + strconv.FormatInt(r.every.Milliseconds(), 10)
}

func (r *smiReader) cardArguments() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return []string{
		r.path, "--query-gpu=" + strings.Join(append([]string{"index", "uuid", "name"}, r.fields...), ","),
		"--format=csv,noheader,nounits", r.loopArgument(),
	}
}

func (r *smiReader) appArguments() []string {
	return []string{r.path, "--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits", r.loopArgument()}
}

func (r *smiReader) Read([]int) Reading {
	now := time.Now()
	r.gpus.wanted(now)
	r.apps.wanted(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Reading{Processes: true, Failed: r.failed}
	r.failed = 0
	last := time.Time{} // the numbers are of when they were printed
	oldest := now.Add(-smiStale * r.every)
	for id, line := range r.cards {
		if line.at.Before(oldest) {
			delete(r.cards, id)
			continue
		}
		if line.at.After(last) {
			last = line.at
		}
		out.Devices = append(out.Devices, line.device)
	}
	if out.At = last.UnixNano(); last.IsZero() {
		out.At = now.UnixNano()
	}
	slices.SortFunc(out.Devices, func(a, b Device) int { return a.Index - b.Index })
	for use, line := range r.uses {
		if line.at.Before(oldest) {
			delete(r.uses, use)
			continue
		}
		out.Uses = append(out.Uses, Use{PID: use.pid, Device: use.device, Memory: line.memory, Busy: unknown()})
	}
	return out
}

func (r *smiReader) Close() error {
	r.gpus.close()
	r.apps.close()
	return nil
}

var smiUnknownField = regexp.MustCompile(`Field "([^"]+)" is not a valid field`)

// card takes a line about a GPU.
func (r *smiReader) card(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := smiUnknownField.FindStringSubmatch(line); m != nil {
		r.fields = slices.DeleteFunc(r.fields, func(f string) bool { return f == m[1] })
		r.gpus.again()
		return
	}
	columns := split(line)
	if len(columns) != 3+len(r.fields) {
		r.failed++
		return
	}
	index, err := strconv.Atoi(columns[0])
	if err != nil || columns[1] == "" {
		r.failed++
		return
	}
	d := Device{ID: columns[1], Index: index, Name: columns[2], Vendor: "nvidia", Values: procstat.Unknown()}
	for _, f := range smiFields {
		i := slices.Index(r.fields, f.name)
		if i < 0 {
			continue
		}
		v := r.number(columns[3+i]) * f.unit
		if f.name == smiMeanPower {
			if v != v {
				continue
			}
			d.PowerOver = time.Second
		}
		d.Values[f.value] = v
	}
	r.cards[d.ID] = &smiLine{device: d, at: time.Now()}
}

// app takes a line about a process that computes on a GPU.
func (r *smiReader) app(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	columns := split(line)
	if len(columns) != 3 {
		r.failed++
		return
	}
	pid, err := strconv.Atoi(columns[1])
	if err != nil {
		r.failed++
		return
	}
	r.uses[useKey{columns[0], pid}] = &smiLine{memory: r.number(columns[2]) * (1 << 20), at: time.Now()}
}

// number reads one. In brackets stands why there is none: what this GPU does not have is unknown, all else failed.
func (r *smiReader) number(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && !math.IsInf(v, 0) {
		return v
	}
	if word := strings.Trim(text, "[]"); word != "N/A" && word != "Not Supported" {
		r.failed++
	}
	return unknown()
}

func split(line string) []string {
	columns := strings.Split(line, ",")
	for i := range columns {
		columns[i] = strings.TrimSpace(columns[i])
	}
	return columns
}

// loop is a program that prints lines until it is no longer wanted.
type loop struct {
	arguments func() []string
	line      func(string)

	mu      sync.Mutex
	asked   time.Time
	rest    time.Time // not started before
	cancel  context.CancelFunc
	running chan struct{} // closed when it ended; nil if it does not run
	closed  bool
}

func newLoop(arguments func() []string, line func(string)) *loop {
	return &loop{arguments: arguments, line: line}
}

// again lets the program start anew as soon as it ended.
func (l *loop) again() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = time.Time{}
	if l.cancel != nil {
		l.cancel()
	}
}

// wanted starts the program if it does not run.
func (l *loop) wanted(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = now
	if l.closed || l.running != nil || now.Before(l.rest) {
		return
	}
	l.rest = now.Add(smiRest)
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.running = cancel, make(chan struct{})
	go l.run(ctx, cancel, l.running)
}

func (l *loop) run(ctx context.Context, cancel context.CancelFunc, ended chan struct{}) {
	defer func() {
		cancel()
		l.mu.Lock()
		l.running = nil
		l.mu.Unlock()
		close(ended)
	}()
	arguments := l.arguments()
	cmd := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	cmd.WaitDelay = time.Second
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	if cmd.Start() != nil {
		return
	}
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(read)
		for scanner.Scan() {
			if text := strings.TrimSpace(scanner.Text()); text != "" {
				l.line(text)
			}
			if l.idle() {
				cancel()
			}
		}
		_ = read.CloseWithError(scanner.Err()) // of a line without end: what comes after is not read
	}()
	_ = cmd.Wait()
	_ = write.Close()
	<-lines
}

func (l *loop) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.asked) < smiIdle {
		return false
	}
	l.rest = time.Time{}
	return true
}

func (l *loop) close() {
	l.mu.Lock()
	l.closed = true
	running := l.running
	if l.cancel != nil {
		l.cancel()
	}
	l.mu.Unlock()
	if running != nil {
		<-running
	}
}
