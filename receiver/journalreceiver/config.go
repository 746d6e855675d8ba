package journalreceiver

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/journal"
)

// Config of the journal receiver.
type Config struct {
	// ServerConfig is endpoint, tls, auth and what else an HTTP server takes. The default endpoint is of this machine alone.
	confighttp.ServerConfig `mapstructure:",squash"`
	// Campaign of tasks whose journal names none.
	Campaign string `mapstructure:"campaign"`
	// Capture says what of the tasks is kept; MIDA_CAPTURE says it in the observed processes. Secrets are always taken out.
	Capture capture.Config `mapstructure:"capture"`
}

const (
	defaultEndpoint = "127.0.0.1:4341"
	// A segment ends where it passes its size, so one record may come on top.
	defaultMaxBody = journal.MaxRecord + 2*journal.DefaultSegmentSize
)

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = defaultEndpoint
	server.MaxRequestBodySize = defaultMaxBody
	// It answers after the store committed, which may take its time.
	server.WriteTimeout = 0
	return &Config{ServerConfig: server, Capture: capture.NewDefaultConfig()}
}

// Validate names every key that cannot work.
func (c *Config) Validate() error {
	var errs []error
	if c.NetAddr.Endpoint == "" {
		errs = append(errs, fmt.Errorf("endpoint: empty; want host:port such as %s", defaultEndpoint))
	}
	if len(c.Capture.KeepActivities)+len(c.Capture.DropActivities) > 0 {
		errs = append(errs, errors.New("capture: keep_activities and drop_activities are not for this receiver; want them in the observed processes (MIDA_CAPTURE)"))
	}
	return errors.Join(errs...)
}
