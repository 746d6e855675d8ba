package journal

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noRoom lets every file have n bytes, as a full disk does, until restored.
func noRoom(t *testing.T, n uint64) (restore func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	restore = func() {
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)
		signal.Reset(syscall.SIGXFSZ)
	}
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: before.Max}))
	return restore
}

func TestAFullDiskAtANewSegmentLeavesNoFileWithoutHeader(t *testing.T) {
	for name, room := range map[string]uint64{"nothing written": 0, "a part written": 20} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			w := h.writer("w.1", func(o *WriterOptions) { o.SegmentSize = 1 })
			require.NoError(t, w.Write(finished("a", 1)))
			first := w.Path()
			size := func() int64 {
				info, err := os.Stat(first)
				require.NoError(t, err)
				return info.Size()
			}
			before := size()
			restore := noRoom(t, room)
			err := w.Write(finished("lost", 2))
			restore()
			require.ErrorIs(t, err, syscall.EFBIG)
			assert.NoFileExists(t, w.Path())
			require.NoError(t, w.Write(finished("b", 3)))
			assert.Equal(t, "w.1-3.mj", filepath.Base(w.Path()), "a number is given once")
			assert.Equal(t, before, size(), "a reader that saw the newer segment took the older one for ended")
			require.NoError(t, w.Close())
			h.observe(h.reader(), func() bool { return len(h.files()) == 0 })
			assert.Equal(t, []string{"a", "b"}, h.keys())
			assert.Empty(t, h.faults)
		})
	}
}
