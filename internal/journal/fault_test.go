package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func mustRecord(t testing.TB, v any) []byte {
	data, err := record(v)
	require.NoError(t, err)
	return data
}

func appendTo(t *testing.T, path string, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestTornTailWaitsForTheWriter(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1)))
	whole := mustRecord(t, finished("b", 2))
	appendTo(t, w.Path(), whole[:20])
	r := h.reader()
	h.observe(r, func() bool { return len(h.events) == 1 })
	appendTo(t, w.Path(), whole[20:])
	h.observe(r, func() bool { return len(h.events) == 2 })
	appendTo(t, w.Path(), whole[:20])
	require.NoError(t, w.Close()) // and with it the lock
	h.observe(r, func() bool { return h.faults[Torn] == 1 && len(h.files()) == 0 })
	assert.Equal(t, []string{"a", "b"}, h.keys())
}

func TestWrongChecksumOfTheLastRecordIsTorn(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1)))
	bad := mustRecord(t, finished("b", 2))
	bad[len(bad)-1] ^= 1
	appendTo(t, w.Path(), bad)
	r := h.reader()
	h.observe(r, func() bool { return len(h.events) == 1 })
	assert.Empty(t, h.faults)
	require.NoError(t, w.Close())
	h.observe(r, func() bool { return h.faults[Torn] == 1 && len(h.files()) == 0 })
	assert.Empty(t, h.faults[Corrupt])
}

func TestCorruptionLosesOnlyItself(t *testing.T) {
	good := func(t *testing.T, from, n int) []byte {
		var b []byte
		for i := range n {
			b = append(b, mustRecord(t, finished(fmt.Sprint(from+i), from+i))...)
		}
		return b
	}
	for name, damage := range map[string]func(t *testing.T) []byte{
		"flipped bit": func(t *testing.T) []byte {
			b := mustRecord(t, finished("lost", 99))
			b[30] ^= 4
			return b
		},
		"written by half": func(t *testing.T) []byte { return mustRecord(t, finished("lost", 99))[:50] },
		"head only":       func(t *testing.T) []byte { return mustRecord(t, finished("lost", 99))[:5] },
		"zeros":           func(*testing.T) []byte { return make([]byte, 4096) },
		"huge length": func(*testing.T) []byte {
			return binary.LittleEndian.AppendUint32(nil, MaxRecord+1)
		},
		"length of 60 MiB": func(*testing.T) []byte {
			return append(binary.LittleEndian.AppendUint32(nil, 60<<20), 1, 2, 3, 4, 0x81, 0xa1)
		},
		"not msgpack": func(*testing.T) []byte { return frame([]byte{0xc1, 0xc1}) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			w := h.writer("w.1")
			require.NoError(t, w.Write(finished("0", 0)))
			appendTo(t, w.Path(), damage(t))
			appendTo(t, w.Path(), good(t, 1, 50))
			require.NoError(t, w.Close())
			h.observe(h.reader(), func() bool { return len(h.files()) == 0 })
			assert.Len(t, h.events, 51)
			assert.Equal(t, map[Fault]int64{Corrupt: 1}, h.faults)
		})
	}
}

func frame(payload []byte) []byte {
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(payload))
	return append(b, payload...)
}

func TestBadEventsLoseOnlyThemselves(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1), map[string]any{"event": 5}, map[string]any{"event": "mida.task.finished", "status": "ODD"},
		finished("b", 2)))
	appendTo(t, w.Path(), mustRecord(t, []any{1, "two", finished("c", 3)}))
	text := filepath.Join(filepath.Dir(w.Path()), "script-1.jsonl")
	require.NoError(t, os.WriteFile(text, []byte(`{"event":"mida.task.started","kind":"script","key":"d","used":{"x":1e400,"n":123456789012345678901}}`+
		"\n\n{broken\n"+`{"event":"mida.task.finished","kind":"script","key":"e","time":"soon"}`+"\n"+`{"event":"mida.task.finished","kind":"script","key":"f"`), 0o600))
	h.observe(h.reader(), func() bool { return len(h.events) == 4 })
	assert.Equal(t, map[Fault]int64{Invalid: 5, Corrupt: 1}, h.faults)
	keys := map[string]*task.Event{}
	for _, e := range h.events {
		keys[e.Key] = e
	}
	assert.Contains(t, keys, "d")
	assert.Equal(t, "script", keys["d"].ObserverID, "without a header the observer is the file's name")
	assert.Equal(t, map[string]any{"$int": "123456789012345678901"}, keys["d"].Used["n"])
	appendTo(t, text, []byte("}\n"))
	h.observe(h.reader(), func() bool { return len(h.events) >= 5 })
}

func TestSegmentWithoutLockEndsAfterTenQuietMinutes(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1", func(o *WriterOptions) { o.NoLock = true })
	require.NoError(t, w.Write(finished("a", 1)))
	r := h.reader()
	root, err := r.open()
	require.NoError(t, err)
	defer root.Close()
	name, ok := parseSegmentName(filepath.Base(w.Path()))
	require.True(t, ok)
	s := &segment{segmentName: name}
	now := time.Now()
	read := func(later bool) *part {
		p, err := s.read(root, later, false, 1<<20, now)
		require.NoError(t, err)
		return p
	}
	p := read(false)
	assert.Len(t, p.events, 1)
	assert.False(t, p.done)
	_, err = p.commit(root)
	require.NoError(t, err)
	now = now.Add(quietAfter - time.Second)
	assert.False(t, read(false).done)
	require.NoError(t, w.Write(finished("b", 2)))
	now = now.Add(2 * time.Second)
	p = read(false)
	assert.Len(t, p.events, 1)
	assert.False(t, p.done, "it grew")
	_, err = p.commit(root)
	require.NoError(t, err)
	assert.True(t, read(true).done, "a later segment exists")
	now = now.Add(quietAfter)
	p = read(false)
	assert.True(t, p.done)
	appendTo(t, w.Path(), mustRecord(t, finished("c", 3)))
	deleted, err := p.commit(root)
	require.NoError(t, err)
	assert.False(t, deleted, "it grew after it was read")
	assert.Len(t, read(false).events, 1)
}

// writeAndHang is the process of TestKilledWriter: it writes, says so, and waits to be killed inside a record.
func writeAndHang(dir string) {
	w, err := NewWriter(WriterOptions{Directory: dir, Host: testHost, Observer: "w.1"})
	if err != nil {
		panic(err)
	}
	e := finished("a", 1)
	e["kind"] = "test"
	if err := w.Write(e); err != nil {
		panic(err)
	}
	if _, err := w.f.Write([]byte{40, 0, 0, 0, 1, 2}); err != nil {
		panic(err)
	}
	fmt.Println("written")
	select {}
}

func TestKilledWriter(t *testing.T) {
	h := newHarness(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "MIDA_TEST_WRITER="+h.dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // also of a test that failed
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "written\n", line)
	r := h.reader()
	h.observe(r, func() bool { return len(h.events) == 1 && len(h.files()) == 2 })
	assert.Empty(t, h.faults, "the writer lives")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	h.observe(r, func() bool { return h.faults[Torn] == 1 && len(h.files()) == 0 })
}

func TestWriterLimit(t *testing.T) {
	h := newHarness(t)
	w := h.writer("w.1")
	require.NoError(t, w.Write(finished("a", 1)))
	w.opt.Limit = w.size + 100
	require.ErrorIs(t, w.Write(finished("b", 2)), ErrFull)
	w.opt.Limit = w.size + 1000
	require.NoError(t, w.Write(finished("c", 3)))
	h.observe(h.reader(), func() bool { return len(h.events) == 2 })
}

func TestMsgpackIsSafe(t *testing.T) {
	deep := bytes.Repeat([]byte{0x91}, 1<<20)
	_, err := DecodeMsgpack(deep)
	require.ErrorIs(t, err, errShort)
	v, err := DecodeMsgpack(append(deep, 0xc0))
	require.NoError(t, err)
	assert.Contains(t, task.JSON(v), `"$cut"`)
	_, err = DecodeMsgpack([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	require.ErrorIs(t, err, errShort)
	_, err = DecodeMsgpack([]byte{0xc6, 0xff, 0xff, 0xff, 0xff, 1})
	require.ErrorIs(t, err, errShort)
	v, err = DecodeMsgpack([]byte{0x83, 0x01, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x91, 0x02, 0xca, 0x3f, 0x80, 0, 0, 0xa1, 0xff, 0xd4, 5, 1})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"1": map[string]any{"$int": "18446744073709551615"}, "[2]": 1.0,
		"\uFFFD": map[string]any{"$object": map[string]any{"type": "msgpack.ext.5", "bytes": int64(1)}},
	}, v)
}
