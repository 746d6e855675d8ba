package tasklogreceiver

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadatatest"
)

func (s *session) polls(n int) {
	for range n {
		require.NoError(s.r.t, s.poll())
	}
}

// A log that vanishes is counted and said once, also over a restart, and again when it vanishes again.
func TestVanishedIsCounted(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("a.log", begin+start("1"))
	r.write("b.log", begin)
	s := r.session()
	s.polls(2)
	metadatatest.AssertEqualReceiverTasklogFiles(t, r.tel, fileCount(2), ignoreTime)
	assert.Empty(t, faultsOf(t, r.tel))

	require.NoError(t, os.Rename(r.path("a.log"), r.path("hidden")))
	s.polls(3)
	s.kill()
	s = r.session()
	s.polls(2)
	metadatatest.AssertEqualReceiverTasklogFiles(t, r.tel, fileCount(1), ignoreTime)
	assert.Equal(t, map[string]int64{"a.log vanished": 1}, faultsOf(t, r.tel))
	assert.Len(t, r.logged.FilterMessageSnippet("a log is gone").All(), 1)

	require.NoError(t, os.Rename(r.path("hidden"), r.path("a.log")))
	r.append("a.log", saved("1"))
	s.polls(2)
	metadatatest.AssertEqualReceiverTasklogFiles(t, r.tel, fileCount(2), ignoreTime)
	require.NoError(t, os.Remove(r.path("a.log")))
	s.polls(2)
	s.kill()
	assert.Equal(t, map[string]int64{"a.log vanished": 2}, faultsOf(t, r.tel))
	assert.Equal(t, []string{"acquire_image/1 FINISHED"}, r.ends())
}

// What is overwritten is counted: lines that nobody read may be lost.
func TestOverwrittenIsCounted(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("a.log", begin+start("1"))
	s := r.session()
	s.polls(2)
	r.write("a.log", second)
	s.polls(2)
	s.kill()
	assert.Equal(t, map[string]int64{"a.log overwritten": 1}, faultsOf(t, r.tel))
}

// What cannot be read or used is counted once while it lasts, and once more when it comes again.
func TestLastingFaults(t *testing.T) {
	r := newRig(t, "*.log")
	spec, err := rules.Parse([]byte(`
file_name: 'day{day:int}.log'
rules: [{name: r, match: 'x {n:int}', whole_task: x, task: '{n}'}]
`))
	require.NoError(t, err)
	r.cfg.Spec, r.cfg.RulesFile = spec, ""
	loop := func() { require.NoError(t, os.Symlink("day2.log", r.path("day2.log"))) }
	loop()
	r.write("night.log", "x 1\n")
	r.write("day1.log", "x 1\n")
	s := r.session()
	s.polls(3)
	keys := len(s.store.index)
	want := map[string]int64{"day2.log unreadable": 1, "night.log unusable": 1}
	assert.Equal(t, want, faultsOf(t, r.tel))
	assert.Equal(t, 1, keys, "what is left out takes no place in the storage")
	assert.Len(t, r.logged.FilterMessage("a log is left out").All(), 1)
	assert.Len(t, r.logged.FilterMessageSnippet("cannot be read").All(), 1)

	require.NoError(t, os.Remove(r.path("day2.log")))
	s.polls(2)
	loop()
	s.polls(2)
	s.kill()
	want["day2.log unreadable"]++
	assert.Equal(t, want, faultsOf(t, r.tel))
	assert.Equal(t, []string{"0+0-d4a32e6c x/1 FINISHED"}, r.ends())
}

// What a newer version stored about a log stays as it is, also when the log was renamed; others go on.
func TestNewerStateIsLeftAlone(t *testing.T) {
	whole := func(stored map[string]any) {
		stored["schema_version"], stored["offset"] = storeVersion+1, "of another form"
	}
	ofRules := func(stored map[string]any) {
		stored["rules"] = map[string]any{"schema_version": 2, "open": "of another form"}
	}
	for name, change := range map[string]func(map[string]any){"of the log": whole, "of the rules": ofRules} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "*.log*")
			r.write("a.log", begin+start("1"))
			r.run()
			const key = "file/1"
			stored := map[string]any{}
			require.NoError(t, json.Unmarshal(r.state[key], &stored))
			change(stored)
			newer, err := json.Marshal(stored)
			require.NoError(t, err)
			r.state[key] = newer
			before := r.encoded()

			r.append("a.log", saved("1"))
			r.write("b.log", begin+start("2"))
			s := r.session()
			s.polls(2)
			require.NoError(t, os.Rename(r.path("a.log"), r.path("a.log.1")))
			s.polls(2)
			s.kill()
			assert.Equal(t, newer, r.state[key])
			assert.Contains(t, string(r.state[keyFiles]), key)
			for id, st := range before {
				assert.Equal(t, st, r.encoded()[id])
			}
			assert.Equal(t, []string{"acquire_image/1 RUNNING", "acquire_image/2 RUNNING"}, r.ends())
			assert.Equal(t, map[string]int64{"a.log newer": 2}, faultsOf(t, r.tel), "once under each of its names")
			said := r.logged.FilterMessageSnippet("stored by a newer version").All()
			require.Len(t, said, 2)
			assert.Contains(t, said[0].ContextMap()["error"], "schema_version 2, this version knows 1")
			metadatatest.AssertEqualReceiverTasklogFiles(t, r.tel, fileCount(1), ignoreTime)

			stored["path"] = ""
			r.state[key], err = json.Marshal(stored)
			require.NoError(t, err)
			set, err := r.cfg.Rules()
			require.NoError(t, err)
			_, _, err = s.store.files(t.Context(), set)
			require.ErrorIs(t, err, rules.ErrNewer)
			assert.ErrorContains(t, err, fmt.Sprintf("storage: %q does not say which log it is of", key))
		})
	}
}
