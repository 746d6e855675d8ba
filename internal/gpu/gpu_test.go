package gpu

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// device finds one in a reading.
func device(t *testing.T, r Reading, id string) Device {
	t.Helper()
	for _, d := range r.Devices {
		if d.ID == id {
			return d
		}
	}
	require.Fail(t, "no such device", "%s in %v", id, r.Devices)
	return Device{}
}

func usesOf(r Reading) map[useKey]Use {
	out := map[useKey]Use{}
	for _, u := range r.Uses {
		out[useKey{u.Device, u.PID}] = u
	}
	return out
}

func TestVisible(t *testing.T) {
	whole := &Device{ID: "GPU-aaaa-1", Index: 1, Vendor: "nvidia"}
	part := &Device{ID: "MIG-bbbb", Index: 1, Vendor: "nvidia", Parent: "GPU-aaaa-1"}
	for _, c := range []struct {
		list        string
		whole, part bool
	}{
		{"1", true, false}, {"0,1", true, false}, {"0", false, false}, {"", false, false}, {"0,-1,1", false, false},
		{"GPU-aaaa", true, false}, {"MIG-bbbb", false, true},
	} {
		variables := map[string]string{"CUDA_VISIBLE_DEVICES": c.list}
		visible, told := Visible(whole, variables)
		assert.Equal(t, c.whole, visible, c.list)
		assert.True(t, told)
		visible, _ = Visible(part, variables)
		assert.Equal(t, c.part, visible, c.list)
	}
	_, told := Visible(whole, map[string]string{"ROCR_VISIBLE_DEVICES": "0"})
	assert.False(t, told, "that is for other GPUs")
	visible, told := Visible(&Device{Index: 2, Vendor: "amd"}, map[string]string{"ROCR_VISIBLE_DEVICES": "2"})
	assert.True(t, visible && told)
}

func TestWithoutAGPUThereIsNoReader(t *testing.T) {
	if nvml := openNVML(); nvml != nil {
		_ = nvml.Close()
		t.Skip("this machine has a GPU")
	}
	assert.Empty(t, Open(Roots{Proc: t.TempDir(), Sys: t.TempDir(), SMI: "nvidia-smi-that-is-not-there"}))
}

// On a machine with a GPU: what its driver says makes sense.
func TestTheGPUsOfThisMachine(t *testing.T) {
	readers := Open(Roots{Proc: "/proc", Sys: "/sys", SMI: "nvidia-smi"})
	if len(readers) == 0 {
		t.Skip("this machine has no GPU")
	}
	for _, r := range readers {
		t.Run(r.Name(), func(t *testing.T) {
			defer r.Close()
			var got Reading
			require.Eventually(t, func() bool {
				got = r.Read([]int{os.Getpid()})
				return len(got.Devices) > 0
			}, patience, smiInterval/10)
			for _, d := range got.Devices {
				t.Logf("%+v", d)
				assert.NotEmpty(t, d.ID)
				assert.Positive(t, d.Values[MemorySize])
				assert.LessOrEqual(t, d.Values[Memory], d.Values[MemorySize])
				if d.Values[Utilization] == d.Values[Utilization] {
					assert.LessOrEqual(t, d.Values[Utilization], 1.0)
				}
			}
			assert.Zero(t, got.Failed)
		})
	}
}
