package upcmd

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// inDirectory runs the test in an empty directory named "campaign", with these files and an empty environment.
func inDirectory(t *testing.T, files map[string]string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "campaign")
	require.NoError(t, os.Mkdir(dir, 0o700))
	t.Chdir(dir)
	for _, name := range []string{"MIDA_CAMPAIGN", "MIDA_SITE", "MIDA_DATA", "MIDA_QUERY_ENDPOINT"} {
		t.Setenv(name, "")
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
}

// show is what "config show" prints.
func show(t *testing.T, args ...string) (config map[string]any, said string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, Config(append([]string{"show"}, args...), &stdout, &stderr), stderr.String())
	require.NoError(t, yaml.Unmarshal(stdout.Bytes(), &config))
	return config, stderr.String()
}

func at(t *testing.T, config any, path ...string) any {
	t.Helper()
	for _, key := range path {
		m, ok := config.(map[string]any)
		require.True(t, ok, "no mapping at %s", key)
		config = m[key]
	}
	return config
}

const someRules = `
workflow: acquire
rules:
  - {name: an image, match: 'image {n:int} costs $5', whole_task: image, task: '{n}'}
`

func TestNothingSaid(t *testing.T) {
	inDirectory(t, nil)
	config, _ := show(t)
	assert.Equal(t, "campaign", at(t, config, "receivers", "dask", "campaign"), "named like the directory")
	assert.Equal(t, []any{"tcp://127.0.0.1:8786"}, at(t, config, "receivers", "dask", "schedulers"))
	assert.Equal(t, "sqlite:///mlflow.db", at(t, config, "receivers", "mlflow", "tracking_uri"))
	assert.Equal(t, []any{"dask", "mlflow"}, at(t, config, "service", "pipelines", "logs", "receivers"))
	assert.Equal(t, []any{"managed"}, at(t, config, "service", "pipelines", "logs/managed", "receivers"))
}

func TestEnvironment(t *testing.T) {
	inDirectory(t, nil)
	t.Setenv("MIDA_CAMPAIGN", "c")
	t.Setenv("MIDA_SITE", "s")
	t.Setenv("MIDA_DATA", "d")
	t.Setenv("MIDA_QUERY_ENDPOINT", "127.0.0.1:1")
	config, _ := show(t)
	assert.Equal(t, "c", at(t, config, "receivers", "mlflow", "campaign"))
	assert.Equal(t, "s", at(t, config, "processors", "provenance", "site"))
	assert.Equal(t, "d/mida.db", at(t, config, "extensions", "taskstore", "stores", "main", "sqlite", "path"))
	assert.Equal(t, "127.0.0.1:1", at(t, config, "extensions", "taskquery", "endpoint"))
	assert.Equal(t, []any{"."}, at(t, config, "extensions", "taskquery", "report", "read_files"))
}

const file = `
campaign: search
site: lab
logs: 'logs/*.log'
mlflow: [sqlite:///a.db, "postgresql://u@localhost/b"]
dask: [tcp://127.0.0.1:9000, my.json]
`

func TestFileAndFlagsAreTheSame(t *testing.T) {
	inDirectory(t, map[string]string{"rules.yaml": someRules})
	flags, _ := show(t, "--campaign", "search", "--site=lab", "--logs", "logs/*.log", "--mlflow", "sqlite:///a.db",
		"--mlflow", "postgresql://u@localhost/b", "--dask", "tcp://127.0.0.1:9000", "--dask", "my.json")
	require.NoError(t, os.WriteFile(File, []byte(file), 0o600))
	fromFile, _ := show(t)
	assert.Equal(t, flags, fromFile)
	assert.Equal(t, "rules.yaml", at(t, flags, "receivers", "tasklog", "rules_file"))
	assert.Equal(t, "postgresql://u@localhost/b", at(t, flags, "receivers", "mlflow/2", "tracking_uri"))
	assert.Equal(t, []any{"my.json"}, at(t, flags, "receivers", "dask", "scheduler_files"))

	over, _ := show(t, "--campaign", "other", "--mlflow", "false", "--dask", "false")
	assert.Equal(t, []any{"tasklog"}, at(t, over, "service", "pipelines", "logs", "receivers"), "flags win, key by key")
	assert.Equal(t, "other", at(t, over, "receivers", "tasklog", "campaign"))
	assert.Equal(t, "lab", at(t, over, "processors", "provenance", "site"))
}

func TestLogsWithRulesOfTheirOwn(t *testing.T) {
	inDirectory(t, map[string]string{"rules.yaml": someRules, "sem.yaml": someRules, File: `
logs:
  - a.log
  - {include: [sem.log, 'sem/*.log'], rules: sem.yaml}
  - b.log
  - include: x.log
    rules:
      - {name: x, regex: 'cost \$(?P<n>\d+)$', whole_task: x, task: '{n}', used: {home: '${HOME} ${env:HOME}'}}
`})
	config, _ := show(t)
	assert.Equal(t, []any{"a.log", "b.log"}, at(t, config, "receivers", "tasklog", "include"))
	assert.Equal(t, "sem.yaml", at(t, config, "receivers", "tasklog/2", "rules_file"))
	rule := at(t, config, "receivers", "tasklog/3", "rules").([]any)[0]
	assert.Equal(t, `cost \$$(?P<n>\d+)$$`, at(t, rule, "regex"), "a $ is a letter")
	assert.Equal(t, "$${HOME} ${env:HOME}", at(t, rule, "used", "home"), "but ${env:…} is the environment")
}

func TestObservers(t *testing.T) {
	inDirectory(t, map[string]string{"rules.yaml": someRules, File: "{logs: '*.log', site: x}"})
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, Config([]string{"observers", "--campaign", "c$"}, &stdout, &stderr), stderr.String())
	assert.JSONEq(t, `{"campaign": "c$", "mlflow_named": false, "without_rules": [], "observers": [
		{"kind": "dask", "config": {}},
		{"kind": "tasklog", "config": {"include": ["*.log"], "rules_file": "rules.yaml"}}]}`, stdout.String())
	stdout.Reset()
	require.Equal(t, 0, Config([]string{"observers", "--mlflow", "sqlite:///a.db", "--dask", "false", "--logs", "false"}, &stdout, &stderr))
	assert.JSONEq(t, `{"campaign": "campaign", "mlflow_named": true, "without_rules": [], "observers": [
		{"kind": "mlflow", "config": {"tracking_uri": "sqlite:///a.db"}}]}`, stdout.String())
}

func TestLogsWithoutRules(t *testing.T) {
	inDirectory(t, nil)
	config, said := show(t, "--logs", "logs/*.log")
	assert.NotContains(t, at(t, config, "receivers"), "tasklog")
	assert.Contains(t, said, "logs/*.log has no rules, so it is left out; mida init")
}

func TestMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		file string
		args []string
		want []string
	}{
		"unknown key":            {file: "campaign: x\nlog: a", want: []string{`mida.yaml: line 2: "log" is no key; valid are campaign, site, logs, mlflow, dask`}},
		"a collector's key":      {file: "receivers: {}", want: []string{`"receivers" is no key`, "--config"}},
		"no keys":                {file: "- a", want: []string{"line 1", "want keys such as campaign"}},
		"no YAML":                {file: "a: [", want: []string{"mida.yaml: yaml: line"}},
		"empty campaign":         {file: "campaign:", want: []string{"campaign: it is empty; want a name"}},
		"campaign of a list":     {file: "campaign: [a]", want: []string{"campaign: a list cannot stand here; want a name"}},
		"a number for logs":      {file: "logs: 5", want: []string{`logs[0]: "5" cannot stand here; want a glob`}},
		"no include":             {file: "logs: {rules: x.yaml}", want: []string{"logs[0]: include: missing; want a glob"}},
		"unknown key of logs":    {file: "logs: {include: a, rule: x}", want: []string{`logs[0]: "rule" is no key; valid are include, rules`}},
		"missing rules":          {args: []string{"--logs", "a.log", "--rules", "no.yaml"}, want: []string{`logs: rules_file`, "no.yaml"}},
		"rules without logs":     {args: []string{"--rules", "no.yaml"}, want: []string{`--rules: "no.yaml"`, "want --logs"}},
		"wrong rule":             {file: "logs: {include: a, rules: [{name: x, match: '{n:integer}', whole_task: t}]}", want: []string{"logs: ", "integer"}},
		"wrong key of a rule":    {file: "logs: {include: a, rules: [{name: x, matches: y}]}", want: []string{"logs: ", "matches"}},
		"a server for MLflow":    {args: []string{"--mlflow", "http://localhost:5000"}, want: []string{`mlflow: tracking_uri: "http://localhost:5000"`, "a server's address is no database"}},
		"a directory for MLflow": {file: "mlflow: ./mlruns", want: []string{`mlflow: tracking_uri: "./mlruns" is a directory or a file name`}},
		"mlflow: true":           {file: "mlflow: true", want: []string{`mlflow: "true" cannot stand here; want a database such as sqlite:///mlflow.db`}},
		"wrong port of Dask":     {args: []string{"--dask", "tcp://localhost:99999"}, want: []string{"dask: schedulers[0]", "99999", "1 to 65535"}},
		"no scheme for Dask":     {args: []string{"--dask", "localhost:8786"}, want: []string{`--dask: "localhost:8786"; want auto`, "tcp://host:port"}},
		"expanded by the shell":  {args: []string{"--logs", "a.log", "b.log"}, want: []string{`"b.log": want flags only`, "needs quotes"}},
		"unknown flag":           {args: []string{"--log", "x"}, want: []string{"-log"}},
	} {
		t.Run(name, func(t *testing.T) {
			inDirectory(t, map[string]string{"rules.yaml": someRules})
			if test.file != "" {
				require.NoError(t, os.WriteFile(File, []byte(test.file), 0o600))
			}
			var stdout, stderr bytes.Buffer
			assert.Equal(t, 2, Config(append([]string{"show"}, test.args...), &stdout, &stderr))
			assert.Empty(t, stdout.String())
			for _, want := range test.want {
				assert.Contains(t, stderr.String(), want)
			}
			arguments, status := Up(test.args, &stdout, &stderr)
			assert.Nil(t, arguments)
			assert.Equal(t, 2, status)
		})
	}
}

func TestUpSaysWhatItObserves(t *testing.T) {
	inDirectory(t, map[string]string{"rules.yaml": someRules, "one.log": ""})
	var stdout, stderr bytes.Buffer
	arguments, status := Up([]string{"--campaign", "my campaign", "--logs", "*.log", "--mlflow", "postgresql://u:secret@localhost/b", "--config", "more.yaml"}, &stdout, &stderr)
	require.Equal(t, 0, status, stderr.String())
	require.Len(t, arguments, 2)
	assert.Contains(t, arguments[0], "--config=yaml:extensions:")
	assert.Equal(t, "--config=more.yaml", arguments[1])
	said := stdout.String()
	for _, want := range []string{
		"Observing campaign my campaign:", "*.log (1 file now), with the rules in rules.yaml", "tcp://127.0.0.1:8786", "mida status\n",
		"mida query --campaign 'my campaign'", "/campaign/mida-data/mida.db", "Ctrl-C",
	} {
		assert.Contains(t, said, want)
	}
	assert.NotContains(t, said, "secret")

	require.NoError(t, os.Remove("rules.yaml"))
	stdout.Reset()
	_, status = Up([]string{"--logs", "*.log", "--dask", "false", "--mlflow", "false"}, &stdout, &stderr)
	require.Equal(t, 0, status)
	assert.Contains(t, stdout.String(), "NOT observed: *.log, because nothing says what the lines mean")
	assert.Contains(t, stdout.String(), "Dask    not observed")
	assert.Contains(t, stdout.String(), "MLflow  not observed")
}

func TestPortThatIsTaken(t *testing.T) {
	inDirectory(t, nil)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	o, err := read(nil)
	require.NoError(t, err)
	o.Endpoint = busy.Addr().String()
	require.NoError(t, o.ready())
	assert.Equal(t, "127.0.0.1:0", o.Endpoint, "the usual port gives way")
	o, err = read([]string{"--endpoint", busy.Addr().String()})
	require.NoError(t, err)
	require.NoError(t, o.ready())
	assert.Equal(t, busy.Addr().String(), o.Endpoint, "one that was asked for does not: the collector says so")
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	_, status := Up([]string{"--help"}, &stdout, &stderr)
	assert.Equal(t, 0, status)
	assert.Contains(t, stdout.String(), "Usage: mida up")
	assert.Equal(t, 2, Config(nil, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "config show")
}
