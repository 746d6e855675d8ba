package daskreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// unreachable says that nobody listens there: the normal state before a cluster starts and after it ended.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || (errors.As(err, &op) && op.Op == "dial")
}

// targets holds the schedulers that are wanted, from the configuration and from scheduler files.
type targets struct {
	attacher *attacher
	globs    []string
	retry    time.Duration
	logger   *zap.Logger

	mu    sync.Mutex
	all   map[string]*target
	wg    sync.WaitGroup
	fault map[string]fault // what is wrong with a scheduler file
}

type fault struct {
	text string
	said bool
}

func newTargets(a *attacher, globs []string, retry time.Duration, logger *zap.Logger) *targets {
	return &targets{attacher: a, globs: globs, retry: retry, logger: logger, all: map[string]*target{}, fault: map[string]fault{}}
}

// start begins to visit what is configured and what the files name. It ends with ctx; wait waits for it.
func (s *targets) start(ctx context.Context, schedulers []string) error {
	for _, url := range schedulers {
		if err := s.add(ctx, url, true); err != nil {
			return err
		}
	}
	if len(s.globs) == 0 {
		return nil
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		ticker := time.NewTicker(s.retry)
		defer ticker.Stop()
		for {
			s.scan(ctx)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return nil
}

func (s *targets) wait() { s.wg.Wait() }

func (s *targets) add(ctx context.Context, url string, configured bool) error {
	a, err := parseAddress(url)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.all[url]
	if t != nil {
		t.wanted.Store(true)
		return nil
	}
	t = &target{address: a, configured: configured}
	t.wanted.Store(true)
	s.all[url] = t
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		s.attacher.run(ctx, t)
		if ctx.Err() == nil { // its file is gone and nobody is there
			s.mu.Lock()
			delete(s.all, url)
			s.mu.Unlock()
		}
	}()
	return nil
}

// list returns the targets in the order of their addresses.
func (s *targets) list() []*target {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*target, 0, len(s.all))
	for _, t := range s.all {
		list = append(list, t)
	}
	sort.Slice(list, func(i, k int) bool { return list[i].address.url < list[k].address.url })
	return list
}

// scan looks for scheduler files. What only a file named is no longer wanted once the file is gone.
func (s *targets) scan(ctx context.Context) {
	named := map[string]bool{}
	for _, glob := range s.globs {
		files, _ := filepath.Glob(glob) // its only error is a bad pattern, which Validate refuses
		for _, file := range files {
			url, err := readSchedulerFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil && !named[url] {
				err = s.add(ctx, url, false)
			}
			named[url] = true
			s.complain(file, err)
		}
	}
	for _, t := range s.list() {
		if !named[t.address.url] && !t.configured {
			t.wanted.Store(false)
		}
	}
}

// complain logs a fault of a scheduler file once. Dask writes these files in place: a fault that only one look saw may
// be a file half written, and is not worth a word.
func (s *targets) complain(file string, err error) {
	if err == nil {
		delete(s.fault, file)
		return
	}
	switch f := s.fault[file]; {
	case f.text != err.Error():
		s.fault[file] = fault{text: err.Error()}
	case !f.said:
		s.fault[file] = fault{text: f.text, said: true}
		s.logger.Warn("a scheduler file cannot be used; it is tried again", zap.String("file", file), zap.Error(err))
	}
}

const maxSchedulerFile = 16 << 20

// readSchedulerFile returns the address in a file of `dask scheduler --scheduler-file`.
func readSchedulerFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("not a regular file (%s)", info.Mode().Type())
	}
	var content struct {
		Address string `json:"address"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxSchedulerFile)).Decode(&content); err != nil {
		return "", fmt.Errorf("not the JSON of a scheduler file: %w", err)
	}
	if content.Address == "" {
		return "", errors.New(`no "address" in it`)
	}
	return content.Address, nil
}
