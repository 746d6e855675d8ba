package rules

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func TestTypes(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	cases := []struct{ pattern, text, want string }{
		{"{v:int}", "-17", "-17"},
		{"{v:int}", "123456789012345678901", `{"$int":"123456789012345678901"}`},
		{"{v:float}", "5", "5.0"},
		{"{v:float}", "-inf", `{"$float":"-Infinity"}`},
		{"{v:number}", "5", "5"},
		{"{v:number}", "5.0", "5.0"},
		{"{v:bool}", "Yes", "true"},
		{"{v:word}", "a", `"a"`},
		{"a {v} b", "a x  y b", `"x  y"`},
		{"{} {v:int}", "any thing 3", "3"},
		{"{{{v:int}}}", "{3}", "3"},
		{"a b {v}", "a \t  b x", `"x"`},
		{"{v:duration}", "1 day, 2:03:04.5", "93784.5"},
		{"{v:duration}", "2m 3s", "123.0"},
		{"{v:duration}", "250ms", "0.25"},
		{"{v:json}", `{"a": [1, 2.0, null]}`, `{"a":[1,2.0,null]}`},
		{"{v:python}", `{'a': (1, 2.0, None), 3: {True}, 'p': PosixPath('x/y'), 'n': np.float64(0.5)}`, `{"3":[true],"a":[1,2.0,null],"n":0.5,"p":"x/y"}`},
		{"{v:python}", `[nan, -inf, 'ü\x41', "it's"]`, `[{"$float":"NaN"},{"$float":"-Infinity"},"üA","it's"]`},
		{"{v:path}", "a b/c.txt", `"a b/c.txt"`},
		{"{v:paths}", "a.npz,b.npz", `["a.npz","b.npz"]`},
		{"{v:paths(;)}", "a,1.npz; b.npz", `["a,1.npz","b.npz"]`},
		{"{v:paths}", "['a, b.npz', 'c']", `["a, b.npz","c"]`},
		{"{v:time}", "2026-07-01 10:00:00,5", `"2026-07-01T10:00:00.5+02:00"`},
		{"{v:time}", "2026-07-01T10:00:00Z", `"2026-07-01T10:00:00Z"`},
		{"{v:time}", "2026-07-01 10:00:00 +0100", `"2026-07-01T10:00:00+01:00"`},
		{"{v:time(%d/%b/%Y:%H:%M:%S %z)}", "01/Jul/2026:10:00:00 -0500", `"2026-07-01T10:00:00-05:00"`},
		{"{v:time(%y%m%d %I:%M %p)}", "260701 10:00 PM", `"2026-07-01T22:00:00+02:00"`},
	}
	for _, c := range cases {
		t.Run(c.pattern+" "+c.text, func(t *testing.T) {
			p, err := compilePattern(c.pattern, false, &times{layout: isoLayout, zone: berlin})
			require.NoError(t, err)
			texts := p.match(c.text)
			require.NotNil(t, texts, "does not fit")
			got := map[string]any{}
			require.NoError(t, convertInto(got, p, texts))
			assert.Equal(t, c.want, task.JSON(plain(got["v"])))
		})
	}
}

func TestTypesRefuse(t *testing.T) {
	for _, c := range []struct{ pattern, text string }{
		{"{v:duration}", "1:2:3:4"},
		{"{v:duration}", "3 parsecs"},
		{"{v:duration}", "1e400 s"},
		{"{v:json}", "{"},
		{"{v:python}", "{'a': object at 0x1}"},
		{"{v:python}", "[1, 2"},
		{"{v:time}", "2026-13-01 10:00:00"},
	} {
		p, err := compilePattern(c.pattern, false, &times{layout: isoLayout, zone: time.UTC})
		require.NoError(t, err)
		texts := p.match(c.text)
		require.NotNil(t, texts, c.text)
		assert.Error(t, convertInto(map[string]any{}, p, texts), c.text)
	}
	for _, c := range []struct{ pattern, text string }{{"a {v:int}", "a 3.5"}, {"a {v:int}", "a 3 b"}, {"a {v:word} c", "a b b c"}} {
		p, err := compilePattern(c.pattern, false, &times{layout: isoLayout, zone: time.UTC})
		require.NoError(t, err)
		assert.Nil(t, p.match(c.text), c.text)
	}
}

// The abbreviation of a zone is taken for what the configured zone means by it; another one is not guessed.
func TestZoneAbbreviations(t *testing.T) {
	for _, c := range []struct{ zone, format, text, want string }{
		{"America/Los_Angeles", "%F %T %Z", "2026-01-01 10:00:00 PST", "2026-01-01T18:00:00Z"},
		{"America/Los_Angeles", "%F %T %Z", "2026-07-01 10:00:00 PDT", "2026-07-01T17:00:00Z"},
		{"Europe/Berlin", "%F %T %Z", "2026-01-01 10:00:00 CET", "2026-01-01T09:00:00Z"},
		{"Europe/Berlin", "%F %T %Z", "2026-01-01 10:00:00 UTC", "2026-01-01T10:00:00Z"},
		{"Europe/Berlin", "%F %T %Z", "2026-01-01 10:00:00 GMT", "2026-01-01T10:00:00Z"},
		{"Europe/London", "%F %T %Z", "2026-07-01 10:00:00 BST", "2026-07-01T09:00:00Z"},
		{"UTC", "%F %T %Z", "2026-01-01 10:00:00 UTC", "2026-01-01T10:00:00Z"},
		{"UTC", "%F %T %z %Z", "2026-01-01 10:00:00 -0800 PST", "2026-01-01T18:00:00Z"},
		{"UTC", "%F %T %z %Z", "2026-01-01 10:00:00 +0000 XYZ", "2026-01-01T10:00:00Z"},
		{"Europe/Berlin", "%F %T %Z", "2026-01-01 10:00:00 PST", ""},
		{"UTC", "%F %T %Z", "2026-01-01 10:00:00 CET", ""},
		{"+01:00", "%F %T %Z", "2026-01-01 10:00:00 CET", ""},
	} {
		in, err := newTimes(c.format, c.zone)
		require.NoError(t, err)
		got, err := in.layout.parse(c.text, in.zone)
		if c.want == "" {
			assert.ErrorContains(t, err, "the time zone "+c.text[20:]+" is not known in "+in.zone.String()+"; set timezone:")
			continue
		}
		require.NoError(t, err, c.text)
		assert.Equal(t, c.want, got.UTC().Format(time.RFC3339), c.text)
	}
}

// A time that cannot be read is told of, also where no pattern holds it.
func TestUnreadableTime(t *testing.T) {
	for _, c := range []struct{ spec, line, want string }{
		{
			"time_format: '%F %T %Z'\ntimezone: UTC\nline: json\nrules: [{name: a, match: 'done', whole_task: t}]",
			`{"time": "2026-01-01 10:00:00 PST", "message": "done"}`, "time: the time zone PST is not known in UTC",
		},
		{
			"time_format: '%F %T %Z'\ntimezone: UTC\nline: '{time} {message}'\nrules: [{name: a, match: 'done', whole_task: t}]",
			`2026-01-01 10:00:00 PST done`, "line: {time:time}: the time zone PST is not known in UTC",
		},
		{
			"timezone: UTC\nrules: [{name: a, match: 'done at {when}', time: '{when}', whole_task: t}]",
			`done at noon`, `time: "noon" is not a time of the form ISO 8601`,
		},
	} {
		set := testSet(t, c.spec)
		e, err := set.NewEngine(Log{Identity: "x", Path: "x.log"})
		require.NoError(t, err)
		assert.ErrorContains(t, e.Process(Record{End: 1, Text: c.line, Lines: 1}).Problem, c.want)
	}
}

func TestEpoch(t *testing.T) {
	for _, c := range []string{"1782892806", "1782892806000", "1782892806000000", "1782892806000000000", "1782892806.000"} {
		got, err := parseEpoch(c)
		require.NoError(t, err)
		assert.Equal(t, int64(1782892806), got.Unix(), c)
	}
}

// No log, however strange, makes the engine fail, and no event holds what cannot be encoded.
func FuzzEngine(f *testing.F) {
	f.Add([]byte("2026-03-01 08:00:00 [INFO] starting {'a': 1}\n2026-03-01 08:00:00 [INFO] done 1 of 2\n"))
	f.Add([]byte("2026-03-01 08:00:00 [INFO] starting [[[[\nx\n\xff\n"))
	set := testSet(f, `
line: '{time} [{level}] {message}'
rules:
  - {name: b, match: 'starting {p:python}', begins_run: true, context: [p]}
  - {name: s, match: 'start {n:int} {j:json}', starts: t, task: '{n}', used: [j]}
  - {name: d, match: 'done {n:int} {f:float} {took:duration}', ends: t, task: '{n}', generated: [f], took: '{took}'}
`)
	f.Fuzz(func(t *testing.T, log []byte) {
		e, err := set.NewEngine(Log{Identity: "x", Path: "x.log"})
		require.NoError(t, err)
		for _, rec := range records(set, log) {
			for _, ev := range e.Process(rec).Events {
				require.NotEmpty(t, ev.Scope)
				require.NotEmpty(t, ev.Key)
				back, err := task.FromWire(ev.Wire())
				require.NoError(t, err)
				require.Equal(t, task.JSON(ev.Wire()), task.JSON(back.Wire()))
			}
			_, err := e.State()
			require.NoError(t, err)
		}
	})
}

func TestOpenTasksAreBounded(t *testing.T) {
	set := testSet(t, `rules: [{name: s, match: 'start {n:int}', starts: t, task: '{n}'}]`)
	e, err := set.NewEngine(Log{Identity: "x", Path: "x.log"})
	require.NoError(t, err)
	lost := []string{}
	for i := range MaxOpen + 3 {
		res := e.Process(Record{Offset: int64(i), End: int64(i + 1), Text: "start " + task.JSON(int64(i)), Lines: 1})
		require.NoError(t, res.Problem)
		lost = append(lost, res.Lost...)
	}
	assert.Equal(t, []string{"t/0", "t/1", "t/2"}, lost)
	assert.Equal(t, MaxOpen, e.Open())
}
