// Package elastictest runs real OpenSearch and Elasticsearch nodes for tests, each once per test process.
package elastictest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The kinds of servers.
const (
	OpenSearch    = "opensearch"
	Elasticsearch = "elasticsearch"
)

// ESQL is Elasticsearch with ES|QL and what that needs of x-pack, for the tests of that language.
const ESQL = "esql"

// Kinds are the kinds that everything is tested on.
var Kinds = []string{OpenSearch, Elasticsearch}

const (
	downloadPatience = 10 * time.Minute
	startPatience    = 3 * time.Minute
	// A start that hangs, seen once in hundreds on a loaded machine, is broken off and tried again.
	starts = 3
)

// Servers are the servers of a test process.
type Servers struct {
	mu      sync.Mutex
	running map[string]*server
	dir     string
}

type server struct {
	url  string
	err  error
	end  io.Closer // of its standard input, with which it ends
	done chan struct{}
}

// Run runs the tests of a package, and ends the servers that they used.
func (s *Servers) Run(m *testing.M) int {
	defer s.Stop()
	return m.Run()
}

// URL returns the address of a running server; the first call starts it. Without Java or Maven the test is skipped, or
// fails where CI is set: there everything must run.
func (s *Servers) URL(t testing.TB, kind string) string {
	t.Helper()
	for _, tool := range []string{"java", "javac", "mvn", "bash"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("JAVA17_HOME") == "" {
			message := fmt.Sprintf("NOT TESTED on a real %s: no %s on the PATH (JDK 17 and Maven are needed)", kind, tool)
			if os.Getenv("CI") != "" {
				t.Fatal(message)
			}
			fmt.Fprintln(os.Stderr, message)
			t.Skip(message)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[kind] == nil {
		if s.running == nil {
			s.running = map[string]*server{}
		}
		s.running[kind] = s.start(kind)
	}
	if err := s.running[kind].err; err != nil {
		t.Fatalf("start %s: %v", kind, err)
	}
	return s.running[kind].url
}

func (s *Servers) start(kind string) (r *server) {
	if s.dir == "" {
		var err error
		if s.dir, err = os.MkdirTemp("", "mida-servers-"); err != nil {
			return &server{err: err}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), downloadPatience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "bash", script(), "get", kind).CombinedOutput(); err != nil {
		return &server{err: fmt.Errorf("%w: %s", err, out)}
	}
	for try := range starts {
		if r = launch(kind, filepath.Join(s.dir, fmt.Sprint(kind, try))); r.err == nil {
			break
		}
		fmt.Fprintf(os.Stderr, "start %s: %v\n", kind, r.err)
	}
	return r
}

// launch starts a server and waits until it answers.
func launch(kind, dir string) *server {
	r := &server{done: make(chan struct{})}
	if r.err = os.MkdirAll(dir, 0o700); r.err != nil {
		return r
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		r.err = err
		return r
	}
	cmd := exec.Command("bash", script(), "run", kind, dir) // becomes the server
	cmd.Stderr = log
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if r.err = errors.Join(err1, err2); r.err == nil {
		r.err = cmd.Start()
	}
	if r.err != nil {
		return r
	}
	started := make(chan string, 1)
	go func() {
		defer close(r.done)
		defer log.Close()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "STARTED "); ok {
				started <- url
			} else {
				fmt.Fprintln(log, lines.Text())
			}
		}
		close(started)
		_ = cmd.Wait() // that it ended is all there is to know
	}()
	select {
	case r.url = <-started:
	case <-time.After(startPatience):
		_ = cmd.Process.Signal(syscall.SIGQUIT) // prints what its threads do
		time.AfterFunc(time.Second, func() { _ = cmd.Process.Kill() })
	}
	if r.url == "" {
		<-r.done
		text, _ := os.ReadFile(log.Name())
		r.err = fmt.Errorf("it does not answer within %s: %s", startPatience, text)
		return r
	}
	r.end = in
	r.err = healthy(r.url)
	return r
}

// script finds search.sh from this file, wherever the tests run.
func script() string {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
	if wd, err := os.Getwd(); err == nil && !filepath.IsAbs(file) { // -trimpath: the working directory is the package's
		for root = wd; root != filepath.Dir(root); root = filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
		}
	}
	return filepath.Join(root, "tools", "servers", "search.sh")
}

func healthy(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_cluster/health?wait_for_status=green&timeout=60s", nil)
	if err != nil {
		return err
	}
	defer http.DefaultClient.CloseIdleConnections()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("its health is answered with %s", res.Status)
	}
	return nil
}

// Stop ends the servers, for a package whose TestMain is not its own; Run does it for the others.
func (s *Servers) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.running {
		if r.end != nil {
			r.end.Close()
			<-r.done
		}
	}
	s.running = nil
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
