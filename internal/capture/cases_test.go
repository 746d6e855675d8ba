package capture

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// policyOf reads a policy of the cases, which has the names of the configuration.
func policyOf(t *testing.T, v any) Config {
	var c struct {
		KeepActivities []string `json:"keep_activities"`
		DropActivities []string `json:"drop_activities"`
		KeepFields     []string `json:"keep_fields"`
		DropFields     []string `json:"drop_fields"`
		Values         string   `json:"values"`
	}
	dec := json.NewDecoder(strings.NewReader(task.JSON(v)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&c))
	return Config{KeepActivities: c.KeepActivities, DropActivities: c.DropActivities, KeepFields: c.KeepFields, DropFields: c.DropFields, Values: c.Values}
}

func redact(v any) (any, int) {
	if s, ok := v.(string); ok {
		return Text(s)
	}
	w := walk{}
	out, _ := w.mapping(v.(map[string]any))
	return out, w.n.Redacted
}

// The cases hold for the Python package too: python/tests/test_redact_shared.py.
func TestCases(t *testing.T) {
	data, err := os.ReadFile("testdata/cases.json")
	require.NoError(t, err)
	v, err := task.DecodeJSON(data)
	require.NoError(t, err)
	cases := func(names ...string) (out []map[string]any) {
		for _, name := range names {
			list := v.(map[string]any)[name].([]any)
			require.NotEmpty(t, list)
			for _, c := range list {
				out = append(out, c.(map[string]any))
			}
		}
		return out
	}
	for _, c := range cases("texts", "maps") {
		want, ok := c["out"]
		if !ok {
			want = c["in"]
		}
		count, _ := c["secrets"].(int64)
		before := task.JSON(c["in"])
		out, n := redact(c["in"])
		assert.Equal(t, task.JSON(want), task.JSON(out), before)
		assert.EqualValues(t, count, n, before)
		assert.Equal(t, before, task.JSON(c["in"]), "changed in place")
		again, n := redact(out)
		assert.Equal(t, task.JSON(out), task.JSON(again), "a second time changes something")
		assert.Zero(t, n, before)
	}
	for _, c := range cases("activities") {
		cfg := policyOf(t, c["policy"])
		require.NoError(t, cfg.Validate())
		p := New(cfg)
		for _, name := range c["kept"].([]any) {
			assert.True(t, p.Activity(name.(string)), "%v %v", c["policy"], name)
		}
		for _, name := range c["dropped"].([]any) {
			assert.False(t, p.Activity(name.(string)), "%v %v", c["policy"], name)
		}
	}
	for _, c := range cases("fields") {
		cfg := policyOf(t, c["policy"])
		require.NoError(t, cfg.Validate())
		before := task.JSON(c["in"])
		out, left := New(cfg).Fields(c["root"].(string), c["in"].(map[string]any))
		assert.Equal(t, task.JSON(c["out"]), task.JSON(out))
		assert.Positive(t, left)
		assert.Equal(t, before, task.JSON(c["in"]), "changed in place")
	}
	for _, c := range cases("invalid") {
		assert.Error(t, policyOf(t, c).Validate())
	}
}
