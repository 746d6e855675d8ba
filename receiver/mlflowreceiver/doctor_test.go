package mlflowreceiver

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
)

func TestExplained(t *testing.T) {
	dir := t.TempDir()
	c := createDefaultConfig().(*Config)
	c.TrackingURI = "sqlite:///" + dir + "/work/mlflow.db"
	said := func(err error) string {
		_, text := c.explain(err)
		return text
	}
	assert.Contains(t, said(errAbsent), "the directory "+dir+"/work does not exist: correct tracking_uri")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "work/sub"), 0o700))
	state, text := c.explain(errAbsent)
	assert.Equal(t, control.Waiting, state)
	assert.Contains(t, text, "does not exist yet; it is read from its first run on")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "work/sub/mlflow.db"), nil, 0o600))
	assert.Contains(t, said(errAbsent), "tracking_uri: sqlite:///"+dir+"/work/sub/mlflow.db")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "work/mlruns/0"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "work/mlruns/0/meta.yaml"), []byte("experiment_id: '0'"), 0o600))
	assert.Contains(t, said(errAbsent), "mlflow migrate-filestore --source "+dir+"/work --target sqlite:///"+dir+"/work/mlflow.db")

	assert.Contains(t, said(fmt.Errorf("%w: it has no table latest_metrics", errNotMLflow)), "too old")
	assert.Contains(t, said(fmt.Errorf("%w: it has no table experiments, runs", errNotMLflow)), "name MLflow's own database")
	assert.Contains(t, said(os.ErrPermission), "who may not read it")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "work/mlflow.db"), nil, 0o600))
	assert.Contains(t, said(errLocked), "another program keeps it locked")

	c.TrackingURI = "postgresql://ada:geheim@db/x"
	assert.Contains(t, said(fmt.Errorf("%w: connection refused", errUnreachable)), "correct host and port")
	assert.Contains(t, said(errDenied), "GRANT SELECT")
	assert.NotContains(t, said(fmt.Errorf("postgresql://ada:geheim@db/x")), "geheim")
}
