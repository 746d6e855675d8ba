package doctorcmd

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = Main(args, &out, &err)
	return status, out.String(), err.String()
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// What is looked at is what the collector would use: ${env:…}, several files, all receivers of ours and no others.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listen.Close()
	t.Setenv("BUSY", listen.Addr().String())
	write(t, dir, "logs/a.log", "x done\n")
	file := write(t, dir, "a-file", "")
	base := write(t, dir, "collector.yaml", fmt.Sprintf(`
extensions:
  file_storage: {directory: %[2]s/state}
  taskstore: {stores: {main: {sqlite: {path: %[1]s/data/mida.db}}}}
  taskquery: {store: main, endpoint: "${env:BUSY}", state_directory: %[1]s/data}
receivers:
  otlp: {protocols: {grpc: {}}}
  mlflow: {tracking_uri: "mysql://x/y"}
  dask: {schedulers: ["127.0.0.1:8786"]}
  tasklog: {include: ["%[1]s/logs/*.log"], rules: [{name: r, match: '{x} done', whole_task: t}]}
  tasklog/wrong: {include: ["%[1]s/logs/*.txt"], rules: [{name: r, mtch: 'x'}]}
`, dir, file))
	status, out, errs := run(t, "--config", base)
	assert.Equal(t, 1, status, errs)
	for _, want := range []string{
		"mlflow:\n  ! configuration\n", `scheme "mysql"`, "tasklog: nothing looks wrong\n", "tasklog/wrong:\n", "mtch", "want tcp://host:port",
		"it is in use by", "extensions::taskquery::endpoint (MIDA_QUERY_ENDPOINT)", "not a directory: set extensions::file_storage::directory",
	} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "otlp")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 3, "nothing was made")

	t.Setenv("BUSY", "127.0.0.1:0")
	fine := write(t, dir, "fine.yaml", fmt.Sprintf(`
extensions: {file_storage: {directory: %[1]s/state}}
receivers: {mlflow: {tracking_uri: "sqlite:///%[1]s/mlflow.db"}, dask: {schedulers: ["tcp://127.0.0.1:8786"]}, tasklog/wrong: {rules: [{match: x}]}}
`, dir))
	_, out, _ = run(t, "--config", base, "--config", fine)
	assert.Contains(t, out, "mlflow:\n  ? sqlite:///"+dir+"/mlflow.db\n      the database does not exist yet")
	assert.Contains(t, out, "collector: nothing looks wrong\n")
}

func TestFaults(t *testing.T) {
	t.Chdir(t.TempDir())
	for want, args := range map[string][]string{
		"mida init":     nil,
		"nowhere.yaml":  {"--config", "nowhere.yaml"},
		"--config FILE": {"x.yaml"},
		"cofnig":        {"--cofnig"},
	} {
		status, _, errs := run(t, args...)
		assert.Equal(t, 2, status)
		assert.Contains(t, errs, want)
	}
	status, out, _ := run(t, "--help")
	assert.Equal(t, 0, status)
	assert.Contains(t, out, "Usage:")
}
