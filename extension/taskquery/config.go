package taskquery

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
)

// Config is the configuration of the query API.
type Config struct {
	// ServerConfig holds the standard keys of an HTTP server: endpoint, tls, cors, auth, … With `auth` the token below is
	// neither made nor accepted.
	confighttp.ServerConfig `mapstructure:",squash"`

	// Store is the name of the store that is asked, one of those of the taskstore extension.
	Store string `mapstructure:"store"`

	// StateDirectory is where the token and the address for clients lie (endpoint.json). It is made if it is missing, for
	// its owner alone.
	StateDirectory string `mapstructure:"state_directory"`

	// QueryTimeout bounds the work on one request; 0 means no bound. Backups and deletions are not bounded.
	QueryTimeout time.Duration `mapstructure:"query_timeout"`

	// AllowedHosts are names, beside those of the loopback interface, that the Host header of a request may have while the
	// endpoint is a loopback address. Others are refused, so that no web page reaches the API by a name of its own.
	AllowedHosts []string `mapstructure:"allowed_hosts"`

	// Report says what the report on the best results may read, and which names are usual here.
	Report ReportConfig `mapstructure:"report"`

	// MCP is the interface for assistants (docs/mcp.md). It reads only and lets in whom the rest lets in.
	MCP MCPConfig `mapstructure:"mcp"`
}

// MCPConfig is the configuration of the Model Context Protocol.
type MCPConfig struct {
	Enabled bool `mapstructure:"enabled"`
}

var _ component.Config = (*Config)(nil)

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = "127.0.0.1:4340"
	server.MaxRequestBodySize = 4 << 20
	server.WriteTimeout = 0 // a backup may take its time; query_timeout bounds the rest
	return &Config{
		ServerConfig: server, Store: "main", StateDirectory: "./mida-data", QueryTimeout: 30 * time.Second,
		MCP: MCPConfig{Enabled: true},
	}
}

// Validate checks the configuration.
func (c *Config) Validate() error {
	var errs []error
	if c.Store == "" {
		errs = append(errs, errors.New(`store: empty; want the name of a store of the taskstore extension, such as "main"`))
	}
	switch c.NetAddr.Transport {
	case confignet.TransportTypeTCP, confignet.TransportTypeTCP4, confignet.TransportTypeTCP6:
	default:
		errs = append(errs, fmt.Errorf("transport: %q is not supported; want tcp, tcp4 or tcp6", c.NetAddr.Transport))
	}
	if _, port, err := net.SplitHostPort(c.NetAddr.Endpoint); err != nil || port == "" {
		errs = append(errs, fmt.Errorf("endpoint: %q is not an address; want host:port, such as 127.0.0.1:4340", c.NetAddr.Endpoint))
	}
	if c.QueryTimeout < 0 {
		errs = append(errs, fmt.Errorf("query_timeout: %s is negative; want a duration such as 30s, or 0 for no bound", c.QueryTimeout))
	}
	if c.MaxRequestBodySize < 0 {
		errs = append(errs, fmt.Errorf("max_request_body_size: %d is negative; want a number of bytes", c.MaxRequestBodySize))
	}
	if err := ownDirectory(c.StateDirectory); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ownDirectory refuses directories that surely hold other things: they are made private to their owner.
func ownDirectory(dir string) error {
	if dir == "" {
		return errors.New("state_directory: empty; want a directory of its own, such as ./mida-data")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("state_directory: %q: %w", dir, err)
	}
	cwd, _ := os.Getwd()
	home, _ := os.UserHomeDir()
	if abs == cwd || abs == home || abs == filepath.Clean(os.TempDir()) || abs == filepath.Dir(abs) {
		return fmt.Errorf("state_directory: %q is no directory of its own; want one such as %s", dir, filepath.Join(dir, "mida-data"))
	}
	return nil
}
