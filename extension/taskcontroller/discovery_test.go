package taskcontroller

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
)

const mlflowTables = "SQLite format 3\x00CREATE TABLE experiments (x) CREATE TABLE params (y)"

// finding makes a collector that looks for what could be observed.
func finding(t *testing.T, change ...func(*Discover)) *collector {
	t.Helper()
	c := newCollector(t, t.TempDir())
	d := Discover{MaxEntries: 1000, MaxDepth: 5, MaxProcesses: 100, Timeout: time.Minute, Interval: time.Second}
	for _, f := range change {
		f(&d)
	}
	c.cfg.Discover = configoptional.Some(d)
	require.NoError(t, c.cfg.Validate())
	require.NoError(t, c.checkDiscovery())
	return c
}

// offers are those below the collector's directory: other programs of this machine are offered too.
func (c *collector) offers(kind string) (out []control.Offer) {
	c.t.Helper()
	c.finder.at = time.Time{}
	d, err := c.Discovered(c.t.Context())
	require.NoError(c.t, err)
	for _, o := range d.Offers {
		if o.Kind == kind && kind != "dask" {
			out = append(out, o)
		}
	}
	return out
}

func TestDiscovered(t *testing.T) {
	c := finding(t).attach()
	defer c.stop()
	c.write("run.log", 0, 5)
	db := c.log("mlflow.db")
	require.NoError(t, os.WriteFile(db, []byte(mlflowTables), 0o600))
	outside := filepath.Join(c.dir, "outside")
	require.NoError(t, os.MkdirAll(outside, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "mlflow.db"), []byte(mlflowTables), 0o600))

	databases := c.offers("mlflow")
	require.Len(t, databases, 1, "nothing outside what is allowed")
	assert.Equal(t, map[string]any{"tracking_uri": "sqlite:///" + db}, databases[0].Config)
	assert.Empty(t, databases[0].Observed)
	logs := c.offers("tasklog")
	require.Len(t, logs, 1)

	// What is offered can be registered as it is, and is known from then on.
	c.register("images", logs[0].Kind, logs[0].Config)
	_, drained, err := c.StopObserver(t.Context(), "images")
	require.NoError(t, err)
	require.True(t, drained.Complete, drained.Problem)
	assert.Len(t, c.keys(), 5)
	assert.Equal(t, "images", c.offers("tasklog")[0].Observed, "also while it is stopped")
	c.register("runs", "mlflow", map[string]any{"tracking_uri": "sqlite:///" + db})
	assert.Equal(t, "runs", c.offers("mlflow")[0].Observed)
	_, err = c.Register(t.Context(), control.Registration{ID: "discovered", Kind: "mlflow", Config: databases[0].Config}, false)
	assert.ErrorContains(t, err, "id")
}

// The receivers of the collector's configuration say in its roster what they observe.
type reporting struct{ report control.Report }

func (r reporting) Report() control.Report { return r.report }

func TestDiscoveredKnowsTheConfiguration(t *testing.T) {
	c := finding(t)
	book := &control.Book{}
	c.finder.roster = book
	leave := book.Join(reporting{control.Report{ID: "tasklog/own", Kind: "tasklog", Places: []string{c.log("**/*.log")}}})
	c.attach()
	defer c.stop()
	c.write("run.log", 0, 5)
	assert.Equal(t, "tasklog/own", c.offers("tasklog")[0].Observed)
	leave()
	assert.Empty(t, c.offers("tasklog")[0].Observed)
	assert.True(t, sameAddress("tcp://localhost:8786", "tcp://127.0.0.1:8786"))
	assert.False(t, same("sqlite:////a/mlflow.db", "sqlite:////b/mlflow.db"))
}

func TestNothingIsLookedForUnasked(t *testing.T) {
	c := newCollector(t, t.TempDir()).attach()
	defer c.stop()
	_, err := c.Discovered(t.Context())
	assert.ErrorIs(t, err, control.ErrNoDiscovery)
}

func TestFoundIsStartedWhereTheOperatorSaysSo(t *testing.T) {
	c := finding(t, func(d *Discover) { d.Start, d.Campaign = []string{"tasklog"}, "found" })
	c.write("run.log", 0, 5)
	require.NoError(t, os.WriteFile(c.log("mlflow.db"), []byte(mlflowTables), 0o600))
	c.attach()
	defer c.stop()
	require.Eventually(t, func() bool { return len(c.Observers()) == 1 && c.Observers()[0].Events > 0 }, time.Minute, 10*time.Millisecond)
	o := c.Observers()[0]
	assert.Equal(t, "tasklog", o.Kind)
	assert.Equal(t, "discovery", o.By)
	assert.Equal(t, "found", o.Config["campaign"])
	_, err := c.DeleteObserver(t.Context(), o.ID, true)
	require.NoError(t, err)
	c.finder.at = time.Time{}
	c.startFound(t.Context(), c.cfg.Discover.Get())
	assert.Empty(t, c.Observers(), "what somebody deleted stays away")
}

func TestDiscoverConfig(t *testing.T) {
	for want, change := range map[string]func(*Discover){
		"discover::timeout":     func(d *Discover) { d.Timeout = 0 },
		"discover::interval":    func(d *Discover) { d.Interval = time.Millisecond },
		"discover::max_entries": func(d *Discover) { d.MaxEntries = -1 },
		"discover::start[0]":    func(d *Discover) { d.Start, d.Campaign = []string{"otlp"}, "c" },
		"discover::campaign":    func(d *Discover) { d.Start = []string{"dask"} },
	} {
		cfg := createDefaultConfig().(*Config)
		require.False(t, cfg.Discover.HasValue(), "opt-in")
		d := *cfg.Discover.GetOrInsertDefault()
		change(&d)
		cfg.Discover = configoptional.Some(d)
		assert.ErrorContains(t, cfg.Validate(), want)
	}
	c := newCollector(t, t.TempDir())
	c.cfg.Discover = configoptional.Some(Discover{Directories: []string{"/etc"}})
	assert.ErrorContains(t, c.checkDiscovery(), "discover::directories[0]")
	require.NoError(t, c.Shutdown(t.Context()))
}
