package propose

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

var update = flag.Bool("update", false, "write the proposals into testdata")

// Each log in testdata has beside it the rules that are proposed for it, and what became of its entries.
func TestProposals(t *testing.T) {
	logs, err := filepath.Glob("testdata/*.log")
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, log := range logs {
		t.Run(filepath.Base(log), func(t *testing.T) {
			content, err := os.ReadFile(log)
			require.NoError(t, err)
			p := Rules(content)
			n := p.Trial
			got := YAML(p.Spec, fmt.Sprintf("%d entries: %d matched, %d ignored, %d unmatched, %d unusable; %d tasks",
				n.Entries, n.Matched, n.Ignored, n.Unmatched, n.Unusable, n.Tasks))
			golden := strings.TrimSuffix(log, ".log") + ".yaml"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
			if !p.Useful() {
				return
			}
			// What is written for people is what was tried.
			spec, err := rules.Parse([]byte(got))
			require.NoError(t, err)
			again, bad := Try(content, spec)
			assert.Empty(t, bad)
			assert.Equal(t, p.Trial, again)
			assert.Zero(t, n.Unmatched+n.Unusable)
		})
	}
}

func TestNothingIsProposedForNothing(t *testing.T) {
	for _, content := range []string{"", "\n\n", "one line\n", strings.Repeat("x", 100_000) + "\n", "\xff\xfe\x00garbage\x00\n{\n"} {
		assert.False(t, Rules([]byte(content)).Useful(), "%.20q", content)
	}
}

// Lines without end are no danger: as many templates as lines, and values in all of them.
func FuzzRules(f *testing.F) {
	for _, log := range []string{"steps", "trials", "german"} {
		content, err := os.ReadFile("testdata/" + log + ".log")
		require.NoError(f, err)
		f.Add(content)
	}
	f.Add([]byte("a={} b='' {'x': 1 [\n= == = /\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		p := Rules(content)
		if _, bad := Try(content, p.Spec); len(bad) > 0 && len(p.Spec.Rules) > 0 {
			t.Errorf("rules that their own lines contradict: %v in %+v", bad, p)
		}
	})
}
