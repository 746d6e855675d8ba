package journal

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// BenchmarkReader reads what 8 workers wrote in batches, decoded and with defaults.
func BenchmarkReader(b *testing.B) {
	const workers, batches, batch = 8, 50, 100
	total := 0
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		for w := range workers {
			writer, err := NewWriter(WriterOptions{Directory: dir, Host: testHost, Observer: fmt.Sprint("w.", w), Defaults: map[string]any{
				"kind": "dask", "scope": "Scheduler-1", "execution": "Scheduler-1", "facet": "worker", "campaign": "c",
				"resource":   map[string]any{"host.name": testHost, "service.name": "dask-worker"},
				"attributes": map[string]any{"user.name": "ada", "dask.worker.name": "w", "dask.worker.address": "tcp://h:1", "process.pid": int64(7), "process.working_directory": "/home/ada"},
			}})
			require.NoError(b, err)
			for i := range batches {
				events := make([]map[string]any, batch)
				for k := range events {
					events[k] = typical(fmt.Sprint("incr-", w, "-", i, "-", k), i*batch+k+1)
				}
				require.NoError(b, writer.Write(events...))
			}
			require.NoError(b, writer.Close())
		}
		r, err := NewReader(Options{Directory: dir, Host: testHost})
		require.NoError(b, err)
		n := 0
		b.StartTimer()
		err = r.Drain(b.Context(), func(_ context.Context, events []*task.Event) error {
			n += len(events)
			return nil
		})
		require.NoError(b, err)
		require.Equal(b, workers*batches*batch, n)
		total += n
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
}

// typical is what the plugin writes of a task.
func typical(key string, seq int) map[string]any {
	return map[string]any{
		"event": task.EventFinished, "time": int64(1795354132800000000), "key": key, "seq": int64(seq), "attempt": int64(seq),
		"status": "FINISHED", "activity": "train", "started_at": int64(1795354132700000000), "ended_at": int64(1795354132800000000),
		"used":       map[string]any{"layers": int64(2), "lr": 0.1, "data": "/data/x.npz", "swa": true},
		"generated":  map[string]any{"loss": 0.1, "model_path": "/data/model_17.pkl"},
		"attributes": map[string]any{"thread.id": int64(140042), "thread.name": "Dask-Default-Threads", "code.function.name": "m.train"},
	}
}

func BenchmarkDecode(b *testing.B) {
	payload := record100(b)
	h := &Header{Observer: "w.1", Host: testHost, Defaults: map[string]any{
		"kind": "dask", "scope": "Scheduler-1", "execution": "Scheduler-1", "facet": "worker", "campaign": "c",
		"resource":   map[string]any{"host.name": testHost, "service.name": "dask-worker"},
		"attributes": map[string]any{"user.name": "ada", "dask.worker.name": "w", "dask.worker.address": "tcp://h:1", "process.pid": int64(7), "process.working_directory": "/home/ada"},
	}}
	h.addHost()
	s := &segment{header: h}
	b.ReportAllocs()
	for b.Loop() {
		p := &part{seg: s}
		s.events(payload, p)
		if len(p.events) != 100 {
			b.Fatal(len(p.events), p.faults)
		}
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "events/s")
}

func record100(b *testing.B) []byte {
	list := make([]map[string]any, 100)
	for i := range list {
		list[i] = typical(fmt.Sprint("train-", i), i+1)
	}
	data, err := record(list)
	require.NoError(b, err)
	return data[frameSize:]
}
