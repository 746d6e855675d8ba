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
		"unknown key":  {`rules: [{name: a, mtch: x}]`, `field mtch not found`},
		"no name":      {`rules: [{match: x, whole_task: t}]`, `rules: rule 1: name: missing`},
		"no match":     {`rules: [{name: a, whole_task: t}]`, `rules: rule 1 (a): match: missing; a rule needs match, regex or where`},
		"both matches": {`rules: [{name: a, match: x, regex: y, whole_task: t}]`, `match and regex: a rule has one of them`},
		"unknown type": {`rules: [{name: a, match: 'n {n:itn}', whole_task: t}]`, `{n:itn} at character 3: there is no type "itn"; did you mean "int"?`},
		"open brace":   {`rules: [{name: a, match: 'n {n', whole_task: t}]`, `the { at character 3 is not closed; write {{ for a brace that is text`},
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
		"never started":  {`rules: [{name: a, match: x, starts: scan, task: x}, {name: b, match: y, ends: scna, task: x}]`, `no rule starts "scna"; did you mean "scan"?`},
		"same match":     {`rules: [{name: a, match: x, whole_task: t}, {name: b, match: x, whole_task: u}]`, `rule 2 (b) can never apply: rules: rule 1 (a) has the same match`},
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
