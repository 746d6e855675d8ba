package managedreceiver

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-mida/otelcol-mida/extension/taskcontroller"
	"github.com/otelcol-mida/otelcol-mida/receiver/managedreceiver/internal/metadata"
)

type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

// newLifecycleHost is the host of the generated lifecycle test: it has a started controller.
func newLifecycleHost() component.Host {
	factory := taskcontroller.NewFactory()
	ext, err := factory.Create(context.Background(), extensiontest.NewNopSettings(factory.Type()), factory.CreateDefaultConfig())
	if err != nil {
		panic(err)
	}
	if err := ext.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		panic(err)
	}
	return host{component.NewID(factory.Type()): ext}
}

func create(t *testing.T, cfg *Config) receiver.Logs {
	t.Helper()
	r, err := NewFactory().CreateLogs(t.Context(), receivertest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.NoError(t, err)
	return r
}

func TestOneReceiverForEachController(t *testing.T) {
	h := newLifecycleHost()
	first, second := create(t, createDefaultConfig().(*Config)), create(t, createDefaultConfig().(*Config))
	require.NoError(t, first.Start(t.Context(), h))
	require.ErrorContains(t, second.Start(t.Context(), h), "another managed receiver runs its observers")
	require.NoError(t, second.Shutdown(t.Context()))
	require.NoError(t, first.Shutdown(t.Context()))
	require.NoError(t, second.Start(t.Context(), h), "the first has given it back")
	require.NoError(t, second.Shutdown(t.Context()))
}

func TestControllerMustBeThere(t *testing.T) {
	r := create(t, createDefaultConfig().(*Config))
	require.ErrorContains(t, r.Start(t.Context(), host{}), `controller: there is no extension "taskcontroller"`)
	require.NoError(t, r.Shutdown(t.Context()))
	other := component.MustNewID("taskcontroller")
	require.ErrorContains(t, r.Start(t.Context(), host{other: struct{ component.Component }{}}), "runs no observers")
	cfg := &Config{Controller: component.MustNewID("taskquery")}
	require.ErrorContains(t, cfg.Validate(), "controller: taskquery is no taskcontroller")
	require.NoError(t, createDefaultConfig().(*Config).Validate())
}
