package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	pace "github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const testHost = "node-1.cluster"

func TestMain(m *testing.M) {
	if dir := os.Getenv("MIDA_TEST_WRITER"); dir != "" {
		writeAndHang(dir)
	}
	goleak.VerifyTestMain(m)
}

var quick = pace.NewPace(pace.Batch{}.Fixed(2 * time.Millisecond))

// harness runs a reader and collects what it hands over.
type harness struct {
	t    *testing.T
	dir  string
	logs *observer.ObservedLogs

	mu     sync.Mutex
	events []*task.Event
	faults map[Fault]int64
	read   int64
	refuse error // what emit answers
}

func newHarness(t *testing.T) *harness {
	return &harness{t: t, dir: filepath.Join(t.TempDir(), "journal"), faults: map[Fault]int64{}}
}

func (h *harness) reader() *Reader {
	core, logs := observer.New(zap.WarnLevel)
	h.logs = logs
	r, err := NewReader(Options{
		Directory: h.dir, Host: testHost, Pace: quick,
		Logger: zap.New(core),
		Read: func(_, n int64) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.read += n
		},
		Fault: func(f Fault, n int64) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.faults[f] += n
		},
	})
	require.NoError(h.t, err)
	return r
}

func (h *harness) emit(_ context.Context, events []*task.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	h.events = append(h.events, events...)
	return nil
}

// observe runs a reader until the condition holds, and stops it.
func (h *harness) observe(r *Reader, cond func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Observe(ctx, h.emit) }()
	ok := assert.Eventually(h.t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return cond()
	}, 60*time.Second, 2*time.Millisecond)
	cancel()
	assert.NoError(h.t, <-done)
	if !ok {
		h.t.Fatalf("events %d, faults %v, files %v", len(h.events), h.faults, h.files())
	}
}

func (h *harness) keys() []string {
	var keys []string
	for _, e := range h.events {
		keys = append(keys, e.Key)
	}
	return keys
}

func (h *harness) files() []string {
	entries, err := os.ReadDir(filepath.Join(h.dir, testHost))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(h.t, err)
	}
	names := []string{}
	for _, e := range entries {
		if e.Name() != ClaimFile {
			names = append(names, e.Name())
		}
	}
	return names
}

func (h *harness) writer(observer string, change ...func(*WriterOptions)) *Writer {
	opt := WriterOptions{
		Directory: h.dir, Host: testHost, Observer: observer, Program: "test/1",
		Defaults: map[string]any{
			"kind": "dask", "scope": "Scheduler-1", "campaign": "c",
			"resource": map[string]any{"service.name": "dask"}, "attributes": map[string]any{"process.pid": int64(7)},
		},
	}
	for _, f := range change {
		f(&opt)
	}
	w, err := NewWriter(opt)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = w.Close() })
	return w
}

func finished(key string, seq int) map[string]any {
	return map[string]any{
		"event": task.EventFinished, "time": int64(1000 + seq), "seq": int64(seq), "key": key, "attempt": int64(1),
		"facet": "worker", "status": "FINISHED", "activity": "train",
		"used": map[string]any{"layers": int64(2), "rate": 0.1, "blob": []byte{1, 2}, "list": []any{int64(1), nil, true}},
	}
}

func checkpoint(last int, final bool) map[string]any {
	return map[string]any{
		"event": task.EventCheckpoint, "time": int64(2000),
		"record": map[string]any{"last_seq": int64(last), "dropped": []any{}, "final": final},
	}
}

func TestReadsWhatAWriterWrote(t *testing.T) {
	for _, text := range []bool{false, true} {
		t.Run(fmt.Sprintf("text=%t", text), func(t *testing.T) {
			h := newHarness(t)
			w := h.writer("w.1", func(o *WriterOptions) { o.Text = text; o.SegmentSize = 600 })
			var want []string
			for i := range 20 {
				key := fmt.Sprint("incr-", i)
				want = append(want, key)
				e := finished(key, i+1)
				if i == 3 {
					e["attributes"] = map[string]any{"thread.id": int64(9), "process.pid": int64(8)}
					e["scope"] = "other"
				}
				require.NoError(t, w.Write(e))
			}
			require.NoError(t, w.Write(checkpoint(20, true)))
			h.observe(h.reader(), func() bool { return len(h.events) == 21 && len(h.files()) == 0 })
			assert.Equal(t, append(want, ""), h.keys())
			assert.Empty(t, h.faults)
			assert.EqualValues(t, 21, h.read)
			e := h.events[2]
			assert.Equal(t, "dask", e.Kind)
			assert.Equal(t, "Scheduler-1", e.Scope)
			assert.Equal(t, "w.1", e.ObserverID)
			assert.EqualValues(t, 3, e.Seq)
			assert.Equal(t, map[string]any{"service.name": "dask", "host.name": testHost}, e.Resource)
			assert.Equal(t, map[string]any{"layers": int64(2), "rate": 0.1, "blob": []byte{1, 2}, "list": []any{int64(1), nil, true}}, e.Used)
			assert.Equal(t, map[string]any{"process.pid": int64(7)}, e.Attributes)
			assert.Equal(t, map[string]any{"process.pid": int64(8), "thread.id": int64(9)}, h.events[3].Attributes)
			assert.Equal(t, "other", h.events[3].Scope)
		})
	}
}

func TestManyObserversInOrder(t *testing.T) {
	h := newHarness(t)
	const observers, each = 200, 50
	for o := range observers {
		w := h.writer(fmt.Sprint("w.", o), func(o *WriterOptions) { o.SegmentSize = 2000 })
		for i := range each {
			require.NoError(t, w.Write(finished(fmt.Sprint(o, "/", i), i+1)))
		}
		require.NoError(t, w.Close())
	}
	h.observe(h.reader(), func() bool { return len(h.events) == observers*each && len(h.files()) == 0 })
	last := map[string]int64{}
	for _, e := range h.events {
		require.Equal(t, last[e.ObserverID]+1, e.Seq, e.ObserverID)
		last[e.ObserverID] = e.Seq
	}
	assert.Empty(t, h.faults)
}

func TestPositionMovesOnlyAfterNil(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	for i := range 10 {
		require.NoError(t, w.Write(finished(fmt.Sprint(i), i+1)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	tried := make(chan struct{})
	done := make(chan error)
	go func() {
		done <- h.reader().Observe(ctx, func(ctx context.Context, _ []*task.Event) error {
			close(tried) // as a pipeline that is down until the process is killed
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-tried
	assert.Len(t, h.files(), 1, "no position yet")
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, w.Write(finished("10", 11)))
	h.observe(h.reader(), func() bool { return len(h.events) == 11 && len(h.files()) == 2 })
	require.NoError(t, w.Write(finished("11", 12), finished("12", 13)))
	h.observe(h.reader(), func() bool { return len(h.events) == 13 })
	assert.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}, h.keys(), "nothing twice")
	require.NoError(t, w.Close())
	h.observe(h.reader(), func() bool { return len(h.files()) == 0 })
}

func TestUnusablePositionMeansFromTheStart(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "no json": "{", "none": `{"version":0,"offset":20,"header":1}`,
		"other file": `{"version":1,"offset":20,"header":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			w := h.writer("w.1")
			require.NoError(t, w.Write(finished("a", 1)))
			require.NoError(t, os.WriteFile(w.Path()+extAck, []byte(content), 0o600))
			h.observe(h.reader(), func() bool { return len(h.events) == 1 && h.faults[BadPosition] == 1 })
			assert.Len(t, h.logs.FilterMessageSnippet("damaged").All(), 1)
		})
	}
}

// TestPositionOfANewerCollector: it is neither used nor written over, and the segment waits.
func TestPositionOfANewerCollector(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1)))
	newer := []byte(`{"version":2,"offset":"elsewhere"}`)
	require.NoError(t, os.WriteFile(w.Path()+extAck, newer, 0o600))
	other := h.writer("w.2")
	require.NoError(t, other.Write(finished("b", 1)))
	r := h.reader()
	h.observe(r, func() bool { return len(h.events) == 1 && h.faults[Refused] == 1 })
	assert.Contains(t, h.logs.All()[0].ContextMap()["error"], "newer journal version: the position file is of version 2")
	kept, err := os.ReadFile(w.Path() + extAck)
	require.NoError(t, err)
	assert.Equal(t, newer, kept)
	require.NoError(t, os.Remove(w.Path()+extAck))
	h.observe(r, func() bool { return len(h.events) == 2 })
	assert.Equal(t, []string{"b", "a"}, h.keys())
	assert.Equal(t, map[Fault]int64{Refused: 1}, h.faults)
}

func TestOrphanedPositionIsRemoved(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1)))
	gone := filepath.Join(h.dir, testHost, "w.0-3.mj.ack")
	require.NoError(t, os.WriteFile(gone, []byte("{}"), 0o600))
	h.observe(h.reader(), func() bool { return len(h.files()) == 2 && len(h.events) == 1 })
	assert.NoFileExists(t, gone)
}

func TestFilesThatAreLeftAlone(t *testing.T) {
	h := newHarness(t)
	w := h.writer("good")
	require.NoError(t, w.Write(finished("a", 1)))
	dir := filepath.Dir(w.Path())
	write := func(name string, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	newer, err := record(map[string]any{"format": formatName, "version": 2, "observer": "n"})
	require.NoError(t, err)
	write("newer-1.mj", append([]byte(magic), newer...))
	write("newer-2.jsonl", []byte(`{"format":"mida.journal","version":7}`+"\n"))
	write("alien-1.mj", []byte("PK\x03\x04 something else"))
	write("noheader-1.mj", append([]byte(magic), mustRecord(t, finished("x", 1))...))
	write("noindex.mj", []byte(magic))
	write("README", []byte("not a segment"))
	secret := filepath.Join(t.TempDir(), "secret.mj")
	require.NoError(t, os.WriteFile(secret, []byte(magic), 0o600))
	require.NoError(t, os.Symlink(secret, filepath.Join(dir, "link-1.mj")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir-1.mj"), 0o700))
	h.observe(h.reader(), func() bool { return len(h.events) == 1 && h.faults[Refused] == 7 })
	r := h.reader()
	h.observe(r, func() bool { return h.faults[Refused] == 14 })
	time.AfterFunc(2*checkInterval, func() { _ = w.Write(finished("b", 2)) }) // tried again by then, but not counted again
	h.observe(r, func() bool { return len(h.events) == 2 })
	assert.EqualValues(t, 14, h.faults[Refused])
	assert.Equal(t, []string{"a", "b"}, h.keys())
	assert.Len(t, h.files(), 10)
	messages := map[string]string{}
	for _, e := range h.logs.All() {
		messages[e.ContextMap()["file"].(string)] = e.ContextMap()["error"].(string)
	}
	assert.Contains(t, messages["newer-1.mj"], "newer journal version: 2")
	assert.Contains(t, messages["newer-2.jsonl"], "newer journal version: 7")
	assert.Contains(t, messages["alien-1.mj"], "no journal")
	assert.Contains(t, messages["noheader-1.mj"], "no header")
	assert.Contains(t, messages["link-1.mj"], "symbolic links are not followed")
	assert.Contains(t, messages["noindex.mj"], "<observer>-<n>.mj")
}

func TestSecondReaderWaits(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	emitted := make(chan struct{}, 1)
	go func() {
		done <- h.reader().Observe(ctx, func(context.Context, []*task.Event) error {
			emitted <- struct{}{}
			return nil
		})
	}()
	<-emitted
	second := h.reader()
	h.observe(second, func() bool { return h.logs.FilterMessageSnippet("cannot be read").Len() == 1 })
	assert.Contains(t, h.logs.All()[0].ContextMap()["error"], fmt.Sprintf("another collector reads it (process %d)", os.Getpid()))
	assert.Empty(t, h.events)
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, w.Write(finished("b", 2)))
	h.observe(second, func() bool { return len(h.events) == 1 })
	assert.Equal(t, []string{"b"}, h.keys())
}

func TestDirectoryOfSomebodyElse(t *testing.T) {
	h := newHarness(t)
	elsewhere := t.TempDir()
	require.NoError(t, os.Symlink(elsewhere, h.dir))
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1)))
	r := h.reader()
	h.observe(r, func() bool { return h.logs.FilterMessageSnippet("cannot be read").Len() == 1 })
	assert.Contains(t, h.logs.All()[0].ContextMap()["error"], "symbolic links are not followed")
	require.NoError(t, os.Remove(h.dir))
	require.NoError(t, os.Rename(elsewhere, h.dir))
	h.observe(r, func() bool { return len(h.events) == 1 })
	if os.Getuid() == 0 {
		h = newHarness(t)
		require.NoError(t, h.writer("w.1").Write(finished("a", 1)))
		require.NoError(t, os.Chown(h.dir, 12345, 12345))
		h.observe(h.reader(), func() bool { return h.logs.Len() == 1 })
		assert.Contains(t, h.logs.All()[0].ContextMap()["error"], "owned by user 12345")
	}
}
