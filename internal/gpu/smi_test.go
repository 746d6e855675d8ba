package gpu

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const patience = time.Minute

// fakeSMI is a program with this body; $* are its arguments, and it notes each start in the file started.
func fakeSMI(t *testing.T, body string) (path string, starts func() int) {
	dir := t.TempDir()
	path = filepath.Join(dir, "nvidia-smi")
	script := "#!/bin/sh\necho \"$*\" >> " + filepath.Join(dir, "started") + "\n" + body
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return path, func() int {
		b, _ := os.ReadFile(filepath.Join(dir, "started"))
		n := 0
		for _, c := range b {
			if c == '\n' {
				n++
			}
		}
		return n
	}
}

const twoGPUs = `
case "$*" in
*--query-gpu=*)
  while :; do
    echo "0, GPU-a, NVIDIA A100-SXM4-40GB, 75, 1024, 40960, 250.50, 240.25, 61, 1410, 1215"
    echo "1, GPU-b, NVIDIA A100-SXM4-40GB, [N/A], 512, 40960, [Unknown Error], [N/A], 30, 210, [Not Supported]"
    sleep 0.05
  done ;;
*)
  while :; do
    echo "GPU-a, 4711, 900"
    echo "GPU-a, 4712, [N/A]"
    sleep 0.05
  done ;;
esac
`

func readUntil(t *testing.T, r Reader, enough func(Reading) bool) (got Reading) {
	require.Eventually(t, func() bool {
		got = r.Read(nil)
		return enough(got)
	}, patience, 10*time.Millisecond)
	return got
}

func TestNvidiaSMI(t *testing.T) {
	defer goleak.VerifyNone(t)
	path, starts := fakeSMI(t, twoGPUs)
	r := openSMI(path, 500*time.Millisecond)
	require.NotNil(t, r)
	failed := 0
	got := readUntil(t, r, func(got Reading) bool {
		failed += got.Failed
		return len(got.Devices) == 2 && len(got.Uses) == 2
	})
	a, b := device(t, got, "GPU-a"), device(t, got, "GPU-b")
	assert.Equal(t, "NVIDIA A100-SXM4-40GB", a.Name)
	assert.Equal(t, []float64{0.75, 1 << 30, 40 << 30, 240.25}, a.Values[:Energy])
	assert.Equal(t, time.Second, a.PowerOver, "where it prints a mean, that counts")
	assert.Equal(t, []float64{61, 1.41e9, 1.215e9}, a.Values[Temperature:MemoryClock+1])
	assert.NotEqual(t, a.Values[Energy], a.Values[Energy], "it has no counter of energy: unknown, not zero")
	for _, i := range []int{Utilization, Power, MemoryClock} {
		assert.NotEqual(t, b.Values[i], b.Values[i])
	}
	assert.InDelta(t, 512<<20, b.Values[Memory], 0, "one that cannot be read drops only itself")
	assert.Equal(t, 1, b.Index)
	uses := usesOf(got)
	assert.InDelta(t, 900<<20, uses[useKey{"GPU-a", 4711}].Memory, 0)
	assert.Contains(t, uses, useKey{"GPU-a", 4712})
	readUntil(t, r, func(got Reading) bool { failed += got.Failed; return failed > 0 })
	assert.Equal(t, 2, starts(), "it goes on printing: none is started for a sample")
	require.NoError(t, r.Close())
	assert.Empty(t, r.Read(nil).Failed)
	assert.Equal(t, 2, starts(), "what is closed starts nothing")
}

// A driver that does not know a field is asked without it.
func TestAFieldThatNvidiaSMIDoesNotKnow(t *testing.T) {
	defer goleak.VerifyNone(t)
	path, _ := fakeSMI(t, `
case "$*" in
*clocks.mem*) echo 'Field "clocks.mem" is not a valid field to query.'; exit 2 ;;
*power.draw.average*) echo 'Field "power.draw.average" is not a valid field to query.'; exit 2 ;;
*clocks.sm*) echo 'Field "clocks.sm" is not a valid field to query.'; exit 2 ;;
*--query-gpu=*) echo "0, GPU-a, Tesla K80, 5, 10, 20, 30, 40"; exec sleep 600 ;;
*) exec sleep 600 ;;
esac
`)
	r := openSMI(path, time.Hour)
	got := readUntil(t, r, func(got Reading) bool { return len(got.Devices) == 1 })
	d := device(t, got, "GPU-a")
	assert.Equal(t, []float64{0.05, 10 << 20, 20 << 20, 30}, d.Values[:Energy])
	assert.NotEqual(t, d.Values[Clock], d.Values[Clock])
	assert.Zero(t, d.PowerOver, "this power is of a moment")
	require.NoError(t, r.Close(), "also one that says nothing ends")
}

// What stopped printing counts no more, and one that fails at once is not started again and again.
func TestNvidiaSMIThatEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	path, starts := fakeSMI(t, `
case "$*" in
*--query-gpu=*) echo "0, GPU-a, Tesla K80, 5, 10, 20, 30, 30, 40, 50, 60"; echo "NVIDIA-SMI has failed"; exit 9 ;;
*) exit 9 ;;
esac
`)
	r := openSMI(path, 100*time.Millisecond)
	readUntil(t, r, func(got Reading) bool { return len(got.Devices) == 1 })
	readUntil(t, r, func(got Reading) bool { return len(got.Devices) == 0 })
	for range 100 {
		r.Read(nil)
	}
	assert.Equal(t, 2, starts())
	require.NoError(t, r.Close())
}

// A reading never waits, whatever the program does.
func TestNvidiaSMIThatHangs(t *testing.T) {
	defer goleak.VerifyNone(t)
	path, _ := fakeSMI(t, "trap '' TERM INT\nsleep 600 & wait\n")
	r := openSMI(path, time.Second)
	before := time.Now()
	for range 1000 {
		assert.Empty(t, r.Read(nil).Devices)
	}
	assert.Less(t, time.Since(before), 10*time.Second)
	require.NoError(t, r.Close())
}
