package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Fault is what a reader counts beside records and events.
type Fault string

// The faults. None of them stops the reader.
const (
	Torn        Fault = "torn"         // a record that its dead writer did not finish
	Corrupt     Fault = "corrupt"      // bytes that are no record
	Invalid     Fault = "invalid"      // an event that is not as docs/journal.md says
	Refused     Fault = "refused"      // a file that was left alone
	BadPosition Fault = "bad_position" // a position that was lost; events come again
)

// Options of a Reader.
type Options struct {
	// Directory is the journal directory; the reader looks only at this host's own directory in it.
	Directory string
	// Host replaces the name of this host; for tests.
	Host string
	// AllowForeignOwner also reads files of other users.
	AllowForeignOwner bool
	Logger            *zap.Logger
	// Read is called after records were accepted; may be nil.
	Read func(records, events int64)
	// Fault is called for every fault, after its place was passed; may be nil.
	Fault func(f Fault, n int64)
	// Pace is how long to pause between two looks at the directory, unless one left something to read.
	Pace *observer.Pace
	// Looks lets others wait until everything was read; may be nil.
	Looks *observer.Looks
}

const (
	roundBytes    = 1 << 20  // what one round reads of all segments together, at most twice as much
	minShare      = 64 << 10 // of one segment
	roundSegments = roundBytes / minShare
)

// Reader reads the journals of this host. It is an observer.Source of task events.
type Reader struct {
	opt  Options
	dir  string
	segs map[string]*segment
	over map[string]int64 // by observer: what its last share was exceeded by; negative: how much of it was missing
	turn int              // rotates which observers a round begins with
	lag  atomic.Int64

	claimed  *os.File          // keeps other readers out
	reported map[string]string // what was said last about a file
	trouble  error             // why the directory could not be read at the last look
}

var hostUnsafe = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// HostDirectory is the name of a host's own directory.
func HostDirectory(host string) string { return hostUnsafe.ReplaceAllString(host, "_") }

// DefaultDirectory is where the observers of this user write unless told otherwise: node-local.
func DefaultDirectory() string {
	base := "/tmp"
	for _, name := range []string{"SLURM_TMPDIR", "TMPDIR"} {
		if v := os.Getenv(name); v != "" {
			base = v
			break
		}
	}
	if runtime.GOOS == "windows" {
		base = os.TempDir()
	}
	return filepath.Join(base, fmt.Sprintf("mida-journal-%d", os.Getuid()))
}

// NewReader makes a reader. The directory need not exist.
func NewReader(opt Options) (*Reader, error) {
	if opt.Directory == "" {
		return nil, errors.New("journal: no directory")
	}
	if opt.Host == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("journal: the name of this host is needed to find its directory: %w", err)
		}
		opt.Host = host
	}
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	if opt.Read == nil {
		opt.Read = func(int64, int64) {}
	}
	if opt.Fault == nil {
		opt.Fault = func(Fault, int64) {}
	}
	if opt.Pace == nil {
		opt.Pace = observer.NewPace(observer.DefaultBatch())
	}
	if opt.Looks == nil {
		opt.Looks = observer.NewLooks()
	}
	return &Reader{
		opt: opt, dir: filepath.Join(opt.Directory, HostDirectory(opt.Host)),
		segs: map[string]*segment{}, over: map[string]int64{}, reported: map[string]string{},
	}, nil
}

// Lag is how many bytes of the segments were not accepted yet when the directory was last looked at.
func (r *Reader) Lag() int64 { return r.lag.Load() }

// Observe polls until ctx ends, see observer.Source: each batch is accepted before the next one is read.
func (r *Reader) Observe(ctx context.Context, emit func(context.Context, []*task.Event) error) error {
	return r.ObserveAhead(ctx, inTurn(emit))
}

// ObserveAhead polls until ctx ends, and reads on while batches are on their way, see observer.Ahead.
func (r *Reader) ObserveAhead(ctx context.Context, emit Emit) error {
	defer r.release()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-r.opt.Looks.Wake():
		}
		r.opt.Looks.Begin()
		began := time.Now()
		look, err := r.look(ctx, emit)
		r.opt.Looks.End(!look.progress && !look.more, errors.Join(err, r.trouble))
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case look.more && (look.progress || r.opt.Looks.Waited()), look.progress && r.opt.Looks.Waited():
			timer.Reset(0)
		default:
			timer.Reset(r.opt.Pace.After(time.Since(began)-look.waited, look.waited))
		}
	}
}

// Drain reads until nothing is left, or ctx ends. It must not run beside Observe.
func (r *Reader) Drain(ctx context.Context, emit func(context.Context, []*task.Event) error) error {
	defer r.release()
	for ctx.Err() == nil {
		look, err := r.look(ctx, inTurn(emit))
		if err != nil && ctx.Err() == nil {
			return err
		}
		if !look.progress && !look.more { // a round reads of some segments only
			return nil
		}
	}
	return nil
}

// open opens this host's directory; nil without an error when there is none yet.
func (r *Reader) open() (*os.Root, error) {
	for _, dir := range []string{r.opt.Directory, r.dir} {
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil
		case err != nil:
			return nil, err
		case !info.IsDir():
			return nil, fmt.Errorf("%s: not a directory (%s); symbolic links are not followed", dir, info.Mode().Type())
		}
		if !r.opt.AllowForeignOwner {
			if err := checkOwner(info); err != nil {
				return nil, fmt.Errorf("%s: %w; set allow_foreign_owner: true to read the journals of other users", dir, err)
			}
		}
	}
	return os.OpenRoot(r.dir)
}

// read reads all jobs, several at a time, and returns the parts in the order of the jobs.
func (r *Reader) read(root *os.Root, jobs []job) []*part {
	share := shares(jobs)
	parts := make([]*part, len(jobs))
	errs := make([]error, len(jobs))
	var group errgroup.Group
	group.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for i, j := range jobs {
		group.Go(func() error {
			parts[i], errs[i] = j.seg.read(root, j.later, r.opt.AllowForeignOwner, share[i], time.Now())
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs, one a job
	kept := parts[:0]
	for i, p := range parts {
		s := jobs[i].seg
		switch err := errs[i]; {
		case err == nil:
			s.aside = false
			kept = append(kept, p)
			delete(r.over, s.observer)
			if p.more || p.done && p.later {
				r.over[s.observer] = p.over
			}
		case errors.Is(err, fs.ErrNotExist):
			delete(r.segs, s.file)
		default:
			s.aside, s.nextCheck = true, time.Now().Add(checkInterval)
			r.trouble = errors.Join(r.trouble, err)
			r.refuse(s.file, err)
		}
	}
	return kept
}

func (r *Reader) commit(root *os.Root, p *part) {
	s := p.seg
	for _, err := range p.faults {
		r.opt.Logger.Warn("a journal is damaged; everything else in it is used",
			zap.String("file", filepath.Join(r.dir, s.file)), zap.Error(err))
	}
	for f, n := range p.counts {
		r.opt.Fault(f, n)
	}
	r.opt.Read(p.records, int64(len(p.events)))
	deleted, err := p.commit(root)
	r.report(s.file, err)
	if deleted {
		delete(r.segs, s.file)
	} else if p.done && err != nil {
		s.aside, s.nextCheck = true, time.Now().Add(checkInterval)
	}
}

func (r *Reader) measure() {
	var lag int64
	for _, s := range r.segs {
		lag += max(0, s.size-s.accepted)
	}
	r.lag.Store(lag)
}

// refuse counts and reports a file that is left alone, once for each reason.
func (r *Reader) refuse(file string, err error) {
	if r.report(file, err) {
		r.opt.Fault(Refused, 1)
	}
}

// report logs a fault of a file once, and again only when it changed. It says whether it was news.
func (r *Reader) report(file string, err error) bool {
	if err == nil {
		if _, ok := r.reported[file]; ok {
			delete(r.reported, file)
			r.opt.Logger.Info("journal is readable again", zap.String("file", file))
		}
		return false
	}
	if r.reported[file] == err.Error() {
		return false
	}
	r.reported[file] = err.Error()
	r.opt.Logger.Warn("journal cannot be read; it stays and is tried again", zap.String("file", file),
		zap.String("directory", r.dir), zap.Error(err))
	return true
}
