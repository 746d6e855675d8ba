package rulescmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testRules = `
line: '{time} {level}: {message}'
timezone: UTC
rules:
  - {name: begin, match: 'run {id:word}', begins_run: true, run: '{id}'}
  - {name: start, match: 'image {n:int} starts', starts: image, task: '{n}', used: [n]}
  - {name: end, match: 'image {n:int} has {defects:int} defects', ends: image, task: '{n}', generated: [defects]}
  - {name: never, match: 'nothing like this', whole_task: t}
ignore: ['settled{}']
`

const testLog = `2026-11-22 21:50:53 INFO: run R1
2026-11-22 21:50:54 INFO: image 1 starts
2026-11-22 21:50:55 DEBUG: settled after 3 ms
2026-11-22 21:50:56 INFO: image 1 has 23 defects
2026-11-22 21:50:57 WARN: what is this
  and this
`

const testOutput = `LOG
     1  → begin  time=2026-11-22T21:50:53Z  id=R1  level=INFO
     2  → start  time=2026-11-22T21:50:54Z  level=INFO  n=1
     4  → end    time=2026-11-22T21:50:56Z  defects=23  level=INFO  n=1

No rule is for 1 entry:
     5  2026-11-22 21:50:57 WARN: what is this

Tasks
  acquire run R1@2026-11-22T21:50:53Z+0-380b51fa
    image/1  FINISHED         2s  used {"n":1}  generated {"defects":23}

Rules
     1  begin
     1  start
     1  end
     0  never
     1  (ignored)
     1  (no rule)

5 entries, 1 run, 1 task, 0 entries could not be used

`

func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = Main(args, &out, &err)
	return status, out.String(), err.String()
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestTest(t *testing.T) {
	log := write(t, "acquire.log", testLog)
	status, out, errs := run(t, "test", log, "--config", write(t, "rules.yaml", testRules))
	assert.Equal(t, 0, status)
	assert.Empty(t, errs)
	assert.Equal(t, testOutput, strings.ReplaceAll(out, log, "LOG"))
	_, colored, _ := run(t, "test", "--color", "always", "--config", write(t, "rules.yaml", testRules), log)
	assert.Contains(t, colored, "\x1b[32m")
}

func TestLineThatCannotBeUsed(t *testing.T) {
	rules := "rules: [{name: r, regex: 'loss (?P<loss>.*)', types: {loss: float}, whole_task: t}]"
	status, out, _ := run(t, "test", "--config", write(t, "rules.yaml", rules), write(t, "a.log", "loss 0.5\nloss high"))
	assert.Equal(t, 1, status)
	assert.Contains(t, out, `{loss:float}: "high" is not a number`)
	assert.Contains(t, out, "1 entry could not be used")
	assert.Contains(t, out, "the last line has no line end")
}

// The collector's own configuration is read as the collector reads it.
func TestCollectorConfiguration(t *testing.T) {
	t.Setenv("ACTIVITY", "image")
	rules := write(t, "own.yaml", testRules)
	config := write(t, "collector.yaml", `
receivers:
  otlp: {protocols: {grpc: {}}}
  tasklog:
    campaign: c
    include: ["*.log"]
    poll_interval: 1s
    rules:
      - {name: any, regex: '^(?P<all>.*)$$', whole_task: '${env:ACTIVITY}', used: [all]}
  tasklog/own:
    include: ["*.log"]
    rules_file: `+rules+`
service: {pipelines: {}}
`)
	log := write(t, "acquire.log", testLog)
	status, out, errs := run(t, "test", "--config", config, "--receiver", "tasklog", log)
	assert.Equal(t, 0, status, errs)
	assert.Contains(t, out, "6 entries, 1 run, 6 tasks")
	status, out, errs = run(t, "test", "--config", config, "--receiver", "tasklog/own", log)
	assert.Equal(t, 0, status, errs)
	assert.Equal(t, testOutput, strings.ReplaceAll(out, log, "LOG"))
	status, _, errs = run(t, "test", "--config", config, log)
	assert.Equal(t, 2, status)
	assert.Contains(t, errs, "choose one with --receiver: tasklog, tasklog/own")
}

func TestFaults(t *testing.T) {
	good := write(t, "rules.yaml", testRules)
	log := write(t, "a.log", testLog)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no command":    {nil, "Usage:"},
		"unknown":       {[]string{"tset"}, "Usage:"},
		"no log":        {[]string{"test", "--config", good}, "name at least one log"},
		"no such log":   {[]string{"test", "--config", good, "nowhere.log"}, "nowhere.log"},
		"no such rules": {[]string{"test", "--config", "nowhere.yaml", log}, "nowhere.yaml"},
		"bad rules":     {[]string{"test", "--config", write(t, "r.yaml", "rules: [{name: a, match: '{x:itn}', whole_task: t}]"), log}, `did you mean "int"?`},
		"not yaml":      {[]string{"test", "--config", write(t, "r.yaml", "{"), log}, "r.yaml"},
		"no quotes":     {[]string{"test", "--config", write(t, "r.yaml", "rules:\n  - match: a {n:int}: b"), log}, `needs quotes around it`},
		"receiver":      {[]string{"test", "--config", good, "--receiver", "tasklog", log}, `is a file of rules, and has no receivers`},
		"collector key": {
			[]string{"test", "--config", write(t, "c.yaml", "receivers: {tasklog: {rules: [{name: a, mtch: x}]}}"), log},
			`receivers: tasklog: `,
		},
		"unknown flag": {[]string{"test", "--cofnig", good, log}, "cofnig"},
		"color":        {[]string{"test", "--color", "red", "--config", good, log}, `"red" is not valid`},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, errs := run(t, c.args...)
			assert.Equal(t, 2, status)
			assert.Contains(t, errs, c.want)
		})
	}
	status, out, _ := run(t, "test", "--help")
	assert.Equal(t, 0, status)
	assert.Contains(t, out, "Usage:")
}

// A line without a rule comes with the rule that is closest, and a form that no line has is a fault.
func TestWhatKeepsRulesAway(t *testing.T) {
	rules := write(t, "rules.yaml", strings.Replace(testRules, "image {n:int} starts'", "image {n:int} start'", 1))
	status, out, errs := run(t, "test", "--config", rules, write(t, "a.log", testLog))
	assert.Equal(t, 0, status, errs)
	assert.Contains(t, out, "     2  2026-11-22 21:50:54 INFO: image 1 starts\n"+
		"        \"start\" fits up to \"image 1 start\", and wants the line to end before \"s\"; {} stands for what does not matter\n")
	rules = write(t, "rules.yaml", strings.Replace(testRules, "'{time} {level}: {message}'", "'[{time}] {message}'", 1))
	status, out, _ = run(t, "test", "--config", rules, write(t, "a.log", testLog))
	assert.Equal(t, 1, status)
	assert.Contains(t, out, `line: "[{time}] {message}" fits no line of this log, so that all of it is one entry`)
	status, _, _ = run(t, "test", "--config", rules, write(t, "empty.log", ""))
	assert.Equal(t, 0, status)
}

// The example's rules fit every line that its script writes, and its configuration finds them.
func TestExample(t *testing.T) {
	const dir = "../../examples/microscopy/"
	t.Setenv("MIDA_RULES", dir+"rules.yaml")
	for _, config := range []string{"collector.yaml", "rules.yaml"} {
		status, out, errs := run(t, "test", "--config", dir+config, dir+"testdata/acquire_sample.log")
		assert.Equal(t, 0, status, errs)
		assert.Contains(t, out, "     0  (no rule)")
	}
}

// What is printed is what the receiver would send.
func TestSecretsAndPolicy(t *testing.T) {
	config := write(t, "collector.yaml", `
receivers:
  tasklog:
    include: ["*.log"]
    capture: {drop_fields: ["used.n"], drop_activities: [secretive]}
    rules:
      - {name: login, match: 'login {n:int} url {url} pin {db_password}', whole_task: login, task: '{n}', used: [n, url, db_password]}
      - {name: other, match: 'other {n:int}', whole_task: secretive, used: [n]}
`)
	log := write(t, "a.log", "login 1 url https://ada:hunter2@h/x pin hunter2\nother 1\nnothing password=hunter2\n")
	status, out, errs := run(t, "test", "--config", config, log)
	assert.Equal(t, 0, status, errs)
	assert.NotContains(t, out, "hunter2")
	assert.Contains(t, out, `used {"db_password":{"$redacted":true},"url":"https://[redacted]@h/x"}`)
	assert.Contains(t, out, "Left out of the events\n     2  secrets\n     1  events of activities that are not captured\n     1  values of fields that are not captured\n")
	assert.Contains(t, out, "1 task,")
	bad := write(t, "bad.yaml", "receivers: {tasklog: {capture: {values: some}, rules: []}}")
	status, _, errs = run(t, "test", "--config", bad, log)
	assert.Equal(t, 2, status)
	assert.Contains(t, errs, `receivers: tasklog: capture: values: "some"; want values, numbers or none`)
}
