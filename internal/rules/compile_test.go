package rules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Errors name the rule, the key, the value and what is valid.
func TestCompileErrors(t *testing.T) {
	cases := map[string]struct{ spec, want string }{
		"no rules":     {`workflow: x`, `rules: there is none, so no line can become a task`},
		"unknown key":  {`rules: [{name: a, mtch: x}]`, `line 1: rules: rule 1 (a): mtch: unknown key; did you mean "match"?`},
		"no name":      {`rules: [{match: x, whole_task: t}]`, `rules: rule 1: name: missing`},
		"no match":     {`rules: [{name: a, whole_task: t}]`, `rules: rule 1 (a): match: missing; a rule needs match, regex or where`},
		"both matches": {`rules: [{name: a, match: x, regex: y, whole_task: t}]`, `match and regex: a rule has one of them`},
		"unknown type": {`rules: [{name: a, match: 'n {n:itn}', whole_task: t}]`, `{n:itn} at character 3: there is no type "itn"; did you mean "int"?`},
		"open brace":   {`rules: [{name: a, match: 'n {n', whole_task: t}]`, `the { at character 3 is not closed; write {{ for a brace that is text`},
		"brace in it":  {`rules: [{name: a, match: 'n {n:int: x={x}', whole_task: t}]`, `the { at character 3 is not closed before the next one`},
		"lone brace":   {`rules: [{name: a, match: 'n }', whole_task: t}]`, `the } at character 3 has no {`},
		"bad name":     {`rules: [{name: a, match: 'x {"a": 1}', whole_task: t}]`, `write {name} or {name:type}, and {{ }} for braces`},
		"twice":        {`rules: [{name: a, match: '{n} {n}', whole_task: t}]`, `{n} stands in it twice`},
		"bad regex":    {`rules: [{name: a, regex: 'image (\d+', whole_task: t}]`, `regex: missing closing )`},
		"look-around":  {`rules: [{name: a, regex: 'a(?=b)', whole_task: t}]`, `look-around is not available`},
		"regex type":   {`rules: [{name: a, regex: '(?P<n>\d+)', types: {m: int}, whole_task: t}]`, `types: "m" is no group of the regex; did you mean "n"?`},
		"unknown capture": {
			`rules: [{name: a, match: 'image {number:int}', whole_task: t, task: '{nubmer}'}]`,
			`rules: rule 1 (a): task: {nubmer} is not captured here; did you mean "number"?`,
		},
		"typed template": {`rules: [{name: a, match: '{n}', whole_task: t, task: '{n:int}'}]`, `types stand where a value is captured`},
		"used list":      {`rules: [{name: a, match: '{n}', whole_task: t, used: [nn]}]`, `used: {nn} is not captured here; did you mean "n"?`},
		"used kind":      {`rules: [{name: a, match: '{n}', whole_task: t, used: 3}]`, `used: 3 is neither a list of captures nor a map`},
		"two actions":    {`rules: [{name: a, match: x, starts: t, ends: t}]`, `starts and ends: one rule does one of these; a line that is a whole task has whole_task`},
		"never started": {
			`rules: [{name: a, match: x, starts: scan, task: x}, {name: b, match: y, ends: scna, task: x}]`,
			`rule 2 (b): no rule starts "scna" (a line that is a whole task has whole_task); did you mean "scan"?`,
		},
		"no start at all": {
			`rules: [{name: a, match: x, ends: acquire}]`,
			`rule 1 (a): no rule starts "acquire" (a line that is a whole task has whole_task); there is none`,
		},
		"same match":     {`rules: [{name: a, match: x, whole_task: t}, {name: b, match: x, whole_task: u}]`, `rules: rule 2 (b): match: rule 1 (a) has the same one and comes first`},
		"same name":      {`rules: [{name: a, match: x, whole_task: t}, {name: a, match: y, whole_task: t}]`, `rules: rule 2 (a): name: rule 1 has the same one`},
		"no quotes":      {`rules: [{name: a, match: 'x {n}', whole_task: t, task: {n}}]`, `line 1: rules: rule 1 (a): task: {n} without quotes; want '{n}'`},
		"list for text":  {`rules: [{name: a, match: [x], whole_task: t}]`, `rules: rule 1 (a): match: a list; want text in quotes`},
		"not a bool":     {`rules: [{name: a, match: x, begins_run: maybe}]`, `rules: rule 1 (a): begins_run: "maybe"; want true or false`},
		"not a list":     {`rules: {name: a}`, `line 1: rules: names with values; want a list, each entry behind a dash`},
		"not a rule":     {`rules: [a]`, `line 1: rules: rule 1: "a"; want keys with values`},
		"ignore entry":   {`ignore: [{a: b}]`, `ignore: entry 1: names with values; want text in quotes`},
		"types value":    {`rules: [{name: a, regex: x, types: {n: [int]}, whole_task: t}]`, `rules: rule 1 (a): types: n: a list; want text in quotes`},
		"top key":        {`workflwo: x`, `line 1: workflwo: unknown key; did you mean "workflow"?`},
		"bare multiline": {`multiline: '^x'`, `line 1: multiline: "^x"; want keys with values`},
		"colon":          {"rules:\n  - name: a\n    match: epoch {n:int}: done", `line 3: mapping values are not allowed in this context; text with a colon or with braces needs quotes`},
		"tab":            {"rules:\n\t- name: a", `indent with blanks rather than tabs`},
		"two documents":  {"rules: []\n---\nrules: []", `line 2: a second document begins after ---`},
		"identity": {
			`rules: [{name: a, match: 'x {n}', starts: t, task: '{n}'}, {name: b, match: y, ends: t}]`,
			`the rule "a" contradict each other about "t": one tells tasks apart by task`,
		},
		"both bounds":   {`rules: [{name: a, match: x, begins_run: true, ends_run: true}]`, `begins_run and ends_run: one line cannot be both`},
		"run alone":     {`rules: [{name: a, match: '{r}', run: '{r}', whole_task: t}]`, `run: "{r}": only a rule with begins_run`},
		"nothing":       {`rules: [{name: a, match: x}]`, `the rule says nothing`},
		"used, no task": {`rules: [{name: a, match: '{n}', begins_run: true, used: [n]}]`, `used: the rule says of no task`},
		"error":         {`rules: [{name: a, match: '{n}', whole_task: t, error: '{n}'}]`, `error and error_type belong to fails, not to whole_task`},
		"line":          {`{line: '{time} {msg}', rules: [{name: a, match: x, whole_task: t}]}`, `it has no {message}`},
		"time format":   {`{time_format: '%H:%M', rules: [{name: a, match: x, whole_task: t}]}`, `time_format: time format "%H:%M" has no full date`},
		"directive":     {`{time_format: '%Y-%m-%d %Q', rules: [{name: a, match: x, whole_task: t}]}`, `%Q is not known; valid are %Y`},
		"timezone":      {`{timezone: Mars/Base, rules: [{name: a, match: x, whole_task: t}]}`, `timezone: "Mars/Base" is not known; write a name such as Europe/Berlin`},
		"encoding":      {`{encoding: klingon, rules: [{name: a, match: x, whole_task: t}]}`, `encoding: "klingon" is not known; write an IANA name such as utf-8`},
		"unfinished":    {`{unfinished: gone, rules: [{name: a, match: x, whole_task: t}]}`, `unfinished: "gone" is not valid; write lost (the default) or running`},
		"multiline":     {`{multiline: {starts_with: '['}, rules: [{name: a, match: x, whole_task: t}]}`, `multiline: starts_with: missing closing ]`},
		"where":         {`rules: [{name: a, where: {level: '/(/'}, whole_task: t}]`, `where: level: missing closing )`},
		"where name":    {`{line: '{level} {message}', rules: [{name: a, where: {lvel: ERROR}, whole_task: t}]}`, `where: {lvel} is not captured here; did you mean "level"?`},
		"workflow":      {`{workflow: '{sample}', rules: [{name: a, match: x, whole_task: t}]}`, `workflow: {sample} is not captured here`},
		"argument":      {`rules: [{name: a, match: '{n:int(3)}', whole_task: t}]`, `the type "int" takes no argument`},
		"activity":      {`rules: [{name: a, match: '{n}', whole_task: 'a {n}'}]`, `an activity is a fixed name`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			spec, err := Parse([]byte(c.spec))
			if err == nil {
				_, err = Compile(spec)
			}
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
		})
	}
}

// All faults are told at once, those of the file's form too.
func TestParseTellsAllFaults(t *testing.T) {
	_, err := Parse([]byte("workflwo: x\nrules:\n  - {name: a, mtch: x}\n  - {name: b, begins_run: 3}\n"))
	assert.EqualError(t, err, "line 1: workflwo: unknown key; did you mean \"workflow\"?\n"+
		"line 3: rules: rule 1 (a): mtch: unknown key; did you mean \"match\"?\n"+
		"line 4: rules: rule 2 (b): begins_run: \"3\"; want true or false")
}

// What a rules file may hold beside plain keys.
func TestParse(t *testing.T) {
	spec, err := Parse([]byte("workflow: &w acquire\nbase_dir:\nrules:\n" +
		"  - &r {name: a, match: 'x {n}', starts: *w, task: '{n}', used: {a: 1, b: [{c: null}]}, where: {n: 3}}\n" +
		"  - {<<: *r, name: b, match: 'y {n}'}\n"))
	require.NoError(t, err)
	assert.Equal(t, "acquire", spec.Rules[0].Starts)
	assert.Equal(t, map[string]any{"a": 1, "b": []any{map[string]any{"c": nil}}}, spec.Rules[0].Used)
	assert.Equal(t, "acquire", spec.Rules[1].Starts)
	for _, empty := range []string{"", "# nothing\n", "---\n"} {
		spec, err = Parse([]byte(empty))
		require.NoError(t, err, empty)
		assert.Empty(t, spec.Rules)
	}
}

// A line that no rule takes is told the rule that comes closest.
func TestNearest(t *testing.T) {
	spec, err := Parse([]byte(`
line: '{level} {message}'
rules:
  - {name: start, match: 'image {number:int}: exposure started at x={x:int} nm', starts: image, task: '{number}'}
  - {name: save, match: 'image {number:int}: saved {path:path} defects={defects:int}', ends: image, task: '{number}'}
  - {name: oops, match: 'gone wrong: {why}', fails: image, task: '{why}', where: {level: ERROR}}
  - {name: other, regex: 'nothing (?P<x>.*)', whole_task: other}
`))
	require.NoError(t, err)
	set, err := Compile(spec)
	require.NoError(t, err)
	e, err := set.NewEngine(Log{Identity: "h:/a.log", Path: "/a.log"})
	require.NoError(t, err)
	for line, want := range map[string]string{
		"INFO image 7: exposure started at x=0.50 nm": `"start" fits up to "image 7: exposure started at x=0", then wants " nm" where ".50 nm" is there`,
		"INFO image 7: exposure started at x=left":    `"start" fits up to "image 7: exposure started at x=", then wants "{x:int}" where "left" is there`,
		"INFO image 7: saved a.npz defects=":          `"save" fits up to "image 7: saved a.npz defects=", then wants "{defects:int}" where the line ends`,
		"INFO image 7: saved a.npz defects=3 mean=1":  `"save" fits up to "image 7: saved a.npz defects=3", and wants the line to end before " mean=1"`,
		"WARN gone wrong: smoke":                      `"oops" fits, but where asks for level: ERROR, and it is "WARN"`,
		"INFO stage settled":                          ``,
		"INFO image 7: exposure started at x=0 nm":    ``, // start fits
	} {
		rec := Record{Text: line, Lines: 1}
		got := e.Nearest(rec)
		if e.Process(rec).Rule == "" {
			assert.Contains(t, got, want, line)
			assert.Equal(t, want == "", got == "", line)
		}
	}
	assert.Empty(t, e.Nearest(Record{Text: "x"}))
}

// All faults are told at once.
func TestCompileTellsAllFaults(t *testing.T) {
	spec, err := Parse([]byte(`{encoding: x, unfinished: y, rules: [{name: a}, {name: b, match: '{', whole_task: t}]}`))
	require.NoError(t, err)
	_, err = Compile(spec)
	require.Error(t, err)
	for _, want := range []string{"encoding", "unfinished", "rule 1 (a)", "rule 2 (b)"} {
		assert.Contains(t, err.Error(), want)
	}
}
