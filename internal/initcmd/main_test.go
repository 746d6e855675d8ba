package initcmd

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

const steps = `2026-11-22 21:48:31 INFO: image 1 started
2026-11-22 21:48:32 INFO: image 1 saved images/1.npz defects=3
2026-11-22 21:48:33 INFO: image 2 started
2026-11-22 21:48:34 INFO: image 2 saved images/2.npz defects=4
`

func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = Main(args, &out, &err)
	return status, out.String(), err.String()
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(data)
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my search")
	write(t, dir, "logs/a.log", steps)
	write(t, dir, "images/1.npz", "x")
	write(t, dir, "db/mlflow.db", "SQLite format 3\x00CREATE TABLE experiments (x) CREATE TABLE params (y)")
	status, out, errs := run(t, dir, "--site", "my.site")
	require.Equal(t, 0, status, errs)
	assert.Contains(t, out, "rules.yaml: 4 of 4 entries of logs/a.log are matched by a rule, 0 are ignored, 0 are not matched; 2 tasks come out")
	var m map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, dir, File)), &m))
	assert.Equal(t, map[string]any{
		"campaign": "my search", "site": "my.site", "logs": "logs/*.log", "mlflow": "sqlite:///db/mlflow.db", "dask": "auto",
	}, m)
	spec, err := rules.Parse([]byte(read(t, dir, "rules.yaml")))
	require.NoError(t, err)
	assert.Equal(t, "{log_dir}/..", spec.BaseDir)
	_, err = rules.Compile(spec)
	require.NoError(t, err)

	// Nothing is replaced unasked.
	write(t, dir, File, "campaign: mine\n")
	status, _, errs = run(t, dir)
	assert.Equal(t, 1, status)
	assert.Contains(t, errs, "mida.yaml")
	assert.Contains(t, errs, "--force")
	assert.Equal(t, "campaign: mine\n", read(t, dir, File))
	status, out, _ = run(t, dir, "--dry-run")
	assert.Equal(t, 0, status)
	assert.Contains(t, out, "--- mida.yaml\n")
	assert.Equal(t, "campaign: mine\n", read(t, dir, File))
	status, _, errs = run(t, "--force", dir)
	require.Equal(t, 0, status, errs)
	assert.Contains(t, read(t, dir, File), "campaign: 'my search'")
}

func TestSeveralKindsOfLogs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "logs/a.log", steps)
	write(t, dir, "train/out.log", "epoch=1 loss=0.5\nepoch=2 loss=0.25\n")
	write(t, dir, "prose/b.log", "Once upon a time.\n")
	status, out, errs := run(t, dir, "--campaign", "it's mine")
	require.Equal(t, 0, status, errs)
	var m struct {
		Campaign string
		Logs     []struct{ Include, Rules string }
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, dir, File)), &m))
	assert.Equal(t, "it's mine", m.Campaign)
	require.Len(t, m.Logs, 2)
	for _, l := range m.Logs {
		spec, err := rules.Parse([]byte(read(t, dir, l.Rules)))
		require.NoError(t, err)
		_, err = rules.Compile(spec)
		require.NoError(t, err, l.Include)
	}
	assert.Contains(t, out, "prose/*.log: no rules could be made of its lines")
	assert.Contains(t, read(t, dir, "rules-train.yaml"), "whole_task: epoch")
}

func TestNothingThere(t *testing.T) {
	dir := t.TempDir()
	status, out, errs := run(t, dir)
	require.Equal(t, 0, status, errs)
	assert.Contains(t, out, "Nothing was found")
	assert.Contains(t, read(t, dir, File), "mlflow: 'sqlite:///mlflow.db'")
	status, _, errs = run(t, filepath.Join(dir, "nowhere"))
	assert.Equal(t, 2, status)
	assert.Contains(t, errs, "nowhere")
	status, _, errs = run(t, filepath.Join(dir, File))
	assert.Equal(t, 2, status)
	assert.Contains(t, errs, "is no directory")
	status, _, _ = run(t, "--forse")
	assert.Equal(t, 2, status)
	status, out, _ = run(t, "--help")
	assert.Equal(t, 0, status)
	assert.Contains(t, out, "Usage:")
}
