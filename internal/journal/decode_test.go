package journal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// TestDecodedAsRead: a segment in memory gives the events and faults that the reader finds in its file.
func TestDecodedAsRead(t *testing.T) {
	for _, file := range []string{"basic-1.mj", "basic-1.jsonl", "torn-1.mj", "torn-1.jsonl", "corrupt-1.mj", "invalid-1.mj", "script-1.jsonl"} {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", file))
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "h"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "h", file), data, 0o600))
			// A newer segment says that this one is finished.
			next := strings.Replace(file, "-1.", "-2.", 1)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "h", next), nil, 0o600))
			counts := map[Fault]int64{}
			r, err := NewReader(Options{Directory: dir, Host: "h", Fault: func(f Fault, n int64) { counts[f] += n }})
			require.NoError(t, err)
			var want []*task.Event
			require.NoError(t, r.Drain(t.Context(), func(_ context.Context, events []*task.Event) error {
				want = append(want, events...)
				return nil
			}))
			got, err := Decode(file, data)
			require.NoError(t, err)
			assert.Equal(t, want, got.Events)
			if len(counts) == 0 {
				counts = nil
			}
			assert.Equal(t, counts, got.Counts)
		})
	}
}

func TestWhatIsNoSegment(t *testing.T) {
	for _, c := range []struct{ file, data, want string }{
		{"x.mj", "", `"x.mj" is no name of a segment`},
		{"../x-1.mj", "", `is no name of a segment`},
		{"x-1.mj", "PK\x03\x04", `does not begin with "MIDAJRN1"`},
		{"x-1.mj", "MIDAJRN1", "ends inside its header"},
		{"x-1.mj", "", "ends inside its header"},
	} {
		_, err := Decode(c.file, []byte(c.data))
		assert.ErrorContains(t, err, c.want, c.file)
	}
}
