package managedreceiver

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
)

// managed lends its pipeline to the controller, which runs the registered receivers in it.
type managed struct {
	set    receiver.Settings
	cfg    *Config
	next   consumer.Logs
	runner control.Runner
}

// Start runs what is registered and shall run. An observer that cannot start is no error here: it says so in its state.
func (m *managed) Start(ctx context.Context, host component.Host) error {
	ext, ok := host.GetExtensions()[m.cfg.Controller]
	if !ok {
		return fmt.Errorf("controller: there is no extension %q; list it under extensions and under service::extensions", m.cfg.Controller)
	}
	runner, ok := ext.(control.Runner)
	if !ok {
		return fmt.Errorf("controller: the extension %q runs no observers; want a taskcontroller", m.cfg.Controller)
	}
	if err := runner.Attach(ctx, control.Pipeline{Host: host, Settings: m.set, Next: m.next}); err != nil {
		return fmt.Errorf("controller %q: %w", m.cfg.Controller, err)
	}
	m.runner = runner
	return nil
}

// Shutdown ends all observers; what they had not delivered is read again at the next start.
func (m *managed) Shutdown(ctx context.Context) error {
	if m.runner == nil {
		return nil
	}
	err := m.runner.Detach(ctx)
	m.runner = nil
	return err
}
