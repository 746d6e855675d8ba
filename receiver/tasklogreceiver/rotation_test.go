package tasklogreceiver

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	begin  = "2026-11-22 21:50:53,190 INFO microscope: run begin: round 1, seed 1, sample S\n"
	second = "2026-11-23 09:00:00,000 INFO microscope: run begin: round 1, seed 1, sample S\n"
)

func start(n string) string {
	return "2026-11-22 21:51:00,000 INFO microscope.camera: image " + n + ": exposure started at x=0.00 y=0.00 nm\n"
}

func saved(n string) string {
	return "2026-11-22 21:52:00,000 INFO microscope.camera: image " + n + ": saved img_" + n + ".npz defects=1 mean=0.1 drift=0.1 nm\n"
}

// ends lists what became of the tasks, without the names of the runs.
func (r *rig) ends() []string {
	var out []string
	for _, s := range r.tasks() {
		_, rest, _ := strings.Cut(s, " ")
		out = append(out, rest)
	}
	slices.Sort(out)
	return out
}

// Every case moves a log while a task is open, with the collector running or down, and must lose nothing, tell nothing
// twice, and keep the run.
func TestRotation(t *testing.T) {
	cases := []struct {
		name string
		move func(r *rig)
		want []string
	}{
		{"renamed, and the new log continues the run", func(r *rig) {
			require.NoError(r.t, os.Rename(r.path("acquire.log"), r.path("acquire.log.1")))
			r.write("acquire.log", saved("1")+start("2"))
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 RUNNING"}},
		{"copied and truncated", func(r *rig) {
			old, err := os.ReadFile(r.path("acquire.log"))
			require.NoError(r.t, err)
			r.write("acquire.log.1", string(old))
			require.NoError(r.t, os.Truncate(r.path("acquire.log"), 0))
			r.append("acquire.log", saved("1")+start("2"))
		}, []string{"acquire_image/1 FINISHED", "acquire_image/2 RUNNING"}},
		{"overwritten by the next run", func(r *rig) {
			r.write("acquire.log", second+start("1")+saved("1"))
		}, []string{"acquire_image/1 FINISHED", "acquire_image/1 UNKNOWN"}},
		{"overwritten with an equal beginning", func(r *rig) {
			r.write("acquire.log", begin+start("7")+saved("7")+start("8"))
		}, []string{"acquire_image/1 UNKNOWN", "acquire_image/7 FINISHED", "acquire_image/8 RUNNING"}},
		{"removed and written again", func(r *rig) {
			require.NoError(r.t, os.Remove(r.path("acquire.log")))
			r.write("acquire.log", second+start("1"))
		}, []string{"acquire_image/1 RUNNING", "acquire_image/1 UNKNOWN"}},
		{"replaced by a longer copy, as rsync does", func(r *rig) {
			r.write("acquire.log.tmp", begin+start("1")+saved("1"))
			require.NoError(r.t, os.Rename(r.path("acquire.log.tmp"), r.path("acquire.log")))
		}, []string{"acquire_image/1 FINISHED"}},
		{"gone", func(r *rig) {
			require.NoError(r.t, os.Remove(r.path("acquire.log")))
		}, []string{"acquire_image/1 RUNNING"}},
		{"gone and back", func(r *rig) {
			require.NoError(r.t, os.Rename(r.path("acquire.log"), r.path("hidden")))
			r.run()
			require.NoError(r.t, os.Rename(r.path("hidden"), r.path("acquire.log")))
			r.append("acquire.log", saved("1"))
		}, []string{"acquire_image/1 FINISHED"}},
	}
	for _, c := range cases {
		for _, running := range []bool{true, false} {
			name := c.name + ", collector down"
			if running {
				name = c.name + ", collector running"
			}
			t.Run(name, func(t *testing.T) {
				r := newRig(t, "acquire.log*")
				r.cfg.Exclude = []string{r.path("*.tmp")}
				r.write("acquire.log", begin+start("1"))
				s := r.session()
				require.NoError(t, s.poll())
				require.NoError(t, s.poll())
				if !running {
					s.kill()
				}
				c.move(r)
				if !running {
					s = r.session()
				}
				for range 3 {
					require.NoError(t, s.poll())
				}
				s.kill()
				assert.Equal(t, c.want, r.ends())
				r.run()
				assert.Equal(t, c.want, r.ends(), "after one more restart")
			})
		}
	}
}

// A log that is renamed to a name outside include is read to its end while the collector runs.
func TestRotatedOutOfSight(t *testing.T) {
	r := newRig(t, "acquire.log")
	r.write("acquire.log", begin+start("1"))
	s := r.session()
	require.NoError(t, s.poll())
	r.append("acquire.log", saved("1")+start("2"))
	require.NoError(t, os.Rename(r.path("acquire.log"), r.path("old")))
	r.write("acquire.log", saved("2")+start("3"))
	require.NoError(t, s.poll())
	require.NoError(t, s.poll())
	s.kill()
	assert.Equal(t, []string{"acquire_image/1 FINISHED", "acquire_image/2 FINISHED", "acquire_image/3 RUNNING"}, r.ends())
}

// Two samples measured by one script: their logs begin alike, and grow at different times.
func TestEqualBeginnings(t *testing.T) {
	header := strings.Repeat("2026-11-22 21:50:53,190 INFO microscope: warming up\n", 40)
	r := newRig(t, "*.log")
	r.write("a.log", header)
	r.write("b.log", header)
	s := r.session()
	require.NoError(t, s.poll())
	r.append("b.log", start("1")+saved("1"))
	require.NoError(t, s.poll())
	r.append("a.log", start("1"))
	r.append("b.log", start("2"))
	require.NoError(t, s.poll())
	require.NoError(t, s.poll())
	s.kill()
	r.append("a.log", saved("1"))
	r.run()
	assert.Equal(t, []string{"acquire_image/1 FINISHED", "acquire_image/1 FINISHED", "acquire_image/2 RUNNING"}, r.ends())
	names := map[string]int{}
	for _, st := range r.view {
		if d := task.Project(st); d.TaskID != "run" {
			names[strings.SplitN(d.Scope, "#", 2)[0]]++
		}
	}
	assert.Equal(t, map[string]int{"node:" + r.path("a.log"): 1, "node:" + r.path("b.log"): 2}, names)
}

// Without stored positions, logs are read again and give the same tasks.
func TestReadAgainFromTheBeginning(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("acquire.log", shortLog)
	r.run()
	want := r.encoded()
	r.state = memory{}
	r.run()
	assert.Equal(t, want, r.encoded())
}

// What has several names is one log.
func TestLinksAreOneLog(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("acquire.log", begin+start("1"))
	require.NoError(t, os.Symlink(r.path("acquire.log"), r.path("latest.log")))
	require.NoError(t, os.Link(r.path("acquire.log"), r.path("hard.log")))
	r.run()
	assert.Equal(t, []string{"acquire_image/1 RUNNING"}, r.ends())
}

func TestHalfWrittenLineWaits(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("acquire.log", begin+start("1")+strings.TrimSuffix(saved("1"), "=0.1 nm\n"))
	r.run()
	assert.Equal(t, []string{"acquire_image/1 RUNNING"}, r.ends())
	r.append("acquire.log", "=0.1 nm\n")
	r.run()
	assert.Equal(t, []string{"acquire_image/1 FINISHED"}, r.ends())
}

func TestBadBytes(t *testing.T) {
	r := newRig(t, "*.log")
	r.cfg.MaxLineSize = 1 << 10
	r.write("acquire.log", begin+"\xff\xfe\x00 not text\n"+start("1")+
		"2026-11-22 21:51:30,000 INFO microscope: "+strings.Repeat("x", 1<<20)+"\n"+
		strings.Repeat("\x00", 5000)+"\n"+saved("1"))
	r.run()
	assert.Equal(t, []string{"acquire_image/1 FINISHED"}, r.ends())
}

// A directory, a file without rights and a pipe named like a log stop nothing.
func TestWhatIsNoLog(t *testing.T) {
	r := newRig(t, "*.log")
	require.NoError(t, os.Mkdir(r.path("dir.log"), 0o700))
	r.write("secret.log", begin+start("9"))
	require.NoError(t, os.Chmod(r.path("secret.log"), 0))
	require.NoError(t, os.Symlink(r.path("nowhere"), r.path("dangling.log")))
	r.write("acquire.log", begin+start("1"))
	r.run()
	assert.Contains(t, r.ends(), "acquire_image/1 RUNNING")
	if os.Geteuid() != 0 { // root reads everything
		assert.Equal(t, map[string]int64{"secret.log unreadable": 1}, faultsOf(t, r.tel))
	} else {
		assert.Empty(t, faultsOf(t, r.tel))
	}
}
