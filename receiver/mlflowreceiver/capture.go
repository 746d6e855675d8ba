package mlflowreceiver

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/glob"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Capture chooses what of a run leaves the machine of the database. Secrets never do.
type Capture struct {
	// Policy is that of all observers. The summary of a metric goes with its metric: dropping generated.loss drops
	// generated.metrics_history.loss.
	Policy policy `mapstructure:",squash"`
	// Redact lists globs over names of params and tags whose values are replaced, beside those that always are
	// (passwords, tokens, keys, credentials).
	Redact []string `mapstructure:"redact"`
	// History records first, last, min, max and count of each metric.
	History bool `mapstructure:"history"`
	// Artifacts is the largest number of files of a run that are listed; 0 lists none.
	Artifacts int `mapstructure:"artifacts"`
}

// policy is checked by Capture: on its own, the collector would name its errors after a key that does not exist.
type policy capture.Config

const maxArtifacts = 10000

// absent are parts of other tools' tasks that a run does not have.
var absent = []string{"annotations", "stderr", "stdout", "tags"}

// Validate names every key that cannot work, also those of the policy that name nothing of a run.
func (c Capture) Validate() error {
	errs := []error{capture.Config(c.Policy).Validate()}
	for _, l := range []struct {
		key      string
		patterns []string
	}{{"keep_fields", c.Policy.KeepFields}, {"drop_fields", c.Policy.DropFields}} {
		for i, p := range l.patterns {
			if root, _, _ := strings.Cut(p, "."); slices.Contains(absent, root) {
				errs = append(errs, fmt.Errorf("%s[%d]: %q names nothing of a run; want used.<param>, generated.<metric>, custom.tags.<tag> "+
					"or another field of docs/mlflow.md", l.key, i, p))
			}
		}
	}
	errs = append(errs, checkGlobs("redact", c.Redact))
	if c.Artifacts < 0 || c.Artifacts > maxArtifacts {
		errs = append(errs, fmt.Errorf("artifacts: %d; want 0 (none) to %d", c.Artifacts, maxArtifacts))
	}
	return errors.Join(errs...)
}

func checkGlobs(key string, globs []string) error {
	if i := slices.Index(globs, ""); i >= 0 {
		return fmt.Errorf("%s[%d]: empty; want a glob such as \"trial-*\"", key, i)
	}
	return nil
}

// withheld is what of one run did not leave.
type withheld struct {
	capture.Counts
	activity bool // the run itself
	omitted  int  // artifacts that were not listed
}

// limiter applies the configuration to events.
type limiter struct {
	cfg    Capture
	policy *capture.Policy
	drop   *capture.Policy // of drop_fields alone
}

func newLimiter(cfg Capture) *limiter {
	return &limiter{cfg: cfg, policy: capture.New(capture.Config(cfg.Policy)), drop: capture.New(capture.Config{DropFields: cfg.Policy.DropFields})}
}

// named is the value of a param or tag unless the configuration calls it a secret; the policy looks for all others.
func (l *limiter) named(name string, v any, out *withheld) any {
	if glob.Any(l.cfg.Redact, name) {
		out.Redacted++
		return map[string]any{capture.KeyRedacted: true}
	}
	return v
}

// texts says whether what people wrote may leave: descriptions and tags may quote any value.
func (l *limiter) texts() bool {
	return l.cfg.Policy.Values == "" || l.cfg.Policy.Values == capture.Values
}

// histories are the summaries of metrics that are not dropped.
func (l *limiter) histories(all map[string]series) map[string]any {
	names := make(map[string]any, len(all))
	for name := range all {
		names[name] = nil
	}
	kept, _ := l.drop.Fields("generated", names)
	out := make(map[string]any, len(kept))
	for name := range kept {
		out[name] = all[name].values()
	}
	return out
}

// apply takes out of an event what must not leave, and says whether the run itself may.
func (l *limiter) apply(e *task.Event, out *withheld) bool {
	keep, n := l.policy.Apply(e)
	out.Redacted += n.Redacted
	out.Left += n.Left
	out.Cut += n.Cut
	out.activity = !keep
	return keep
}
