package journal

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

var update = flag.Bool("update", false, "write the files of testdata anew")

// expectation is "<vector>.json": what a reader makes of a finished segment.
type expectation struct {
	Events []json.RawMessage `json:"events"` // canonical wire form
	Faults map[Fault]int64   `json:"faults,omitempty"`
	Error  string            `json:"error,omitempty"` // part of the reason to refuse the file
}

// vectors are the segments of testdata, as code that makes them.
func vectors(t *testing.T) map[string][]byte {
	header := func(version int) map[string]any {
		return map[string]any{
			"format": formatName, "version": int64(version), "observer": "dask-worker.node-1.17.1", "host": "node-1", "pid": int64(17),
			"boot_id": "b", "created": int64(1753100000000000000), "segment": int64(1), "writer": "vector/1",
			"defaults": map[string]any{
				"kind": "dask", "scope": "Scheduler-1", "execution": "Scheduler-1", "facet": "worker", "campaign": "c",
				"resource":   map[string]any{"host.name": "node-1", "service.name": "dask-worker"},
				"attributes": map[string]any{"process.pid": int64(17), "user.name": "ada"},
			},
		}
	}
	a := map[string]any{
		"event": task.EventFinished, "time": int64(1753100001000000000), "seq": int64(1), "key": "incr-0", "attempt": int64(3),
		"status": "FINISHED", "activity": "incr", "started_at": int64(1753100000500000000), "ended_at": int64(1753100001000000000),
		"used": map[string]any{"x": int64(1), "rate": 0.1, "whole": 1.0, "big": uint64(1) << 63, "neg": int64(-129), "min": int64(-1 << 63),
			"none": nil, "flag": true, "bytes": []byte{0, 255}, "text": "Grüße ✓", "list": []any{int64(1), "two", []any{}}, "empty": map[string]any{}},
		"generated": map[string]any{"value": int64(2)}, "dependencies": []any{"incr-9", map[string]any{"kind": "dask", "scope": "other", "key": "k"}},
		"refs": map[string]any{"x": "incr-9"}, "attributes": map[string]any{"thread.id": int64(5), "user.name": "bob"},
		"paths": map[string]any{"/data/a.npy": map[string]any{"real": "/mnt/a.npy", "fs": "nfs:server:/export", "rel": "a.npy", "mtime": int64(7), "size": int64(80)}},
	}
	b := map[string]any{"event": task.EventStarted, "time": int64(1753100002000000000), "seq": int64(2), "key": "incr-1", "status": "RUNNING", "scope": "Scheduler-2"}
	last := map[string]any{"event": task.EventCheckpoint, "time": int64(1753100003000000000), "record": map[string]any{"last_seq": int64(2), "dropped": []any{}, "final": true}}
	binary := func(payloads ...any) []byte {
		out := []byte(magic)
		for _, p := range payloads {
			if raw, ok := p.([]byte); ok {
				out = append(out, raw...)
				continue
			}
			out = append(out, mustRecord(t, p)...)
		}
		return out
	}
	text := func(values ...any) []byte {
		var out []byte
		for _, v := range values {
			if raw, ok := v.([]byte); ok {
				out = append(out, raw...)
				continue
			}
			out = append(task.AppendJSON(out, v), '\n')
		}
		return out
	}
	bad := mustRecord(t, b)
	bad[20] ^= 1
	return map[string][]byte{
		"basic-1.mj":     binary(header(1), a, []any{b, last}),
		"basic-1.jsonl":  text(header(1), a, b, last),
		"corrupt-1.mj":   binary(header(1), bad, a, mustRecord(t, b)[:30], last),
		"torn-1.mj":      binary(header(1), a, mustRecord(t, b)[:30]),
		"torn-1.jsonl":   text(header(1), a, []byte(`{"event":"mida.task.fin`)),
		"invalid-1.mj":   binary(header(1), []any{map[string]any{"event": task.EventStarted, "status": "ODD"}, "no event", a}),
		"newer-1.mj":     binary(header(2), a),
		"noheader-1.mj":  binary(a),
		"script-1.jsonl": text(map[string]any{"event": task.EventFinished, "kind": "script", "scope": "run 1", "key": "step 1", "time": int64(5), "status": "FINISHED"}),
	}
}

// TestVectors reads the files of testdata, which also other languages read and write.
func TestVectors(t *testing.T) {
	made := vectors(t)
	for name, data := range made {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name)
			if *update {
				require.NoError(t, os.WriteFile(file, data, 0o644))
			}
			stored, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(stored, data), "the format is fixed: %s must not change", file)
			got := readFinished(t, name, stored)
			if *update {
				out, err := json.MarshalIndent(got, "", " ")
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file+".expected", append(out, '\n'), 0o644))
			}
			data, err := os.ReadFile(file + ".expected")
			require.NoError(t, err)
			var want expectation
			require.NoError(t, json.Unmarshal(data, &want))
			require.Len(t, got.Events, len(want.Events))
			for i := range want.Events {
				assert.JSONEq(t, string(want.Events[i]), string(got.Events[i]))
			}
			assert.Equal(t, want.Faults, got.Faults)
			assert.Equal(t, want.Error, got.Error)
		})
	}
	files, err := filepath.Glob("testdata/*.expected")
	require.NoError(t, err)
	assert.Len(t, files, len(made))
}

// readFinished reads a segment whose writer is gone.
func readFinished(t testing.TB, name string, data []byte) expectation {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	parsed, ok := parseSegmentName(name)
	require.True(t, ok)
	s := &segment{segmentName: parsed}
	out := expectation{Events: []json.RawMessage{}}
	for {
		p, err := s.read(root, true, false, 1<<20, time.Now())
		if err != nil {
			out.Error = strings.TrimSpace(err.Error())
			return out
		}
		for _, e := range p.events {
			out.Events = append(out.Events, json.RawMessage(task.JSON(e.Wire())))
		}
		for f, n := range p.counts {
			if out.Faults == nil {
				out.Faults = map[Fault]int64{}
			}
			out.Faults[f] += n
		}
		deleted, err := p.commit(root)
		require.NoError(t, err)
		if deleted {
			return out
		}
	}
}

// FuzzSegment: whatever a file holds, reading it ends, and a good record behind the damage of a binary file is found.
func FuzzSegment(f *testing.F) {
	files, err := filepath.Glob("testdata/*-1.*")
	require.NoError(f, err)
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil && isSegmentFile(file) {
			f.Add(data, strings.HasSuffix(file, extText))
		}
	}
	f.Add(append([]byte(magic), bytes.Repeat([]byte{0x91}, 5000)...), false)
	f.Fuzz(func(t *testing.T, data []byte, text bool) {
		name := "x-1" + extBinary
		if text {
			name = "x-1" + extText
		}
		whole := readFinished(t, name, data)
		tail := mustRecord(t, map[string]any{"event": task.EventFinished, "key": "the last"})
		if text {
			tail = []byte("\n" + `{"event":"mida.task.finished","key":"the last"}` + "\n")
		}
		more := readFinished(t, name, append(bytes.Clone(data), tail...))
		if whole.Error == "" && more.Error == "" && len(data) >= 64 && (len(whole.Events) > 0 || text) &&
			more.Faults[Invalid] == whole.Faults[Invalid] {
			require.NotEmpty(t, more.Events)
			require.Contains(t, string(more.Events[len(more.Events)-1]), "the last")
		}
	})
}
