package tasklogreceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *session) logs() []any { return s.tail.witness.record()["logs"].([]any) }

// What became of each entry is counted once, over kills in between, and what stands wrong is named by its place.
func TestWitnessCountsEveryEntryOnce(t *testing.T) {
	r := newRig(t, "*.log")
	odd := "2026-11-22 21:50:57,000 INFO microscope: something else\n"
	bad := "2026-11-22 21:50:57,100 INFO microscope.camera: image 109: exposure started at x=far y=0.00 nm\n"
	r.write("acquire.log", shortLog)
	r.run()
	r.append("acquire.log", odd)
	r.run()
	r.append("acquire.log", bad+"2026-11-22 21:50:57,200 INFO no end")
	s := r.session()
	defer s.kill()
	require.NoError(t, s.poll())
	want := map[string]any{
		"path": r.path("acquire.log"), "size": int64(len(shortLog + odd + bad + "2026-11-22 21:50:57,200 INFO no end")),
		"read": int64(len(shortLog + odd + bad)), "entries": int64(15), "matched": int64(12), "ignored": int64(1),
		"unmatched": int64(2), "unusable": int64(0), "first_unmatched": int64(len(shortLog)),
	}
	assert.Equal(t, []any{want}, s.logs())

	r.write("acquire.log", begin)
	require.NoError(t, s.poll())
	require.NoError(t, s.poll())
	m := s.logs()[0].(map[string]any)
	assert.Equal(t, []any{int64(len(begin)), int64(len(begin)), int64(1), int64(0)}, []any{m["size"], m["read"], m["entries"], m["unmatched"]},
		"an overwritten log begins anew")
}

func TestWitnessListsWhatIsOddFirst(t *testing.T) {
	r := newRig(t, "*.log")
	for i := range maxWitnessed + 3 {
		r.write(fmt.Sprintf("a%04d.log", i), begin)
	}
	r.write("z.log", begin+"2026-11-22 21:50:57,000 INFO microscope: something else\n")
	s := r.session()
	defer s.kill()
	require.NoError(t, s.poll())
	require.NoError(t, s.poll())
	logs := s.logs()
	require.Len(t, logs, maxWitnessed+1)
	assert.Equal(t, r.path("z.log"), logs[0].(map[string]any)["path"])
	rest := logs[maxWitnessed].(map[string]any)
	assert.Equal(t, []any{int64(4), int64(4 * len(begin)), int64(4)}, []any{rest["logs"], rest["read"], rest["entries"]})
}
