package tasktelemetryprocessor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// A task of a real process, on a GPU of which a program tells that this process uses it.
func TestATaskOnAGPU(t *testing.T) {
	cmd := run(t, `sleep 600`)
	smi := filepath.Join(t.TempDir(), "nvidia-smi")
	script := fmt.Sprintf(`#!/bin/sh
case "$*" in
*--query-gpu=*) while :; do echo "0, GPU-a, NVIDIA A100, 75, 1024, 40960, 250, 250, 61, 1410, 1215"; sleep 0.1; done ;;
*) while :; do echo "GPU-a, %d, 900"; sleep 0.1; done ;;
esac
`, cmd.Process.Pid)
	require.NoError(t, os.WriteFile(smi, []byte(script), 0o700))
	p := startPipeline(t, func(c *Config) {
		c.GPU.NvidiaSMI, c.GPU.Interval, c.CarbonIntensity = smi, 100*time.Millisecond, 360
	})
	p.send(checkpoint(t, cmd.Process.Pid))
	var got *task.Event
	var lasted float64
	require.Eventually(t, func() bool {
		began := time.Now() // one after the other, until there are samples before its start
		time.Sleep(500 * time.Millisecond)
		end := time.Now()
		lasted = end.Sub(began).Seconds()
		added := p.send(finished(fmt.Sprint(end.UnixNano()), began, end))
		whose, ok := added[0].TelemetryCoverage["task.energy.gpu"].(string)
		got = added[0]
		return ok && !strings.Contains(whose, "partial")
	}, patience, 10*time.Millisecond)
	assert.InEpsilon(t, 250*lasted, got.TelemetryDelta["task.energy.gpu"], 0.1)
	assert.Contains(t, got.TelemetryCoverage["task.energy.gpu"], "gpu_exclusive, exclusive")
	assert.Contains(t, got.TelemetryCoverage["task.energy.gpu"], "from power")
	assert.Equal(t, int64(900<<20), got.TelemetryPeak["process.gpu.memory.usage"])
	assert.Equal(t, []any{"GPU-a"}, got.Attributes["hw.gpu.ids"])
	assert.InEpsilon(t, got.TelemetryDelta["task.energy.gpu"].(float64)*1e-4, got.TelemetryDelta["task.co2e"], 0.01)
}
