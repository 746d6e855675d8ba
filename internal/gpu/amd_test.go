package gpu

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tree is laid out as on a node with an MI250X, which is two GPUs, and a display adapter of another make.
func TestAMD(t *testing.T) {
	r := openAMD("testdata/amd/proc", "testdata/amd/sys")
	require.NotNil(t, r)
	got := r.Read([]int{4711, 9999})
	require.Len(t, got.Devices, 2)
	a, b := device(t, got, "0000:c1:00.0"), device(t, got, "0000:c6:00.0")
	assert.Equal(t, "AMD INSTINCT MI250X (MCM) OAM AC MBA", a.Name)
	assert.Equal(t, []int{0, 1}, []int{a.Index, b.Index})
	assert.Equal(t, []float64{0.87, 5368709120, 68702699520, 412}, a.Values[:Energy])
	assert.Equal(t, []float64{54, 1.7e9, 1.6e9}, a.Values[Temperature:MemoryClock+1])
	assert.InDelta(t, 123456.789, b.Values[Energy], 1e-6, "by the sensor")
	assert.NotEqual(t, b.Values[Power], b.Values[Power], "a number that cannot be read drops only itself")
	assert.InDelta(t, 1<<20, b.Values[Memory], 0)
	assert.Equal(t, 1, got.Failed)

	assert.True(t, got.Processes)
	uses := usesOf(got)
	assert.Len(t, uses, 2)
	own := uses[useKey{"0000:c1:00.0", 4711}]
	assert.InDelta(t, 4<<30, own.Memory, 0, "KFD and the open file count the same memory")
	assert.InDelta(t, 12.5, own.Busy, 1e-9, "a file that is open twice counts once")
	other := uses[useKey{"0000:c6:00.0", 4712}]
	assert.InDelta(t, 1<<20, other.Memory, 0, "one that nobody asked about shares the GPU")
	assert.NotEqual(t, other.Busy, other.Busy)
	assert.NotContains(t, uses, useKey{"0000:c6:00.0", 4711}, "it may use that one and does not")
	require.NoError(t, r.Close())
}

// The driver's table has an energy counter in some formats, each of which says which it is.
func TestEnergyInTheTableOfMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gpu_metrics")
	table := func(format, content byte, energy uint64) float64 {
		b := make([]byte, 120)
		binary.LittleEndian.PutUint16(b, uint16(len(b)))
		b[2], b[3] = format, content
		binary.LittleEndian.PutUint64(b[energyAt:], energy)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		var out Reading
		return out.accumulated(path)
	}
	assert.InDelta(t, 10, table(1, 3, 10*65536), 1e-9)
	assert.InDelta(t, 10, table(1, 1, 10*65536), 1e-9)
	for _, v := range []float64{table(1, 0, 5), table(2, 2, 5), table(1, 5, 5), table(1, 3, ^uint64(0)), table(1, 3, 0)} {
		assert.NotEqual(t, v, v)
	}
}
