package lineage

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const second = int64(1e9)

// view is a Reader over lists, for the rules of links; stores are tested against their own suite.
type view struct {
	facts  map[string]store.TaskFacts
	claims []store.TaskClaim
	edges  []store.Edge
}

func (v *view) task(id string, started, ended int64) *view {
	st := task.StatusRunning
	if ended != 0 {
		st = task.StatusFinished
	}
	if v.facts == nil {
		v.facts = map[string]store.TaskFacts{}
	}
	v.facts[id] = store.TaskFacts{ID: id, StartedAt: started * second, EndedAt: ended * second, Status: st}
	return v
}

func (v *view) claim(id string, role task.Role, entity string, at int64, evidence string) *view {
	v.claims = append(v.claims, store.TaskClaim{TaskID: id, Claim: task.Claim{
		Role: role, Entity: entity, Time: at * second, Evidence: evidence, Confidence: 0.9, Field: string(role) + ".x",
	}})
	return v
}

func (v *view) used(id, entity string, at int64) *view {
	return v.claim(id, task.Used, entity, at, "path")
}
func (v *view) made(id, entity string, at int64) *view {
	return v.claim(id, task.Generated, entity, at, "path")
}

func (v *view) Facts(_ context.Context, ids []string) (map[string]store.TaskFacts, error) {
	out := map[string]store.TaskFacts{}
	for _, id := range ids {
		if f, ok := v.facts[id]; ok {
			out[id] = f
		}
	}
	return out, nil
}

func (v *view) ClaimsOf(_ context.Context, ids []string) (out []store.TaskClaim, _ error) {
	in := set(ids)
	for _, c := range v.claims {
		if in[c.TaskID] {
			out = append(out, c)
		}
	}
	return out, nil
}

func (v *view) ClaimsOn(_ context.Context, entities []string, role task.Role) (out []store.TaskClaim, _ error) {
	in := set(entities)
	for _, c := range v.claims {
		if in[c.Entity] && (role == "" || role == c.Role) {
			out = append(out, c)
		}
	}
	return out, nil
}

func (v *view) Dependents(_ context.Context, ids []string) (out []store.Edge, _ error) {
	in := set(ids)
	for _, e := range v.edges {
		if in[e.To] {
			out = append(out, e)
		}
	}
	return out, nil
}

func (v *view) Dependencies(_ context.Context, ids []string) (out []store.Edge, _ error) {
	in := set(ids)
	for _, e := range v.edges {
		if in[e.From] {
			out = append(out, e)
		}
	}
	return out, nil
}

func short(links []Link) string {
	var b []string
	for _, l := range links {
		s := fmt.Sprintf("%s>%s %s %.2f", l.From, l.To, l.Evidence, l.Confidence)
		if l.Doubt != "" {
			s += " " + l.Doubt
		}
		b = append(b, s)
	}
	return strings.Join(b, "; ")
}

func TestLinks(t *testing.T) {
	for _, c := range []struct {
		name string
		view *view
		want string
	}{
		{"a use links to the task that generated",
			new(view).task("a", 1, 5).task("b", 6, 9).made("a", "f", 4).used("b", "f", 6), "a>b path 0.90"},
		{"a file rewritten twice: each use means the newest version before it",
			new(view).task("a", 1, 2).task("b", 3, 4).task("c", 5, 6).task("x", 2, 3).task("y", 4, 5).task("z", 7, 8).
				made("a", "f", 2).made("b", "f", 4).made("c", "f", 6).used("x", "f", 2).used("y", "f", 5).used("z", "f", 7),
			"a>x path 0.90; b>y path 0.90; c>z path 0.90"},
		{"one task writes the file twice",
			new(view).task("a", 1, 9).task("b", 20, 30).made("a", "f", 2).made("a", "f", 8).used("b", "f", 20), "a>b path 0.90"},
		{"clocks may disagree a little",
			new(view).task("a", 1, 5).task("b", 4, 9).made("a", "f", 5).used("b", "f", 4), "a>b path 0.90"},
		{"unknown generation time: the end of the producer stands in",
			new(view).task("a", 1, 5).task("b", 6, 9).made("a", "f", 0).used("b", "f", 6), "a>b path 0.90"},
		{"a producer that still runs links with lower confidence",
			new(view).task("a", 1, 0).task("b", 6, 9).made("a", "f", 0).used("b", "f", 6), "a>b path 0.45 running"},
		{"a producer that still runs does not win over a finished one",
			new(view).task("old", 1, 2).task("a", 1, 0).task("b", 6, 9).made("old", "f", 2).made("a", "f", 0).used("b", "f", 6),
			"old>b path 0.90"},
		{"generated while the consumer ran",
			new(view).task("a", 1, 30).task("b", 6, 40).made("a", "f", 20).used("b", "f", 6), "a>b path 0.36 overlap"},
		{"generated after the consumer ended is no use",
			new(view).task("a", 20, 30).task("b", 6, 9).made("a", "f", 30).used("b", "f", 6), ""},
		{"time removes no digest link, but is shown",
			new(view).task("a", 20, 30).task("b", 6, 9).claim("a", task.Generated, "d", 30, "digest").claim("b", task.Used, "d", 6, "digest"),
			"a>b digest 0.45 contradiction"},
		{"no link from a task to itself",
			new(view).task("a", 1, 5).made("a", "f", 4).used("a", "f", 1), ""},
		{"the path of an output is no use of its former content",
			new(view).task("old", 1, 2).task("a", 3, 5).made("old", "f", 2).made("a", "f", 4).used("a", "f", 3), ""},
		{"a producer that still runs and began after the consumer had ended made nothing that it used",
			new(view).task("p", 1000, 0).task("c", 1, 2).made("p", "f", 0).used("c", "f", 1), ""},
		{"a producer that still runs and began while the consumer ran may have",
			new(view).task("p", 50, 0).task("c", 1, 90).made("p", "f", 0).used("c", "f", 1), "p>c path 0.45 running"},
		{"a producer that still runs and began a little later, by its clock, may have",
			new(view).task("p", 4, 0).task("c", 2, 3).made("p", "f", 0).used("c", "f", 2), "p>c path 0.45 running"},
		{"a consumer that still runs may use what a later producer will generate",
			new(view).task("p", 1000, 0).task("c", 1, 0).made("p", "f", 0).used("c", "f", 1), "p>c path 0.45 running"},
		{"nobody knows when the running producer began",
			new(view).task("p", 0, 0).task("c", 1, 2).made("p", "f", 0).used("c", "f", 1), "p>c path 0.45 running"},
		{"a digest links to the running producer all the same, and shows that the times contradict",
			new(view).task("p", 1000, 0).task("c", 1, 2).claim("p", task.Generated, "d", 0, "digest").claim("c", task.Used, "d", 1, "digest"),
			"p>c digest 0.45 contradiction"},
		{"a producer that ended, nobody knows when, generated nothing before it began",
			func() *view {
				v := new(view).task("old", 1, 2).task("p", 1000, 0).task("c", 5, 9).made("old", "f", 2).made("p", "f", 0).used("c", "f", 5)
				f := v.facts["p"]
				f.Status = task.StatusFinished
				v.facts["p"] = f
				return v
			}(), "old>c path 0.90"},
		{"within the skew the version whose writer already ran is the newest, and the doubt is shown",
			new(view).task("old", 1, 2).task("b", 90, 101).task("c", 100, 110).made("old", "f", 2).made("b", "f", 101).used("c", "f", 100),
			"b>c path 0.72 skew"},
		{"the next version of a fast loop, whose writer began after the use, is not meant",
			new(view).task("w1", 1, 2).task("r", 2, 3).task("w2", 3, 4).made("w1", "f", 2).made("w2", "f", 4).used("r", "f", 2),
			"w1>r path 0.90"},
		{"nor is a version of after the consumer's end, when there is an older one",
			new(view).task("old", 1, 2).task("b", 90, 102).task("c", 100, 101).made("old", "f", 2).made("b", "f", 102).used("c", "f", 100),
			"old>c path 0.90"},
		{"nor is a version of beyond the skew, when there is an older one",
			new(view).task("old", 1, 2).task("b", 90, 103).task("c", 100, 110).made("old", "f", 2).made("b", "f", 103).used("c", "f", 100),
			"old>c path 0.90"},
		{"a task seen reading what it then writes anew used the former version",
			new(view).task("old", 1, 2).task("a", 3, 5).made("old", "f", 2).made("a", "f", 4).claim("a", task.Used, "f", 3, "io"),
			"old>a io 0.90"},
		{"a data set that goes through a task came from where it came from, not from a later task that has it too",
			new(view).task("a", 1, 2).task("b", 3, 4).task("c", 5, 6).claim("a", task.Generated, "d", 2, "digest").
				claim("b", task.Used, "d", 3, "digest").claim("b", task.Generated, "d", 4, "digest").
				claim("c", task.Used, "d", 5, "digest").claim("c", task.Generated, "d", 6, "digest"),
			"a>b digest 0.90; b>c digest 0.90"},
		{"the first task that uses and generates an entity got it from none that came later",
			new(view).task("a", 1, 2).task("b", 3, 4).claim("a", task.Used, "d", 1, "digest").claim("a", task.Generated, "d", 2, "digest").
				claim("b", task.Generated, "d", 4, "digest"), ""},
		{"no time of use, but the consumer's end: the newest of before it",
			func() *view {
				v := new(view).task("a", 1, 2).task("b", 30, 40).task("c", 0, 9)
				return v.made("a", "f", 2).made("b", "f", 40).used("c", "f", 0)
			}(), "a>c path 0.63 unknown time"},
		{"no time of use: the newest generation, with lower confidence",
			new(view).task("a", 1, 2).task("b", 3, 4).task("c", 0, 0).made("a", "f", 2).made("b", "f", 4).used("c", "f", 0),
			"b>c path 0.63 unknown time"},
		{"nothing generated it", new(view).task("b", 6, 9).used("b", "f", 6), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, short(Links(c.view.claims, c.view.facts, nil)))
			reversed := make([]store.TaskClaim, 0, len(c.view.claims))
			for i := len(c.view.claims) - 1; i >= 0; i-- {
				reversed = append(reversed, c.view.claims[i])
			}
			assert.Equal(t, c.want, short(Links(reversed, c.view.facts, nil)), "in any order")
		})
	}
}

func TestLinksAreAFunctionOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := &view{}
		ids := []string{"a", "b", "c", "d"}
		for _, id := range ids {
			start := rapid.Int64Range(0, 20).Draw(t, "start")
			end := rapid.Int64Range(0, 20).Draw(t, "end")
			v.task(id, start, end)
		}
		for range rapid.IntRange(1, 8).Draw(t, "claims") {
			role := rapid.SampledFrom([]task.Role{task.Used, task.Generated}).Draw(t, "role")
			ev := rapid.SampledFrom([]string{"path", "digest", "io"}).Draw(t, "evidence")
			v.claim(rapid.SampledFrom(ids).Draw(t, "task"), role, "f", rapid.Int64Range(0, 20).Draw(t, "at"), ev)
		}
		want := Links(v.claims, v.facts, nil)
		shuffled := rapid.Permutation(v.claims).Draw(t, "order")
		assert.Equal(t, want, Links(append(shuffled, v.claims[0]), v.facts, nil))
		for _, l := range want {
			assert.NotEqual(t, l.From, l.To)
		}
	})
}

func chain() *view {
	v := new(view).task("image", 1, 2).task("train1", 3, 4).task("train2", 3, 4).task("publish", 5, 6).task("eval", 7, 8)
	v.made("image", "img", 2).used("train1", "img", 3).used("train2", "img", 3)
	v.made("train1", "m1", 4).made("train2", "m2", 4).used("publish", "m1", 5).made("publish", "latest", 6).used("eval", "latest", 7)
	v.edges = []store.Edge{
		{From: "publish", To: "train1", Field: "used.best"},
		{From: "train1", To: "eval"}, // a cycle in the input
		{From: "eval", To: "round", Parent: true},
		{From: "eval", To: "not here yet"},
	}
	return v
}

func TestWalk(t *testing.T) {
	up, err := Walk(t.Context(), chain(), []string{"eval"}, Options{Direction: Upstream})
	require.NoError(t, err)
	assert.Equal(t, "publish>eval path 0.90; train1>publish path 0.90; train1>publish declared 1.00; eval>train1 declared 1.00; image>train1 path 0.90", short(up.Links))
	assert.Equal(t, []string{"eval", "image", "publish", "train1"}, keys(up.Tasks))
	assert.False(t, up.Truncated)

	one, err := Walk(t.Context(), chain(), []string{"eval"}, Options{Direction: Upstream, Depth: 1})
	require.NoError(t, err)
	assert.Equal(t, "publish>eval path 0.90", short(one.Links))

	down, err := Walk(t.Context(), chain(), []string{"image"}, Options{Direction: Downstream})
	require.NoError(t, err)
	assert.Equal(t, []string{"eval", "image", "publish", "train1", "train2"}, keys(down.Tasks))

	few, err := Walk(t.Context(), chain(), []string{"eval"}, Options{Direction: Upstream, MaxTasks: 2})
	require.NoError(t, err)
	assert.True(t, few.Truncated)
	assert.Len(t, few.Tasks, 2)

	_, err = Walk(t.Context(), chain(), []string{"nobody"}, Options{Direction: Both})
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestTheOrderOfLinksIsTheSameEachTime(t *testing.T) {
	v := new(view).task("a", 1, 2).task("b", 3, 4)
	for _, field := range []string{"used.x", "used.y", "used.z", "used.v", "used.w"} {
		v.edges = append(v.edges, store.Edge{From: "b", To: "a", Field: field})
	}
	for range 10 {
		graph, err := Walk(t.Context(), v, []string{"b"}, Options{Direction: Upstream})
		require.NoError(t, err)
		var fields []string
		for _, l := range graph.Links {
			fields = append(fields, l.Field)
		}
		require.Equal(t, []string{"used.v", "used.w", "used.x", "used.y", "used.z"}, fields)
	}
}

func TestUpstreamAndDownstreamAgree(t *testing.T) {
	v := chain()
	for to := range v.facts {
		up, err := Walk(t.Context(), v, []string{to}, Options{Direction: Upstream, Depth: 1})
		require.NoError(t, err)
		for _, l := range up.Links {
			down, err := Walk(t.Context(), v, []string{l.From}, Options{Direction: Downstream, Depth: 1})
			require.NoError(t, err)
			assert.Contains(t, down.Links, l)
		}
	}
}
