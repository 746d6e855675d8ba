package tasklogreceiver

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func (r *rig) rename(from, to string) { require.NoError(r.t, os.Rename(r.path(from), r.path(to))) }

// gzip replaces a log as a compressing rotation does; what is in it nobody reads.
func (r *rig) gzip(name string) {
	fi, err := os.Stat(r.path(name))
	require.NoError(r.t, err)
	r.write(name+".gz", "\x1f\x8b not text\n")
	require.NoError(r.t, os.Chtimes(r.path(name+".gz"), fi.ModTime(), fi.ModTime()))
	require.NoError(r.t, os.Remove(r.path(name)))
}

func (r *rig) copyTo(from, to string, n int) {
	data, err := os.ReadFile(r.path(from))
	require.NoError(r.t, err)
	r.write(to, string(data[:min(n, len(data))]))
}

// runs is how many runs there are tasks of.
func (r *rig) runs() int {
	scopes := map[string]bool{}
	for _, st := range r.view {
		if d := task.Project(st); d.TaskID != "run" {
			scopes[d.Scope] = true
		}
	}
	return len(scopes)
}

const all = 1 << 20

// Every case rotates a log, with a task open in it, in steps. Whether a look falls between two steps, or the collector is
// down, or reads everything from the beginning, the tasks are the same.
func TestSeries(t *testing.T) {
	cases := []struct {
		name  string
		steps []func(r *rig)
		want  []string
		runs  int
		// part says that not all is there in the end, so that it cannot be read again from the beginning.
		part bool
	}{
		{"renamed, and the new log comes later", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.1") },
			func(r *rig) { r.write("run.log", saved("1")+start("2")) },
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 RUNNING"}, 1, false},
		{"the new log is empty at first, and a task ends in the old one", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.1"); r.write("run.log", "") },
			func(r *rig) { r.append("run.log.1", saved("1")+start("2")) },
			func(r *rig) { r.append("run.log", second+start("3")) },
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 UNKNOWN", "acquire_image/3 RUNNING"}, 2, false},
		{"the new log is empty at first, and a task begins in the old one", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.1"); r.write("run.log", "") },
			func(r *rig) { r.append("run.log.1", start("2")) },
			func(r *rig) { r.append("run.log", saved("2")+saved("1")) },
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, 1, false},
		{"by date, as Python does", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.2026-11-22_21-51") },
			func(r *rig) { r.write("run.log", start("2")) },
			func(r *rig) { r.rename("run.log", "run.log.2026-11-22_21-52") },
			func(r *rig) { r.write("run.log", saved("2")+saved("1")) },
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, 1, false},
		{"copied in parts, and truncated", []func(r *rig){
			func(r *rig) { r.copyTo("run.log", "run.log.1", 100) },
			func(r *rig) { r.copyTo("run.log", "run.log.1", all) },
			func(r *rig) { require.NoError(r.t, os.Truncate(r.path("run.log"), 0)) },
			func(r *rig) { r.append("run.log", saved("1")+start("2")) },
			func(r *rig) { r.rename("run.log.1", "run.log.2"); r.copyTo("run.log", "run.log.1", all) },
			func(r *rig) { require.NoError(r.t, os.Truncate(r.path("run.log"), 0)) },
			func(r *rig) { r.append("run.log", saved("2")) },
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, 1, false},
		{"three generations", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.1") },
			func(r *rig) { r.write("run.log", start("2")) },
			func(r *rig) { r.rename("run.log.1", "run.log.2"); r.rename("run.log", "run.log.1") },
			func(r *rig) { r.write("run.log", start("3")+saved("2")) },
			func(r *rig) {
				r.rename("run.log.2", "run.log.3")
				r.rename("run.log.1", "run.log.2")
				r.rename("run.log", "run.log.1")
			},
			func(r *rig) { r.write("run.log", saved("1")+saved("3")) },
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED", "acquire_image/3 FINISHED"}, 1, false},
		{"compressed after the new log came", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.1"); r.write("run.log", "") },
			func(r *rig) { r.append("run.log", start("2")) },
			func(r *rig) { r.gzip("run.log.1") },
			func(r *rig) { r.append("run.log", saved("1")) },
			func(r *rig) { r.rename("run.log.1.gz", "run.log.2.gz"); r.rename("run.log", "run.log.1") },
			func(r *rig) { r.gzip("run.log.1"); r.write("run.log", saved("2")) },
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, 1, true},
		{"compressed before the new log came", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.1") },
			func(r *rig) { r.gzip("run.log.1") },
			func(r *rig) { r.write("run.log", saved("1")) },
		}, []string{"acquire_image/1 FINISHED"}, 1, true},
		{"renamed, created and compressed at once", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.1"); r.write("run.log", ""); r.gzip("run.log.1") },
			func(r *rig) { r.append("run.log", start("2")) },
			func(r *rig) {
				r.rename("run.log", "run.log.1")
				r.gzip("run.log.1")
				r.write("run.log", saved("1")+saved("2"))
			},
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, 1, true},
		{"the oldest is removed", []func(r *rig){
			func(r *rig) { r.rename("run.log", "run.log.1") },
			func(r *rig) { r.write("run.log", saved("1")+second+start("2")) },
			func(r *rig) { require.NoError(r.t, os.Remove(r.path("run.log.1"))) },
			func(r *rig) { r.rename("run.log", "run.log.1"); r.write("run.log", saved("2")) },
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, 2, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var want map[string]string
			dir := t.TempDir() // one path, one identity
			for _, mode := range []string{"running", "restarted", "down"} {
				require.NoError(t, os.RemoveAll(dir))
				require.NoError(t, os.Mkdir(dir, 0o700))
				r := newRig(t, "run.log*")
				r.dir, r.cfg.Include, r.cfg.Exclude = dir, []string{dir + "/run.log*"}, []string{dir + "/*.gz"}
				r.write("run.log", begin+start("1"))
				s := r.session()
				s.polls(2)
				for _, step := range c.steps {
					if mode != "running" {
						s.kill()
					}
					step(r)
					if mode == "restarted" {
						s = r.session()
					}
					if mode != "down" {
						s.polls(2)
					}
				}
				if mode == "down" && c.part {
					continue
				}
				s.kill()
				s = r.session()
				s.polls(2)
				s.kill()
				require.Equal(t, c.want, r.ends(), mode)
				require.Equal(t, c.runs, r.runs(), mode)
				require.Empty(t, r.problems(), mode)
				if want == nil {
					want = r.encoded()
				}
				require.Equal(t, want, r.encoded(), mode)
				if !c.part {
					r.state = memory{}
					r.run()
					require.Equal(t, want, r.encoded(), "%s, and read again from the beginning", mode)
					r.view, r.state = map[string]*task.State{}, memory{}
					r.run()
					require.Equal(t, want, r.encoded(), "%s, and read by another", mode)
				}
			}
		})
	}
}

// problems lists the faults that lose something.
func (r *rig) problems() []string {
	var out []string
	for _, e := range r.logged.All() {
		if e.Level > 0 {
			out = append(out, e.Message)
		}
	}
	for key := range faultsOf(r.t, r.tel) {
		if key == "run.log overwritten" {
			out = append(out, key)
		}
	}
	return out
}

// A log that is rotated behind any of its lines, before the eyes of the collector, gives what reading both parts at once does.
func TestRotatedAnywhere(t *testing.T) {
	lines := strings.SplitAfter(shortLog, "\n")
	dir := t.TempDir()
	for cut := 1; cut < len(lines)-1; cut++ {
		r := newRig(t, "run.log*")
		r.dir, r.cfg.Include = dir, []string{dir + "/run.log*"}
		require.NoError(t, os.RemoveAll(r.path("run.log.1")))
		r.write("run.log", strings.Join(lines[:cut], ""))
		s := r.session()
		s.polls(2)
		r.rename("run.log", "run.log.1")
		s.polls(2)
		r.write("run.log", "")
		s.polls(2)
		r.append("run.log", strings.Join(lines[cut:], ""))
		s.polls(2)
		s.kill()
		want := r.encoded()
		r.view, r.state = map[string]*task.State{}, memory{}
		r.run()
		require.Equal(t, want, r.encoded(), "rotated behind line %d", cut)
	}
}

// A process that is killed in the middle of the parts of a log goes on where it was.
func TestSeriesKilledAnywhere(t *testing.T) {
	lines := strings.SplitAfter(shortLog, "\n")
	r := newRig(t, "run.log*")
	r.write("run.log.2", strings.Join(lines[:3], ""))
	r.write("run.log.1", strings.Join(lines[3:10], ""))
	r.write("run.log", strings.Join(lines[10:], ""))
	r.run()
	want := r.encoded()
	assert.Equal(t, []string{"acquire_image/101 FINISHED", "acquire_image/101 FINISHED", "acquire_image/102 FAILED", "acquire_image/103 UNKNOWN"}, r.ends())
	for at := range r.events + 1 {
		r.state, r.view, r.refuseAt = memory{}, map[string]*task.State{}, at
		s := r.session()
		if err := s.poll(); err != nil {
			require.ErrorIs(t, err, errStopped)
		}
		s.kill()
		r.refuseAt = -1
		r.run()
		require.Equal(t, want, r.encoded(), "killed after %d events", at)
	}
}

// A copy of the logs, whose times of modification are those of the copying, is the same series.
func TestSeriesByNumber(t *testing.T) {
	r := newRig(t, "run.log*")
	r.write("run.log", saved("2")+saved("1"))
	r.write("run.log.1", start("2"))
	r.write("run.log.2", begin+start("1"))
	for i, name := range []string{"run.log", "run.log.1", "run.log.2"} {
		at := time.Now().Add(time.Duration(i-10) * time.Minute)
		require.NoError(t, os.Chtimes(r.path(name), at, at))
	}
	r.run()
	assert.Equal(t, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, r.ends())
	assert.Equal(t, 1, r.runs())
}

// Numbers without a log that has none are of processes that write at the same time.
func TestNumbersAloneAreNoSeries(t *testing.T) {
	r := newRig(t, "rank.log.*")
	for i := range 3 {
		n := fmt.Sprint(i)
		r.write("rank.log."+n, "2026-11-22 21:50:5"+n+",190 INFO microscope: run begin: round 1, seed 1, sample S\n"+start(n))
	}
	s := r.session()
	s.polls(2)
	for i := range 3 {
		r.append(fmt.Sprintf("rank.log.%d", i), saved(fmt.Sprint(i)))
	}
	s.polls(2)
	s.kill()
	assert.Equal(t, []string{"acquire_image/0 FINISHED", "acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, r.ends())
}

// An old part that is brought back does not take the run from the log that is written.
func TestOldPartComesBack(t *testing.T) {
	r := newRig(t, "run.log*")
	r.write("run.log", second+start("1"))
	s := r.session()
	s.polls(2)
	r.write("run.log.3", begin+start("9")+saved("9"))
	s.polls(2)
	r.rename("run.log", "run.log.1")
	s.polls(2)
	r.write("run.log", saved("1"))
	s.polls(2)
	s.kill()
	assert.Equal(t, []string{"acquire_image/1 FINISHED", "acquire_image/9 FINISHED"}, r.ends())
}

// Out of sight, with the new log empty for a while: what is still written to the old one is read.
func TestRotatedOutOfSightInSteps(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := newRig(t, "run.log")
		r.write("run.log", begin+start("1"))
		s := r.session()
		s.polls(2)
		r.rename("run.log", "old")
		s.polls(2)
		r.append("old", saved("1")+start("2"))
		r.write("run.log", "")
		s.polls(2)
		if restart {
			s.kill()
			s = r.session()
			s.polls(2)
		}
		r.append("run.log", saved("2"))
		s.polls(2)
		s.kill()
		assert.Equal(t, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED"}, r.ends())
	}
}

// A program that writes to the old log although the new one has begun is told of.
func TestLateLines(t *testing.T) {
	r := newRig(t, "run.log*")
	r.write("run.log", begin+start("1"))
	s := r.session()
	s.polls(2)
	r.rename("run.log", "run.log.1")
	r.write("run.log", start("2"))
	s.polls(2)
	s.kill()
	s = r.session()
	r.append("run.log.1", start("3")+saved("3"))
	s.polls(2)
	r.append("run.log.1", start("4")+saved("4"))
	s.polls(2)
	s.kill()
	assert.Equal(t, []string{"acquire_image/1 RUNNING", "acquire_image/2 RUNNING", "acquire_image/3 FINISHED", "acquire_image/4 FINISHED"}, r.ends())
	assert.Equal(t, map[string]int64{"run.log late": 1}, faultsOf(t, r.tel))
}
