package storetest

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/lineage"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const second = int64(1e9)

var lineageCases = []testCase{
	{
		name:     "a use links to the newest generation before it",
		contract: "provenance.md: | generated before the use (several versions: the newest of them) | yes | the weaker claim's |",
		run: links(func(b *story) {
			b.task("old", 1, 2).made("old", "f", 2, "path").task("new", 3, 4).made("new", "f", 4, "path")
			b.task("later", 20, 30).made("later", "f", 30, "path").task("user", 5, 9).used("user", "f", 0, "path")
		}, "new>user path 0.90"),
	},
	{
		name:     "clocks of two machines may disagree by two seconds",
		contract: "provenance.md: | generated up to 2 s later (clocks of two machines), no older version | yes | the weaker claim's |",
		run: links(func(b *story) {
			b.task("p", 1, 5).made("p", "f", 5, "path").task("user", 4, 9).used("user", "f", 4, "path")
		}, "p>user path 0.90"),
	},
	{
		name:     "within the skew the newer version holds, with a doubt",
		contract: "provenance.md: there are older versions | the newer one, `skew` ([ADR 007](adr/007-skew.md)) | × 0.8 |",
		run: links(func(b *story) {
			b.task("old", 1, 2).made("old", "f", 2, "path").task("p", 90, 101).made("p", "f", 101, "path")
			b.task("user", 100, 110).used("user", "f", 100, "path")
		}, "p>user path 0.72 skew"),
	},
	{
		name:     "what is generated while the consumer runs may be what it used",
		contract: "provenance.md: | generated later, while the consumer still ran | yes, `overlap` | × 0.4 |",
		run: links(func(b *story) {
			b.task("p", 1, 30).made("p", "f", 20, "path").task("user", 6, 40).used("user", "f", 6, "path")
		}, "p>user path 0.36 overlap"),
	},
	{
		name:     "a producer that still runs links where there is nothing better",
		contract: "provenance.md: | producer still runs, nobody saw it write, and there is no better candidate | yes, `running`, unless it began after the consumer's end | × 0.5 |",
		run: links(func(b *story) {
			b.task("p", 1, 0).made("p", "f", 0, "path").task("user", 6, 9).used("user", "f", 6, "path")
			b.task("late", 100, 0).made("late", "g", 0, "path").used("user", "g", 6, "path")
			b.task("old", 1, 2).made("old", "h", 2, "path").made("p", "h", 0, "path").used("user", "h", 6, "path")
		}, "old>user path 0.90", "p>user path 0.45 running"),
	},
	{
		name:     "after the consumer's end a path is no link, a digest is one that shows the contradiction",
		contract: "provenance.md: | generated after the consumer had ended | by path: no; by digest, declaration or person: yes, `contradiction` | × 0.5 |",
		run: links(func(b *story) {
			b.task("p", 20, 30).made("p", "f", 30, "path").made("p", "d", 30, "digest")
			b.task("user", 6, 9).used("user", "f", 6, "path").used("user", "d", 6, "digest")
		}, "p>user digest 0.45 contradiction"),
	},
	{
		name:     "a use of unknown time means the newest of before the consumer's end",
		contract: "provenance.md: | nobody knows when it was used | the newest of before the consumer's end, `unknown time` | × 0.7 |",
		run: links(func(b *story) {
			b.task("a", 1, 2).made("a", "f", 2, "path").task("b", 30, 40).made("b", "f", 40, "path")
			b.task("user", 0, 9).used("user", "f", 0, "path")
		}, "a>user path 0.63 unknown time"),
	},
	{
		name:     "the path of an output is no use",
		contract: "provenance.md: | one task names the entity as used *and* as generated (an output path given as argument), evidence `path`, `uri`, `id`, `value` | that is no use",
		run: links(func(b *story) {
			b.task("old", 1, 2).made("old", "f", 2, "path").task("user", 3, 5).used("user", "f", 3, "path").made("user", "f", 4, "path")
		}),
	},
	{
		name:     "an update in place that was seen used the version before",
		contract: "provenance.md: | the same, evidence `io`, `digest`, `declared`, `person` (an update in place that was seen) | the newest of before the use | the weaker claim's |",
		run: links(func(b *story) {
			b.task("old", 1, 2).made("old", "f", 2, "path").task("user", 3, 5).used("user", "f", 3, "io").made("user", "f", 4, "io")
		}, "old>user io 0.90"),
	},
	{
		name:     "a dependency that the tool declared is a link whatever the clocks say",
		contract: "provenance.md: | a dependency that the tool declared (Dask) | yes, whatever the clocks say | 1 |",
		run: links(func(b *story) {
			b.task("p", 100, 200).task("user", 1, 2)
			b.events["user"].Dependencies = []task.Ref{b.events["p"].Ref()}
		}, "p>user declared 1.00"),
	},
	{
		name:     "a parent is no link",
		contract: "provenance.md: A task's parent (a nested MLflow run) is structure, not data, and makes no link.",
		run: links(func(b *story) {
			ref := b.task("p", 1, 2).events["p"].Ref()
			b.task("user", 3, 4).events["user"].Parent = &ref
		}),
	},
	{
		name:     "cycles end where they began, and no task links to itself",
		contract: "provenance.md: There are no links from a task to itself; cycles in the input end where they began.",
		run: links(func(b *story) {
			b.task("a", 1, 2).task("user", 3, 4)
			a, user := b.events["a"], b.events["user"]
			a.Dependencies, user.Dependencies = []task.Ref{user.Ref(), a.Ref()}, []task.Ref{a.Ref()}
			b.used("a", "f", 1, "digest").made("a", "f", 2, "digest")
		}, "a>user declared 1.00", "user>a declared 1.00"),
	},
	{
		name:     "the weaker claim gives a link its evidence and confidence",
		contract: "provenance.md: Every link has the evidence and the confidence of the weaker of its two claims.",
		run: links(func(b *story) {
			b.task("p", 1, 2).made("p", "f", 2, "id").task("user", 3, 4).used("user", "f", 3, "path")
			b.events["p"].Claims[0].Confidence = 0.6
		}, "p>user id 0.60"),
	},
	{
		name:     "links do not depend on the order in which tasks and claims arrive",
		contract: "provenance.md: Order of arrival does not matter.",
		run:      testLineageOrder,
	},
	{
		name:     "a walk upstream and one downstream find the same links",
		contract: "query.md: `upstream` (default), `downstream` or `both`: tasks, entities, links with evidence and confidence",
		run:      testDirections,
	},
}

// story is a few tasks and their claims.
type story struct {
	events map[string]*task.Event
	keys   []string
}

func (b *story) task(key string, started, ended int64) *story {
	e := finished(key, func(e *task.Event) {
		e.StartedAt, e.EndedAt = started*second, ended*second
		if ended == 0 {
			e.Name, e.Status = task.EventStarted, task.StatusRunning
		}
	})
	b.events[key], b.keys = e, append(b.keys, key)
	return b
}

func (b *story) claim(key string, role task.Role, entity string, at int64, evidence string) *story {
	e := b.events[key]
	e.Claims = append(e.Claims, task.Claim{Role: role, Entity: entity, Time: at * second, Evidence: evidence, Confidence: 0.9, Field: "x"})
	return b
}

func (b *story) used(key, entity string, at int64, evidence string) *story {
	return b.claim(key, task.Used, entity, at, evidence)
}

func (b *story) made(key, entity string, at int64, evidence string) *story {
	return b.claim(key, task.Generated, entity, at, evidence)
}

func tell(build func(*story)) *story {
	b := &story{events: map[string]*task.Event{}}
	build(b)
	return b
}

// walk shows the links of a graph, with the tasks' own keys.
func walk(t *testing.T, s store.Store, b *story, from string, o lineage.Options) []string {
	t.Helper()
	graph, err := lineage.Walk(t.Context(), s, []string{b.events[from].ID()}, o)
	require.NoError(t, err)
	out := []string{}
	for _, l := range graph.Links {
		text := fmt.Sprintf("%s>%s %s %.2f %s", graph.Tasks[l.From].TaskID, graph.Tasks[l.To].TaskID, l.Evidence, l.Confidence, l.Doubt)
		out = append(out, strings.TrimSpace(text))
	}
	sort.Strings(out)
	return out
}

// links writes a story and wants these links upstream of its task "user".
func links(build func(*story), want ...string) func(*testing.T, Factory) {
	return func(t *testing.T, f Factory) {
		s, b := f.New(t), tell(build)
		for _, key := range b.keys {
			write(t, s, b.events[key])
		}
		require.ElementsMatch(t, want, walk(t, s, b, "user", lineage.Options{Direction: lineage.Upstream}))
	}
}

func chain(b *story) {
	b.task("image", 1, 2).made("image", "img", 2, "path")
	b.task("train", 3, 4).used("train", "img", 3, "path").made("train", "model", 4, "path")
	b.task("publish", 5, 6).used("publish", "model", 5, "path").made("publish", "latest", 6, "path")
	b.task("eval", 7, 8).used("eval", "latest", 7, "path")
}

func testLineageOrder(t *testing.T, f Factory) {
	want := []string{"image>train path 0.90", "publish>eval path 0.90", "train>publish path 0.90"}
	for _, late := range []bool{false, true} {
		s, b := f.New(t), tell(chain)
		keys := append([]string{}, b.keys...)
		sort.Sort(sort.Reverse(sort.StringSlice(keys)))
		for _, key := range keys {
			e := *b.events[key]
			if late { // claims by themselves, before their task
				write(t, s, &task.Event{Name: task.EventEntity, Kind: e.Kind, Scope: e.Scope, Key: e.Key, Attempt: task.NoAttempt, Claims: e.Claims})
				e.Claims = nil
			}
			write(t, s, &e)
		}
		require.Equal(t, want, walk(t, s, b, "eval", lineage.Options{Direction: lineage.Upstream}))
	}
}

func testDirections(t *testing.T, f Factory) {
	s, b := f.New(t), tell(chain)
	for _, key := range b.keys {
		write(t, s, b.events[key])
	}
	all := []string{"image>train path 0.90", "publish>eval path 0.90", "train>publish path 0.90"}
	require.Equal(t, all, walk(t, s, b, "image", lineage.Options{Direction: lineage.Downstream}))
	require.Equal(t, all, walk(t, s, b, "train", lineage.Options{Direction: lineage.Both}))
	require.Equal(t, all[:1], walk(t, s, b, "train", lineage.Options{Direction: lineage.Upstream}))
	require.Equal(t, all[1:2], walk(t, s, b, "eval", lineage.Options{Direction: lineage.Upstream, Depth: 1}))
	graph, err := lineage.Walk(t.Context(), s, []string{b.events["train"].ID()}, lineage.Options{Direction: lineage.Both})
	require.NoError(t, err)
	entities := map[string]lineage.Entity{}
	for _, e := range graph.Entities {
		entities[e.ID] = e
	}
	require.Len(t, entities, 3)
	require.Equal(t, []string{b.events["train"].ID()}, entities["model"].GeneratedBy)
	require.Equal(t, []string{b.events["publish"].ID()}, entities["model"].UsedBy)
}
