package lineage

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// documented is a view with documents.
type documented struct {
	*view
	docs map[string]map[string]any
}

func (d documented) Tasks(context.Context, []string) (map[string]map[string]any, error) {
	return d.docs, nil
}

func TestExplain(t *testing.T) {
	label := func(v *view, id string, role task.Role, entity, label string) {
		v.claims = append(v.claims, store.TaskClaim{TaskID: id, Claim: task.Claim{Role: role, Entity: entity, Label: label, Evidence: "digest", Confidence: 1}})
	}
	for name, c := range map[string]struct {
		view *view
		docs map[string]map[string]any
		kind string
		say  []string
	}{
		"linked":   {view: new(view).task("a", 1, 2).task("b", 3, 4).made("a", "file:h:/x.npz", 0).used("b", "file:h:/x.npz", 0)},
		"too late": {new(view).task("a", 10, 20).task("b", 3, 4).made("a", "file:h:/x", 0).used("b", "file:h:/x", 0), nil, "time", []string{"00:00:20", "00:00:03", "time zone"}},
		"newer version": {
			new(view).task("a", 1, 2).task("c", 3, 4).task("b", 5, 6).made("a", "file:h:/x", 0).made("c", "file:h:/x", 0).used("b", "file:h:/x", 0),
			nil, "other maker", []string{"file:h:/x", "newest"},
		},
		"own output": {
			new(view).task("a", 1, 2).task("b", 5, 6).made("a", "file:h:/x", 0).used("b", "file:h:/x", 0).made("b", "file:h:/x", 0),
			nil, "own output", []string{"file:h:/x"},
		},
		"other host":      {new(view).task("a", 1, 2).task("b", 3, 4).made("a", "file:s/h1:/d/x.npz", 0).used("b", "file:s/h2:/d/x.npz", 0), nil, "host", []string{`"s/h1"`, `"s/h2"`, "/d/x.npz"}},
		"other directory": {new(view).task("a", 1, 2).task("b", 3, 4).made("a", "file:h:/d/x.npz", 0).used("b", "file:h:/e/x.npz", 0), nil, "path", []string{"/d/x.npz", "/e/x.npz", "base_dir"}},
		"reverse":         {new(view).task("a", 3, 4).task("b", 1, 2).made("b", "file:h:/x", 0).used("a", "file:h:/x", 0), nil, "reverse", []string{"the other way"}},
		"nothing alike":   {new(view).task("a", 1, 2).task("b", 3, 4).made("a", "file:h:/x", 0).used("b", "file:h:/y", 0), nil, "nothing shared", nil},
		"no claims": {
			new(view).task("a", 1, 2).task("b", 3, 4),
			map[string]map[string]any{"a": {"generated": map[string]any{"loss": 0.5}}, "b": {}},
			"nothing generated", []string{"generated.loss"},
		},
		"nothing recorded": {new(view).task("a", 1, 2).task("b", 3, 4), map[string]map[string]any{}, "nothing used", []string{"no used values at all", "capture"}},
		"equal values": {
			new(view).task("a", 1, 2).task("b", 3, 4),
			map[string]map[string]any{"a": {"generated": map[string]any{"sample": "MoS2-17", "value": int64(3)}}, "b": {"used": map[string]any{"sample": "MoS2-17", "layers": int64(3)}}},
			"value", []string{"MoS2-17", "provenance: {values: [{name: sample, fields: [generated.sample, used.sample]}]}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := Explain(t.Context(), documented{c.view, c.docs}, "a", "b")
			require.NoError(t, err)
			if c.kind == "" {
				assert.Len(t, x.Links, 1)
				assert.Empty(t, x.Reasons)
				return
			}
			all := ""
			for _, r := range x.Reasons {
				all += r.Text + "\n"
			}
			var found *Reason
			for i, r := range x.Reasons {
				if r.Kind == c.kind && found == nil {
					found = &x.Reasons[i]
				}
			}
			require.NotNil(t, found, "%+v", x.Reasons)
			for _, s := range c.say {
				assert.Contains(t, all, s)
			}
		})
	}
	v := new(view).task("a", 1, 2).task("b", 3, 4)
	label(v, "a", task.Generated, "digest:sha256:aa", "data.csv")
	label(v, "b", task.Used, "digest:sha256:bb", "data.csv")
	x, err := Explain(t.Context(), documented{v, nil}, "a", "b")
	require.NoError(t, err)
	assert.Equal(t, "digest", x.Reasons[0].Kind)

	// One between the two is no mistake.
	v = new(view).task("a", 1, 2).task("m", 3, 4).task("b", 5, 6)
	v.made("a", "file:h:/x", 0).used("m", "file:h:/x", 0).made("m", "file:h:/y", 0).used("b", "file:h:/y", 0)
	x, err = Explain(t.Context(), documented{v, nil}, "a", "b")
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "m", "b"}, x.Steps)
	_, err = Explain(t.Context(), documented{v, nil}, "nobody", "b")
	assert.ErrorIs(t, err, store.ErrNotFound)
}
