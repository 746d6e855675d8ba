package daskreceiver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-mida/otelcol-mida/internal/journal"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// TestReceiverProcess is the process that TestKilledReceiver kills: a receiver whose pipeline is a file.
func TestReceiverProcess(t *testing.T) {
	directory, out := os.Getenv("MIDA_TEST_JOURNAL"), os.Getenv("MIDA_TEST_ACCEPTED")
	if directory == "" {
		return // it runs as a part of TestKilledReceiver
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(t, err)
	next, err := consumer.NewLogs(func(_ context.Context, logs plog.Logs) error {
		if rand.IntN(3) == 0 {
			return errors.New("the store is busy")
		}
		events, _ := task.FromLogs(logs)
		var b []byte
		for _, e := range events {
			// A kill may tear a write: only a line with both ends is whole.
			b = fmt.Appendf(b, "\n%s;", e.Key)
		}
		_, err := f.Write(b)
		return err
	})
	require.NoError(t, err)
	startReceiverTo(t, next, func(c *Config) { c.Journal.Directory = directory })
	select {} // until it is killed
}

// TestKilledReceiver: a receiver that is killed again and again loses nothing, while writers go on.
func TestKilledReceiver(t *testing.T) {
	dir := t.TempDir()
	directory, accepted := filepath.Join(dir, "journal"), filepath.Join(dir, "accepted")
	var written atomic.Int64
	stop, done := make(chan struct{}), make(chan error)
	go func() { done <- write(directory, &written, stop) }()
	exe, err := os.Executable()
	require.NoError(t, err)
	const kills = 8
	for i := range kills + 1 {
		cmd := exec.Command(exe, "-test.run=^TestReceiverProcess$")
		cmd.Env = append(os.Environ(), "MIDA_TEST_JOURNAL="+directory, "MIDA_TEST_ACCEPTED="+accepted)
		require.NoError(t, cmd.Start())
		// A failed test leaves no process.
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		if i < kills {
			size := fileSize(accepted)
			eventually(t, "it reads", func() bool { return fileSize(accepted) > size })
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond) // a random moment
		} else {
			close(stop)
			require.NoError(t, <-done)
			eventually(t, "everything is read", func() bool { return len(segments(t, directory)) == 0 })
		}
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	f, err := os.Open(accepted)
	require.NoError(t, err)
	defer f.Close()
	seen := map[string]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, whole := strings.CutSuffix(lines.Text(), ";"); whole {
			seen[key]++
		}
	}
	require.NoError(t, lines.Err())
	missing, again := 0, 0
	for i := range written.Load() {
		switch n := seen[fmt.Sprint("task-", i)]; {
		case n == 0:
			missing++
		case n > 1:
			again++
		}
	}
	assert.Zero(t, missing)
	assert.Len(t, seen, int(written.Load())+1, "nothing that was never written; the checkpoints have no key")
	t.Logf("%d events, %d kills, %d events delivered again", written.Load(), kills, again)
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// write is three observers that write until they are told to stop.
func write(directory string, written *atomic.Int64, stop chan struct{}) error {
	var writers []*journal.Writer
	for i := range 3 {
		w, err := journal.NewWriter(journal.WriterOptions{
			Directory: directory, Observer: fmt.Sprint("w.", i), SegmentSize: 1 << 16,
			Defaults: map[string]any{"kind": "test", "scope": "s", "status": "FINISHED"},
		})
		if err != nil {
			return err
		}
		writers = append(writers, w)
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			for _, w := range writers {
				err := w.Write(map[string]any{"event": task.EventCheckpoint, "record": map[string]any{"final": true}})
				if err = errors.Join(err, w.Close()); err != nil {
					return err
				}
			}
			return nil
		case <-ticker.C:
		}
		for _, w := range writers {
			for range 5 {
				n := written.Load()
				if err := w.Write(map[string]any{"event": task.EventFinished, "key": fmt.Sprint("task-", n), "time": n + 1}); err != nil {
					return err
				}
				written.Add(1)
			}
		}
	}
}
